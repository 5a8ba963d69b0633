// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";

import {IBeaconRandomness} from "./interfaces/IBeaconRandomness.sol";
import {IRandomness} from "./interfaces/IRandomness.sol";

/// @title BeaconRandomness: the prevrandao of a future block, proven by the block's header
/// @notice A target is a block number at a constant distance. Its outcome can be proven while the block's hash is available: for 256
/// blocks with BLOCKHASH, for 8,191 where the EIP-2935 history contract is deployed.
/// @dev A proposer can only withhold its block, which gives one bit of bias per slot. A builder could grind a block hash.
contract BeaconRandomness is IBeaconRandomness {
    /// @inheritdoc IBeaconRandomness
    uint64 public immutable override distance;

    constructor(uint64 distance_) {
        // At distance 0 the caller knows the outcome. Beyond the range of BLOCKHASH a target could be lost before it can be proven.
        if (distance_ == 0 || distance_ > 256) revert RandomnessBadDistance();
        // Chains without a beacon put a constant there: 0, or a small number such as the difficulty before. A random value is as small
        // with a probability of 2^-128.
        if (block.prevrandao < 1 << 128) revert RandomnessConstant(block.prevrandao);
        distance = distance_;
    }

    /// @inheritdoc IRandomness
    function request() external view returns (uint64 target) {
        return uint64(block.number) + distance;
    }

    /// @inheritdoc IRandomness
    function reveal(uint64 target, bytes calldata proof) external view returns (bytes32 seed) {
        if (block.number <= target) revert RandomnessNotYet(target, block.number);
        bytes32 hash = Blockhash.blockHash(target);
        if (hash == 0) revert RandomnessTargetLost(target);
        // Only the header of block `target` has this hash, so it is well-formed and its number needs no check.
        if (keccak256(proof) != hash) revert RandomnessBadProof(target);
        return BlockHeader.getPrevRandao(proof);
    }

    /// @inheritdoc IRandomness
    function isLost(uint64 target) external view returns (bool) {
        return target < block.number && Blockhash.blockHash(target) == 0;
    }
}
