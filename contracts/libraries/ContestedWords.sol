// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ContestedWords: comparison of a contested median word with the one that an appeal found, lane by lane
/// @notice Sixteen lanes of 16 bits. A found 0 means that the entry could not be had, which says nothing about its score.
library ContestedWords {
    /// @notice The old word with the found score in each lane where that is above 0 and differs by more than `tolerance`.
    function merge(uint256 old, uint256 found, uint256 tolerance) internal pure returns (uint256 merged) {
        merged = old;
        for (uint256 shift = 0; shift < 256; shift += 16) {
            (uint256 x, uint256 y) = _lanes(old, found, shift);
            if (y != 0 && _distance(x, y) > tolerance) merged ^= (x ^ y) << shift;
        }
    }

    /// @notice Whether the found word looks like a copy of the old one: every lane with an old score of at least 2, of which there must be
    /// one, was found within `h`. Scores of a fresh part of the set differ more.
    function isCopy(uint256 old, uint256 found, uint256 h) internal pure returns (bool any) {
        for (uint256 shift = 0; shift < 256; shift += 16) {
            (uint256 x, uint256 y) = _lanes(old, found, shift);
            if (x < 2) continue;
            if (_distance(x, y) > h) return false;
            any = true;
        }
    }

    /// @notice Whether a lane of a row differs by more than `tolerance` from the found one, where neither is 0.
    function isOverturned(uint256 word, uint256 found, uint256 tolerance) internal pure returns (bool) {
        for (uint256 shift = 0; shift < 256; shift += 16) {
            (uint256 x, uint256 y) = _lanes(word, found, shift);
            if (x != 0 && y != 0 && _distance(x, y) > tolerance) return true;
        }
        return false;
    }

    function _lanes(uint256 a, uint256 b, uint256 shift) private pure returns (uint256, uint256) {
        return ((a >> shift) & 0xffff, (b >> shift) & 0xffff);
    }

    function _distance(uint256 x, uint256 y) private pure returns (uint256) {
        return x > y ? x - y : y - x;
    }
}
