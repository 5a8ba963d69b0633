// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";

import {IRandomness} from "./interfaces/IRandomness.sol";

/// @title Randomness of a coming block: the beacon chain's prevrandao, proven by the block's header
/// @notice A target is a block number a constant distance ahead. Its outcome can be proven while the chain knows the block's hash:
/// 256 blocks by BLOCKHASH, 8,191 where the EIP-2935 history contract is deployed.
/// @dev A proposer can only withhold its block: one bit of bias a slot. A plain block hash could be ground by its builder.
contract BeaconRandomness is IRandomness {
    /// @notice Blocks between a request and its target. Two epochs (64) on Ethereum, so that the mix cannot be foreseen.
    uint64 public immutable distance;

    constructor(uint64 distance_) {
        // The outcome of a block at distance 0 is known to who asks; one further than BLOCKHASH reaches may be lost as it comes.
        if (distance_ == 0 || distance_ > 256) revert RandomnessBadDistance();
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
        // Only the header of block `target` has its hash, so what is parsed below is well-formed and needs no number check.
        if (keccak256(proof) != hash) revert RandomnessBadProof(target);
        return BlockHeader.getPrevRandao(proof);
    }

    /// @inheritdoc IRandomness
    function isLost(uint64 target) external view returns (bool) {
        return target < block.number && Blockhash.blockHash(target) == 0;
    }
}
