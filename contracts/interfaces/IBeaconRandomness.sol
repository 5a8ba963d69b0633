// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IRandomness} from "./IRandomness.sol";

/// @title BeaconRandomness: the prevrandao of a future block, proven by the block's header
interface IBeaconRandomness is IRandomness {
    error RandomnessBadDistance();
    error RandomnessConstant(uint256 prevrandao); // the chain's prevrandao is no random value

    /// @notice Blocks between a request and its target. Two epochs (64) on Ethereum, so that the mix cannot be foreseen.
    function distance() external view returns (uint64);
}
