// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Sortition: seats of a committee in O(1), with an expectation exactly proportional to stake
library Sortition {
    /// @notice floor((K·e + floor(r·S / 2^128)) / S), where r is the high half of `draw`. This is K·e/S, rounded up with a probability
    /// equal to its fraction, so that splitting stake over operators does not change the expectation.
    /// @param draw hash of seed and operator
    /// @param earmark e, the operator's stake behind the task
    /// @param total S, all stake behind the task, > 0 and below 2^128
    /// @param targetSeats K
    function seats(bytes32 draw, uint256 earmark, uint256 total, uint256 targetSeats) internal pure returns (uint256) {
        return (targetSeats * earmark + (((uint256(draw) >> 128) * total) >> 128)) / total;
    }
}
