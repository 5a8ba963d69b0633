// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// via-IR: the library's code, as the contracts have it, is inside this test's.

import {PackedScores} from "../../contracts/libraries/PackedScores.sol";
import {Sortition} from "../../contracts/libraries/Sortition.sol";
import {LibraryCaller} from "./utils/LibraryCaller.sol";
import {PlainScores} from "./utils/PlainScores.sol";
import {Test} from "./utils/Test.sol";

contract PackedScoresTest is Test {
    using PlainScores for uint256[];

    struct Page {
        uint256[] heads;
        uint256[] seats;
        uint256[][] rows;
        uint256[] words; // row-major
        uint256[] middle; // unpacked medians
        uint256[] medians; // packed
        uint256 entries;
        uint256 total;
        uint256 h;
        uint256 tau;
    }

    LibraryCaller private harness = new LibraryCaller();
    uint256 private state;

    function draw(uint256 below) private returns (uint256) {
        state = uint256(keccak256(abi.encode(state)));
        return state % below;
    }

    /// @dev A score near the entry's true one, an extreme value, or a random value.
    function drawScore(uint256 centre) private returns (uint256) {
        uint256 kind = draw(8);
        if (kind == 0) return draw(0x8000);
        if (kind == 1) return [uint256(0), 1, 2, 0x7fff][draw(4)];
        if (kind == 2) return centre;
        uint256 score = centre + draw(1200);
        return score < 600 ? 0 : score - 600 > 0x7fff ? 0x7fff : score - 600;
    }

    function drawPage(uint256 seed, uint256 maxEntries, uint256 maxRows) private returns (Page memory page) {
        state = seed;
        page.entries = 1 + draw(maxEntries);
        uint256 rows = 1 + draw(maxRows);
        page.h = draw(3) == 0 ? draw(PackedScores.MAX_H + 1) : draw(500);
        page.tau = draw(3) == 0 ? PackedScores.MAX_TAU : 1 + draw(PackedScores.MAX_TAU);
        page.heads = new uint256[](rows);
        page.seats = new uint256[](rows);
        page.rows = new uint256[][](rows);
        uint256 left = PackedScores.MAX_SEATS;
        // Sometimes the maximum number of seats, which fills the lanes.
        bool full = draw(4) == 0;
        for (uint256 j = 0; j < rows; ++j) {
            uint256 most = left - (rows - 1 - j);
            page.seats[j] = full && j == rows - 1 ? most : 1 + draw(full ? most : 5);
            left -= page.seats[j];
            page.total += page.seats[j];
            page.heads[j] = uint256(uint160(uint256(keccak256(abi.encode(seed, j))))) | (page.seats[j] << 160);
            page.rows[j] = new uint256[](page.entries);
        }
        for (uint256 i = 0; i < page.entries; ++i) {
            uint256 centre = draw(0x8000);
            for (uint256 j = 0; j < rows; ++j) {
                page.rows[j][i] = drawScore(centre);
            }
        }
        finish(page);
    }

    function finish(Page memory page) private pure {
        uint256 width = (page.entries + 15) / 16;
        page.words = new uint256[](width * page.rows.length);
        for (uint256 j = 0; j < page.rows.length; ++j) {
            uint256[] memory packed = page.rows[j].pack();
            for (uint256 k = 0; k < width; ++k) {
                page.words[j * width + k] = packed[k];
            }
        }
        page.middle = PlainScores.medians(page.rows, page.seats);
        page.medians = page.middle.pack();
    }

    function checkMeasure(Page memory page) private view {
        (uint256[] memory table, uint256 bad) =
            harness.measure(page.heads, page.medians, page.words, page.h, page.tau, page.total);
        assertEq(bad, page.medians.length, "a right median was refused");
        assertEq(table.length, 2 * page.rows.length);
        for (uint256 j = 0; j < page.rows.length; ++j) {
            assertEq(table[2 * j], page.seats[j], "seats");
            assertEq(table[2 * j + 1], page.rows[j].loss(page.middle, page.h, page.tau), "loss");
        }
    }

    function testFuzz_MeasureMatchesReferenceLoop(uint256 seed) external {
        checkMeasure(drawPage(seed, 100, 12));
    }

    function testFuzz_WrongMedianIsDetected(uint256 seed, uint256 lane, uint256 wrong) external {
        Page memory page = drawPage(seed, 100, 12);
        // Any lane, including unused ones, and any value, including off by one and the high bit.
        lane = bound(lane, 0, 16 * page.medians.length - 1);
        uint256 shift = 240 - 16 * (lane % 16);
        uint256 right = (page.medians[lane / 16] >> shift) & 0xffff;
        wrong = wrong % 4 == 0 ? (right + 1) & 0xffff : wrong % 4 == 1 ? (right + 0xffff) & 0xffff : wrong & 0xffff;
        vm.assume(wrong != right);
        page.medians[lane / 16] ^= (right ^ wrong) << shift;
        (, uint256 bad) = harness.measure(page.heads, page.medians, page.words, page.h, page.tau, page.total);
        assertEq(bad, lane / 16, "a wrong median passed");
    }

    /// forge-config: default.fuzz.runs = 32
    /// forge-config: ci.fuzz.runs = 256
    function testFuzz_MeasureMatchesReferenceAtLaneLimits(uint256 edges) external view {
        // Sixteen distances of 0x7fff in a word, the largest h and tau, and all the seats there can be.
        Page memory page;
        page.entries = 1024;
        page.h = edges & 1 == 0 ? 0 : PackedScores.MAX_H;
        page.tau = edges & 2 == 0 ? 1 : PackedScores.MAX_TAU;
        page.seats = new uint256[](2);
        page.seats[0] = edges & 4 == 0 ? PackedScores.MAX_SEATS - 1 : PackedScores.MAX_SEATS / 2 + 1;
        page.seats[1] = PackedScores.MAX_SEATS - page.seats[0];
        page.total = PackedScores.MAX_SEATS;
        page.heads = new uint256[](2);
        page.heads[0] = page.seats[0] << 160;
        page.heads[1] = page.seats[1] << 160;
        page.rows = new uint256[][](2);
        page.rows[0] = new uint256[](1024);
        page.rows[1] = new uint256[](1024);
        for (uint256 i = 0; i < 1024; ++i) {
            page.rows[edges & 8 == 0 ? 0 : 1][i] = 0x7fff;
        }
        finish(page);
        checkMeasure(page);
    }

    function testFuzz_WeighMatchesReferenceLoop(uint256 seed, uint256 floorScore, uint256 power) external {
        Page memory page = drawPage(seed, 200, 1);
        floorScore = bound(floorScore, 1, 0x7fff);
        power = bound(power, 1, 3);
        (uint256 spread, uint256 weights) = harness.weigh(page.medians, 2 * page.h, page.tau, floorScore, power);
        assertEq(spread, anyUseful(page.middle) ? page.middle.spread(page.h, page.tau) : 0, "spread");
        assertEq(weights, page.middle.weights(floorScore, power), "weights");
    }

    function anyUseful(uint256[] memory middle) private pure returns (bool) {
        for (uint256 i = 0; i < middle.length; ++i) {
            if (middle[i] >= 2) return true;
        }
        return false;
    }

    function test_WeighSkipsMediansWithoutEffect() external view {
        uint256[] memory middle = new uint256[](40);
        (uint256 spread, uint256 weights) = harness.weigh(middle.pack(), 0, 100, 1, 2);
        assertEq(spread, 0);
        assertEq(weights, 0);
        middle[3] = 1; // valid, no better than the base
        middle[17] = 50; // alone: its next is itself
        (spread, weights) = harness.weigh(middle.pack(), 0, 100, 10, 2);
        assertEq(spread, 0);
        assertEq(weights, 1600);
        middle[39] = 90; // 40 apart, there and back
        (spread, weights) = harness.weigh(middle.pack(), 10, 100, 10, 3);
        assertEq(spread, 60);
        assertEq(weights, 64_000 + 512_000);
    }

    function testFuzz_ConstantRowsGainNothing(uint256 seed, uint256 constantScore) external {
        Page memory page = drawPage(seed, 100, 8);
        constantScore = bound(constantScore, 0, 0x7fff);
        // One seat more or less: put the constant in a row and take the medians that come out.
        for (uint256 i = 0; i < page.entries; ++i) {
            page.rows[0][i] = constantScore;
        }
        finish(page);
        (uint256[] memory table, uint256 bad) =
            harness.measure(page.heads, page.medians, page.words, page.h, page.tau, page.total);
        assertEq(bad, page.medians.length);
        (uint256 spread,) = harness.weigh(page.medians, 2 * page.h, page.tau, 1, 1);
        assertLe(spread, 2 * table[1], "a constant gained");
    }

    function testFuzz_MalformedWordIsDetected(uint256 seed, uint256 lane, uint256 value) external {
        Page memory page = drawPage(seed, 100, 1);
        uint256[] memory words = page.rows[0].pack();
        assertEq(harness.firstBadWord(words, page.entries), words.length);
        lane = bound(lane, 0, 16 * words.length - 1);
        // Past the last entry any value is wrong, before it the high bit is.
        value = lane < page.entries ? value | 0x8000 : value % 0xffff + 1;
        words[lane / 16] |= (value & 0xffff) << (240 - 16 * (lane % 16));
        assertEq(harness.firstBadWord(words, page.entries), lane / 16);
    }

    function testFuzz_FoldMatchesAbiEncode(uint256 seed) external {
        Page memory page = drawPage(seed, 100, 12);
        uint256 width = page.medians.length;
        bytes32 accumulator;
        for (uint256 j = 0; j < page.rows.length; ++j) {
            accumulator = keccak256(
                abi.encode(
                    accumulator,
                    address(uint160(page.heads[j])),
                    page.seats[j],
                    keccak256(abi.encodePacked(page.rows[j].pack()))
                )
            );
        }
        assertEq(harness.foldRows(page.heads, page.words, width), accumulator);
        // A head with anything above its seats gives another fold.
        page.heads[0] |= 1 << 255;
        assertNotEq(harness.foldRows(page.heads, page.words, width), accumulator);
    }

    function testFuzz_MemoryIsUnchanged(uint256 seed) external {
        Page memory page = drawPage(seed, 100, 6);
        (bytes32 before, bytes32 afterwards, uint256 zero) = harness.guarded(page.heads, page.medians, page.words);
        assertEq(before, afterwards);
        // Memory taken afterwards is still zero, and so is the zero slot.
        assertEq(zero, 0);
    }

    function testFuzz_RootAndProofsArePositional(uint256 seed, uint256 count, uint256 index, uint256 other) external {
        state = seed;
        count = bound(count, 1, 64);
        index = bound(index, 0, count - 1);
        uint256[] memory words = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            words[i] = draw(type(uint256).max);
        }
        bytes32 root = harness.root(words);
        assertEq(root, words.root());
        bytes32[6] memory proof = words.proof(index);
        assertTrue(harness.verify(root, index, words[index], proof), "a right proof was refused");
        assertFalse(harness.verify(root, index, words[index] ^ 1, proof), "another word passed");
        if (other % 96 != index) {
            assertFalse(harness.verify(root, other % 96, words[index], proof), "another place passed");
        }
        proof[other % 6] ^= bytes32(uint256(1));
        assertFalse(harness.verify(root, index, words[index], proof), "another proof passed");
    }

    function test_PagesFitATransaction() external pure {
        for (uint256 rows = 1; rows <= PackedScores.MAX_ROWS; ++rows) {
            uint256 width = PackedScores.pageWords(rows);
            assertGe(width, 1);
            assertLe(width, 64);
            // Words, heads and medians; 8 KiB are left for the rest.
            assertLe(32 * (rows * width + rows + width), 131_072 - 8192);
            // As wide as can be: one more word a row would not fit.
            if (width < 64) assertGt(32 * (rows * (width + 1) + rows + width + 1), 131_072 - 8192);
        }
        assertEq(PackedScores.pageWords(51), 64);
        assertEq(PackedScores.pageWords(PackedScores.MAX_ROWS), 1);
    }

    function testFuzz_SeatsRoundTheExactShare(bytes32 random, uint256 earmark, uint256 total, uint256 target)
        external
        pure
    {
        total = bound(total, 1, type(uint88).max);
        earmark = bound(earmark, 0, total);
        target = bound(target, 1, 1023);
        uint256 seats = Sortition.seats(random, earmark, total, target);
        uint256 least = target * earmark / total;
        assertGe(seats, least);
        assertLe(seats, least + 1);
        // Rounded up exactly when the random fraction reaches what is missing to the next seat.
        uint256 fraction = target * earmark % total;
        bool up = fraction + (((uint256(random) >> 128) * total) >> 128) >= total;
        assertEq(seats, least + (up ? 1 : 0));
    }
}
