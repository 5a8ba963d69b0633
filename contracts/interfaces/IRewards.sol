// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title Rewards: escrow of bounties, bonds and entry fees; entitlements; claims
/// @notice Trainers' and validators' pay goes to their pools in Staking. Everything else is credited and withdrawn by its owner.
interface IRewards {
    struct Escrow {
        uint128 bounty;
        uint128 bond; // what is left of the creator's bond after tips
        uint128 fees;
        uint128 extra; // what was added to the bounty after the task was posted
        uint128 appealCost; // what appeals have cost the validators' pool
        uint128 trainersPool; // set when the task ends as paid
        uint128 validatorsPool;
        uint128 remaining; // of a closed task: pools and fees that are not claimed yet
        uint128 scoringUnits; // what the validators' pool is divided by: sum of seats * gain, or of revealed seats if flat
        uint64 weights; // what the trainers' pool is divided by
        uint16 floorScore;
        uint8 power;
        bool closed;
        bool flat; // no gain anywhere: a quarter of the validators' pool by revealed seats
        ITaskRegistry.Outcome outcome; // Running until closed
    }

    error RewardsNotRegistry(address caller);
    error RewardsNotDuty(address caller);
    error RewardsNotPaid(uint256 taskId);
    error RewardsNotRefunded(uint256 taskId);
    error RewardsAlreadyClosed(uint256 taskId);
    error RewardsAlreadyClaimed(uint256 taskId, uint256 id);
    error RewardsBadProof(uint256 taskId, uint32 lane);
    error RewardsUnknownLane(uint256 taskId, uint32 lane);
    error RewardsNothingOwed(address account);
    error RewardsNothingToClaim(uint256 taskId, address operator);
    error RewardsZeroAddress();
    error RewardsBadOutcome(uint256 taskId);
    error RewardsZeroAmount();
    error RewardsBountyTooLarge(uint256 bounty, uint256 limit);

    event TaskFunded(uint256 indexed taskId, address indexed creator, uint256 bounty, uint256 bond);
    event FeePaid(uint256 indexed taskId, address indexed operator, address payer, uint256 amount);
    /// @param extra all that was added so far
    event ToppedUp(uint256 indexed taskId, address indexed from, uint256 amount, uint256 extra);
    event AppealCharged(uint256 indexed taskId, uint256 cost, uint256 premium);
    event TipPaid(uint256 indexed taskId, address indexed to, uint256 amount);
    event EscrowClosed(
        uint256 indexed taskId,
        ITaskRegistry.Outcome outcome,
        uint256 trainersPool,
        uint256 validatorsPool,
        uint256 toCreator,
        uint256 toTreasury
    );
    event EntryRewardClaimed(
        uint256 indexed taskId, address indexed operator, uint32 lane, uint16 median, uint256 amount
    );
    event ScoringRewardClaimed(
        uint256 indexed taskId, address indexed operator, uint16 seats, uint256 gain, uint256 amount
    );
    event FeeRefunded(uint256 indexed taskId, address indexed operator, address to, uint256 amount);
    event Credited(address indexed account, uint256 amount, bytes32 reason);
    event CreditWithdrawn(address indexed account, uint256 amount);

    // ------------------------------------------------------------------ other contracts

    /// @notice Pull bounty + bond from the creator (approved to Rewards). Registry only.
    function fund(uint256 taskId, address creator, uint256 bounty, uint256 bond) external;
    /// @notice Pull an entry fee from its payer (approved to Rewards). Registry only.
    function payFee(uint256 taskId, address operator, address payer, uint256 amount) external;
    /// @notice A contested median moved: take what the appeal's round is paid out of the validators' pool and the appellant's premium
    /// out of what is left of the creator's bond, and send both to the caller. Appeals only.
    function chargeAppeal(uint256 taskId, uint256 cost, uint256 premium)
        external
        returns (uint256 costTaken, uint256 premiumTaken);
    /// @notice Credit a step's tip out of what is left of the creator's bond. Registry, Scoring, Appeals and AppealCommittee only.
    function tip(uint256 taskId, address to) external;
    /// @notice The task ended: split its escrow. Registry only.
    function close(uint256 taskId, ITaskRegistry.Outcome outcome) external;

    // ------------------------------------------------------------------ anyone

    /// @notice Add to the bounty of a task that runs and is not settled; pulled from the caller. Refused above
    /// ITaskRegistry.bountyLimitOf. Goes to the treasury unless the task is paid: nobody gets out what others put in by cancelling.
    function topUp(uint256 taskId, uint256 amount) external;

    // ------------------------------------------------------------------ claims (anyone; paid to whom it belongs)

    /// @notice Pay an entry's share of the trainers' pool into its operator's staking pool.
    /// @param word the page's median word that holds the lane; `proof` its siblings, leaf level first
    function claimEntry(uint256 taskId, uint32 lane, uint256 word, bytes32[6] calldata proof)
        external
        returns (uint256 amount);
    /// @notice Pay a validator's share of the validators' pool into its staking pool.
    function claimScoring(uint256 taskId, address operator) external returns (uint256 amount);
    /// @notice Credit an entry fee back to the operator's reward address after a refunded or failed task.
    function claimFee(uint256 taskId, address operator) external returns (uint256 amount);
    /// @notice Pay out what an account is owed (bounties back, bonds, tips, fees).
    function withdraw(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------ views

    function escrowOf(uint256 taskId) external view returns (Escrow memory);
    function owedTo(address account) external view returns (uint256);
    function entryClaimed(uint256 taskId, uint32 lane) external view returns (bool);
    function scoringClaimed(uint256 taskId, address operator) external view returns (bool);
    function entryReward(uint256 taskId, uint16 median) external view returns (uint256);
    function scoringReward(uint256 taskId, address operator) external view returns (uint256);
    function feeClaimed(uint256 taskId, address operator) external view returns (bool);
    function treasury() external view returns (address);
    function tipAmount() external view returns (uint256);
}
