// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// via-IR: the library's code, as the contracts have it, is inside this file's.

import {ContestedWords} from "../../contracts/libraries/ContestedWords.sol";
import {PlainScores} from "./utils/PlainScores.sol";
import {Test} from "./utils/Test.sol";

/// @notice Contested words against a reference that compares one score at a time.
contract ContestedWordsTest is Test {
    using PlainScores for uint256[];

    /// @dev Sixteen scores; the second list is near the first in most lanes, so that every branch is met.
    function lanes(uint256 random) private pure returns (uint256[] memory old, uint256[] memory found) {
        (old, found) = (new uint256[](16), new uint256[](16));
        for (uint256 i = 0; i < 16; ++i) {
            uint256 r = uint256(keccak256(abi.encode(random, i)));
            old[i] = r % 4 == 0 ? r % 3 : (r >> 16) % 32_768;
            uint256 kind = (r >> 64) % 6;
            uint256 step = (r >> 80) % 300;
            if (kind == 0) found[i] = 0;
            else if (kind == 1) found[i] = (r >> 96) % 32_768;
            else if (kind < 4) found[i] = old[i] + step < 32_768 ? old[i] + step : 32_767;
            else found[i] = old[i] > step ? old[i] - step : 0;
        }
    }

    function testFuzz_MergeTakesFoundScoresThatAreFar(uint256 random, uint16 tolerance) external pure {
        (uint256[] memory old, uint256[] memory found) = lanes(random);
        uint256 limit = tolerance % 600;
        uint256[] memory expected = new uint256[](16);
        bool overturned = false;
        for (uint256 i = 0; i < 16; ++i) {
            bool far = PlainScores.distance(old[i], found[i]) > limit;
            expected[i] = far && found[i] != 0 ? found[i] : old[i];
            overturned = overturned || (far && found[i] != 0 && old[i] != 0);
        }
        assertEq(ContestedWords.merge(old.pack()[0], found.pack()[0], limit), expected.pack()[0]);
        assertEq(ContestedWords.isOverturned(old.pack()[0], found.pack()[0], limit), overturned);
    }

    function testFuzz_CopyIsWithinHInEveryScoredLane(uint256 random, uint16 h) external pure {
        (uint256[] memory old, uint256[] memory found) = lanes(random);
        uint256 limit = h % 600;
        for (uint256 i = 0; i < 16; ++i) {
            if (random >> (i + 64) & 3 != 0) found[i] = old[i]; // else hardly any is a copy
        }
        uint256 scored = 0;
        uint256 near = 0;
        for (uint256 i = 0; i < 16; ++i) {
            if (old[i] < 2) continue;
            ++scored;
            if (PlainScores.distance(old[i], found[i]) <= limit) ++near;
        }
        bool expected = scored != 0 && near == scored;
        assertEq(ContestedWords.isCopy(old.pack()[0], found.pack()[0], limit), expected);
    }

    function test_WordsAtTheEdges() external pure {
        assertFalse(ContestedWords.isCopy(0, 0, 100), "no lane with a score");
        assertFalse(ContestedWords.isCopy(1 << 240, 1 << 240, 100), "no better than the base");
        assertTrue(ContestedWords.isCopy(2 << 240, 2 << 240, 0));
        assertTrue(ContestedWords.isCopy(200, 300, 100));
        assertFalse(ContestedWords.isCopy(200, 301, 100));
        assertTrue(ContestedWords.isCopy((200 << 16) | 1, (200 << 16) | 900, 0), "a lane below 2 does not count");
        assertEq(ContestedWords.merge(200, 300, 100), 200);
        assertEq(ContestedWords.merge(200, 301, 100), 301);
        assertEq(ContestedWords.merge(0x7fff << 240, 0, 100), 0x7fff << 240, "0 changes nothing");
        assertEq(ContestedWords.merge(0, 101 << 240, 100), 101 << 240);
        assertFalse(ContestedWords.isOverturned(0x7fff, 0, 100));
        assertFalse(ContestedWords.isOverturned(0, 0x7fff, 100));
        assertFalse(ContestedWords.isOverturned(1, 101, 100));
        assertTrue(ContestedWords.isOverturned(1, 102, 100));
    }
}
