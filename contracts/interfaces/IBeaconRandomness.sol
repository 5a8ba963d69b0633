// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IRandomness} from "./IRandomness.sol";

/// @title BeaconRandomness: the prevrandao of a future block, proven by the block's header
interface IBeaconRandomness is IRandomness {
    error RandomnessBadDistance();

    /// @notice Blocks between a request and its target. Two epochs (64) on Ethereum, so that the mix cannot be foreseen.
    function distance() external view returns (uint64);
}
