// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title Rewards: escrow of bounties, bonds and entry fees; entitlements; claims
/// @notice Rewards of trainers and validators are paid into their pools in Staking. Everything else is credited and withdrawn.
interface IRewards {
    struct Escrow {
        uint128 bounty;
        uint128 bond; // the creator's bond less tips
        uint128 fees;
        uint128 extra; // added to the bounty after the task was posted
        uint128 appealCost; // cost of appeals, charged to the validators' pool
        uint128 trainersPool; // set when the task ends as paid
        uint128 validatorsPool;
        uint128 remaining; // unclaimed pools and fees of a closed task
        uint128 scoringUnits; // divisor of the validators' pool: sum of seats * gain, or of revealed seats if flat
        uint64 weights; // divisor of the trainers' pool
        uint16 floorScore;
        uint8 power;
        bool closed;
        bool flat; // no row gained: a quarter of the validators' pool is split by revealed seats
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
    /// @param extra total added so far
    event ToppedUp(uint256 indexed taskId, address indexed from, uint256 amount, uint256 extra);
    event AppealCharged(uint256 indexed taskId, uint256 cost, uint256 tips);
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

    /// @notice Transfer bounty and bond from the creator, who has approved Rewards. Registry only.
    function fund(uint256 taskId, address creator, uint256 bounty, uint256 bond) external;
    /// @notice Transfer an entry fee from its payer, who has approved Rewards. Registry only.
    function payFee(uint256 taskId, address operator, address payer, uint256 amount) external;
    /// @notice Charge for a contested median that moved: send the cost (pay of the round and of the appellant) from the validators' pool,
    /// and the tips that the appellant prepaid from the rest of the creator's bond, to the caller, each as far as it lasts. Appeals only.
    function chargeAppeal(uint256 taskId, uint256 cost, uint256 tips)
        external
        returns (uint256 costTaken, uint256 tipsTaken);
    /// @notice Credit the tip for a step from the rest of the creator's bond. Registry and Scoring only.
    function tip(uint256 taskId, address to) external;
    /// @notice Split the escrow of a task that ended. Registry only.
    function close(uint256 taskId, ITaskRegistry.Outcome outcome) external;

    // ------------------------------------------------------------------ anyone

    /// @notice Add to the bounty of a running task that is not settled; transferred from the caller. Reverts above
    /// ITaskRegistry.bountyLimitOf. Unless the task is paid and an entry earned a weight, the addition goes to the treasury, so that a
    /// creator cannot collect it.
    function topUp(uint256 taskId, uint256 amount) external;

    /// @notice `topUp` with an ERC-2612 permit of `amount`. If the permit was already used, the existing allowance counts.
    function topUpWithPermit(uint256 taskId, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    // ------------------------------------------------------------------ claims (anyone; paid to the entitled account)

    /// @notice Pay an entry's share of the trainers' pool into its operator's staking pool.
    /// @param word the page's median word that holds the lane
    /// @param proof siblings of the word in the page's tree, leaf level first
    function claimEntry(uint256 taskId, uint32 lane, uint256 word, bytes32[6] calldata proof)
        external
        returns (uint256 amount);
    /// @notice Pay a validator's share of the validators' pool into its staking pool.
    function claimScoring(uint256 taskId, address operator) external returns (uint256 amount);
    /// @notice Credit an entry fee back to the operator's reward address after a refunded or failed task without a void round.
    function claimFee(uint256 taskId, address operator) external returns (uint256 amount);
    /// @notice Pay out an account's credit of refunded bounties, bonds, tips and fees.
    function withdraw(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------ views

    /// @notice Bounty of a task with its top-ups.
    function bountyOf(uint256 taskId) external view returns (uint256);
    /// @notice Validators' pool of a task before its end: their share of the bounty with its top-ups, plus the entry fees.
    function validatorsPoolOf(uint256 taskId) external view returns (uint256);
    /// @notice Escrow of a task.
    function escrowOf(uint256 taskId) external view returns (Escrow memory);
    /// @notice Credit of an account that `withdraw` has not paid yet.
    function owedTo(address account) external view returns (uint256);
    /// @notice Whether the reward of a lane is claimed.
    function entryClaimed(uint256 taskId, uint32 lane) external view returns (bool);
    /// @notice Whether a validator's scoring reward is claimed.
    function scoringClaimed(uint256 taskId, address operator) external view returns (bool);
    /// @notice Reward of an entry with that median in a paid task.
    function entryReward(uint256 taskId, uint16 median) external view returns (uint256);
    /// @notice Reward of a validator in a paid task.
    function scoringReward(uint256 taskId, address operator) external view returns (uint256);
    /// @notice Whether an operator's entry fee is refunded.
    function feeClaimed(uint256 taskId, address operator) external view returns (bool);
    /// @notice Is credited forfeited amounts.
    function treasury() external view returns (address);
    /// @notice Tip for one step of a task, in wei of CVY.
    function tipAmount() external view returns (uint256);
}
