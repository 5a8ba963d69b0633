// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// via-IR: the library's code, as the contracts have it, is inside this file's.

import {PackedScores} from "../../../contracts/libraries/PackedScores.sol";
import {PageTree} from "../../../contracts/libraries/PageTree.sol";

/// @notice Exposes the libraries, which read calldata, as external functions.
contract LibraryCaller {
    function measure(
        uint256[] calldata heads,
        uint256[] calldata medians,
        uint256[] calldata words,
        uint256 h,
        uint256 tau,
        uint256 total
    ) external pure returns (uint256[] memory table, uint256 bad) {
        return PackedScores.measure(heads, medians, words, h, tau, total);
    }

    function weigh(uint256[] calldata medians, uint256 free, uint256 tau, uint256 floorScore, uint256 power)
        external
        pure
        returns (uint256 spread, uint256 weights)
    {
        return PackedScores.weigh(medians, free, tau, floorScore, power);
    }

    function firstBadWord(uint256[] calldata words, uint256 entries) external pure returns (uint256) {
        return PackedScores.firstBadWord(words, entries);
    }

    function foldRows(uint256[] calldata heads, uint256[] calldata words, uint256 width)
        external
        pure
        returns (bytes32)
    {
        return PackedScores.foldRows(heads, words, width);
    }

    function root(uint256[] calldata words) external pure returns (bytes32) {
        return PageTree.root(words);
    }

    function verify(bytes32 pageRoot, uint256 index, uint256 word, bytes32[6] calldata proof)
        external
        pure
        returns (bool)
    {
        return PageTree.verify(pageRoot, index, word, proof);
    }

    /// @notice Memory that the libraries allocate or use as scratch must not overlap existing memory.
    function guarded(uint256[] calldata heads, uint256[] calldata medians, uint256[] calldata words)
        external
        pure
        returns (bytes32 before, bytes32 afterwards, uint256 zero)
    {
        bytes memory kept = abi.encode(heads, medians, words);
        before = keccak256(kept);
        (uint256[] memory table,) = PackedScores.measure(heads, medians, words, 1, 1, 1);
        bytes memory more = new bytes(4096);
        PackedScores.foldRows(heads, words, medians.length);
        PageTree.root(medians);
        PackedScores.weigh(medians, 1, 1, 1, 1);
        afterwards = keccak256(kept);
        for (uint256 i = 0; i < more.length; ++i) {
            zero += uint8(more[i]);
        }
        require(table.length == 2 * heads.length, "table");
        assembly ("memory-safe") {
            zero := add(zero, mload(0x60))
        }
    }
}
