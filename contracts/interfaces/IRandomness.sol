// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Randomness: a source of public randomness that nobody can choose
/// @notice `request` returns a future target (for the beacon source, a block number); `reveal` proves its outcome.
interface IRandomness {
    error RandomnessNotYet(uint256 target, uint256 current);
    error RandomnessTargetLost(uint256 target);
    error RandomnessBadProof(uint256 target);

    /// @notice A target whose outcome nobody can know yet.
    function request() external view returns (uint64 target);

    /// @notice The proven outcome of `target`. For the beacon source, `proof` is the RLP header of block `target`.
    function reveal(uint64 target, bytes calldata proof) external view returns (bytes32 seed);

    /// @notice Whether `target` can no longer be proven and must be requested again.
    function isLost(uint64 target) external view returns (bool);
}
