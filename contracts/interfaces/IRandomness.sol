// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title A source of public randomness that nobody can choose
/// @notice `request` names a future moment (for the beacon source: a block number); `reveal` proves what came out at it.
interface IRandomness {
    error RandomnessNotYet(uint256 target, uint256 current);
    error RandomnessTargetLost(uint256 target);
    error RandomnessBadProof(uint256 target);
    error RandomnessBadDistance();

    /// @notice A target that no one can know the outcome of yet.
    function request() external view returns (uint64 target);

    /// @notice The outcome at `target`, proven. For the beacon source `proof` is the RLP header of block `target`.
    function reveal(uint64 target, bytes calldata proof) external view returns (bytes32 seed);

    /// @notice True once `target` can no longer be proven and must be requested again.
    function isLost(uint64 target) external view returns (bool);
}
