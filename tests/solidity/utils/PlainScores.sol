// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Reference implementation of the settlement, one score at a time and with a sort, to compare the lane-parallel code with.
library PlainScores {
    function pack(uint256[] memory scores) internal pure returns (uint256[] memory words) {
        words = new uint256[]((scores.length + 15) / 16);
        for (uint256 i = 0; i < scores.length; ++i) {
            words[i / 16] |= scores[i] << (240 - 16 * (i % 16));
        }
    }

    function distance(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a - b : b - a;
    }

    function clipped(uint256 difference, uint256 free, uint256 tau) internal pure returns (uint256) {
        if (difference <= free) return 0;
        return difference - free < tau ? difference - free : tau;
    }

    /// @notice Weighted lower median: sort the values and add weights until half is reached.
    function lowerMedian(uint256[] memory values, uint256[] memory weight) internal pure returns (uint256) {
        uint256 n = values.length;
        uint256 total = 0;
        for (uint256 i = 0; i < n; ++i) {
            total += weight[i];
        }
        uint256[] memory order = new uint256[](n);
        for (uint256 i = 0; i < n; ++i) {
            uint256 j = i;
            for (; j > 0 && values[order[j - 1]] > values[i]; --j) {
                order[j] = order[j - 1];
            }
            order[j] = i;
        }
        uint256 reached = 0;
        for (uint256 i = 0; i < n; ++i) {
            reached += weight[order[i]];
            if (2 * reached >= total) return values[order[i]];
        }
        revert("no weight");
    }

    function medians(uint256[][] memory rows, uint256[] memory seats) internal pure returns (uint256[] memory result) {
        result = new uint256[](rows[0].length);
        uint256[] memory column = new uint256[](rows.length);
        for (uint256 i = 0; i < result.length; ++i) {
            for (uint256 j = 0; j < rows.length; ++j) {
                column[j] = rows[j][i];
            }
            result[i] = lowerMedian(column, seats);
        }
    }

    function loss(uint256[] memory row, uint256[] memory middle, uint256 h, uint256 tau)
        internal
        pure
        returns (uint256 sum)
    {
        for (uint256 i = 0; i < row.length; ++i) {
            sum += clipped(distance(row[i], middle[i]), h, tau);
        }
    }

    /// @notice Distances of each median of at least 2 to the next such one, the last one's next being the first.
    function spread(uint256[] memory middle, uint256 h, uint256 tau) internal pure returns (uint256 sum) {
        uint256 n = middle.length;
        for (uint256 i = 0; i < n; ++i) {
            if (middle[i] < 2) continue;
            uint256 j = i;
            do {
                j = (j + 1) % n;
            } while (middle[j] < 2);
            sum += clipped(distance(middle[i], middle[j]), 2 * h, tau);
        }
    }

    function weights(uint256[] memory middle, uint256 floorScore, uint256 power) internal pure returns (uint256 sum) {
        for (uint256 i = 0; i < middle.length; ++i) {
            if (middle[i] > floorScore) sum += (middle[i] - floorScore) ** power;
        }
    }

    function root(uint256[] memory words) internal pure returns (bytes32) {
        return node(words, 0, 64);
    }

    function node(uint256[] memory words, uint256 from, uint256 leaves) internal pure returns (bytes32) {
        if (leaves == 1) return from < words.length ? keccak256(abi.encodePacked(words[from])) : bytes32(0);
        return keccak256(abi.encodePacked(node(words, from, leaves / 2), node(words, from + leaves / 2, leaves / 2)));
    }

    /// @notice Siblings of leaf `index`, leaf level first.
    function proof(uint256[] memory words, uint256 index) internal pure returns (bytes32[6] memory siblings) {
        for (uint256 level = 0; level < 6; ++level) {
            siblings[level] = node(words, ((index >> level) ^ 1) << level, 1 << level);
        }
    }
}
