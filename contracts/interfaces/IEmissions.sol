// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICoveyToken} from "./ICoveyToken.sol";
import {IRewards} from "./IRewards.sol";
import {IScoring} from "./IScoring.sol";
import {IStaking} from "./IStaking.sol";
import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title Emissions: minted tokens streamed into the bounties of running tasks, by stake-weighted votes
/// @notice A daily amount, which decays every day, is split over the tasks that operators vote for, in proportion to the stake behind
/// the votes. A task's allotment is minted only when `push` adds it to the task's bounty. Emissions are off until governance
/// configures an amount.
/// @dev Amounts are wei of CVY, times unix seconds. With the configured amount D_0, D_{n+1} = floor(D_n * decay / 1e18), and s seconds
/// of day n elapsed, the stream has emitted D_0 + … + D_{n-1} + floor(D_n * s / 86400), however often it is accrued.
interface IEmissions {
    // ------------------------------------------------------------------ types

    /// @notice Governed configuration, within the bounds that the constants of the contract set.
    struct EmissionsConfig {
        uint256 perDay; // amount of the first day, which begins now; at most MAX_PER_DAY; 0: off
        uint256 decay; // ratio of a day's amount to the previous day's, 1e18 = 1; MIN_DECAY..1e18
        uint256 cap; // maximum total allotment; at least the current allotment, at most what the token can still mint
        uint256 taskCap; // maximum for one task; at most MAX_TASK_CAP
        uint256 quorum; // below this total weight, weight / quorum of the amount is emitted; whole CVY, at most MAX_QUORUM
    }

    /// @notice Current state of the stream.
    struct StreamView {
        uint256 totalWeight; // stake behind all counted votes
        uint256 allotted; // minted, or pending for tasks
        uint256 minted;
        uint256 daily; // amount of the current day
        uint40 dayStart;
        uint40 updatedAt; // time of the accrual; earlier than now only if `accrue` has to be called again
    }

    /// @notice Current share of a task.
    struct ShareView {
        uint256 weight; // stake that votes for the task
        uint256 pending; // allotted and not yet minted
        uint256 minted; // pushed into its bounty
        uint32 generation; // number of times that its votes were dropped
    }

    // ------------------------------------------------------------------ errors

    error EmissionsZeroAddress();
    error EmissionsBadConfig(bytes32 name); // name of the field, left-aligned ASCII
    error EmissionsNotOperator(address caller, address operator);
    error EmissionsAbovePower(address operator, uint256 wanted, uint256 power);
    error EmissionsTaskNotOpen(uint256 taskId); // ended, settled or past its deadline
    error EmissionsTaskFull(uint256 taskId); // at its bounty limit, or at the task cap
    error EmissionsTaskOpen(uint256 taskId); // can still receive tokens, so its votes stay
    error EmissionsNothingToPush(uint256 taskId);
    error EmissionsNothingToDrop(uint256 taskId);
    error EmissionsNothingToPoke(address operator, uint256 taskId);
    error EmissionsBehind(uint40 updatedAt); // more than MAX_STEPS days behind: call `accrue` first

    // ------------------------------------------------------------------ events

    event EmissionsConfigured(EmissionsConfig config);
    event Streamed(uint256 amount, uint256 totalWeight, uint256 daily);
    event VoteChanged(address indexed operator, uint256 indexed taskId, uint256 weight, uint256 voted);
    event SharePushed(uint256 indexed taskId, uint256 amount);
    event ShareDropped(uint256 indexed taskId, uint256 weight, uint256 forfeited, uint32 generation);

    // ------------------------------------------------------------------ votes

    /// @notice Set the weight that an operator votes for a task with. The caller is the operator or its signer. The sum of an operator's
    /// weights is at most its voting power. A vote lasts until it is changed, until the task's votes are dropped, or until `poke`
    /// reduces it to the stake that is left.
    /// @dev A weight can always be reduced. It can be raised only for a task that can receive tokens.
    function vote(address operator, uint256 taskId, uint256 weight) external;

    /// @notice Reduce an operator's vote to the stake that is left, or free its vote for a task that can receive no more. Anyone can
    /// call.
    function poke(address operator, uint256 taskId) external;

    // ------------------------------------------------------------------ shares (anyone)

    /// @notice Mint a task's pending allotment into its bounty, within the task's limits. A task that is full afterwards loses its
    /// votes, so that the stream goes to others.
    function push(uint256 taskId) external returns (uint256 amount);

    /// @notice Drop the votes of a task that can receive no more. Its pending allotment is not minted, and can be allotted again.
    function drop(uint256 taskId) external;

    /// @notice Accrue the stream up to now, at most MAX_STEPS days. All other calls accrue as well.
    function accrue() external;

    // ------------------------------------------------------------------ governance (restricted)

    /// @notice Start a new day with another amount, decay and caps. Allotments made so far remain.
    function configure(EmissionsConfig calldata value) external;

    // ------------------------------------------------------------------ views

    /// @notice The token that is minted.
    function token() external view returns (ICoveyToken);
    /// @notice The staking pools whose stake votes.
    function staking() external view returns (IStaking);
    /// @notice The registry of the tasks.
    function registry() external view returns (ITaskRegistry);
    /// @notice The contract that reports whether a task is settled.
    function scoring() external view returns (IScoring);
    /// @notice The escrow that receives a task's share.
    function rewards() external view returns (IRewards);
    /// @notice Voting power of an operator: the lesser of its stake a second ago and now; 0 unless it is eligible.
    function votingPower(address operator) external view returns (uint256);
    /// @notice Sum of an operator's weights, including those for dropped tasks that were not poked.
    function votedOf(address operator) external view returns (uint256);
    /// @notice Counted weight of an operator's vote for a task.
    function voteOf(address operator, uint256 taskId) external view returns (uint256);
    /// @notice Current state of the stream.
    function streamOf() external view returns (StreamView memory);
    /// @notice Current share of a task.
    function shareOf(uint256 taskId) external view returns (ShareView memory);
    /// @notice Amount that can still be minted for a task: 0 if it has ended, is settled, is past its deadline or is full.
    function roomOf(uint256 taskId) external view returns (uint256);
    /// @notice Ratio of a day's amount to the previous day's, 1e18 = 1.
    function decay() external view returns (uint256);
    /// @notice Maximum total allotment.
    function cap() external view returns (uint256);
    /// @notice Maximum for one task.
    function taskCap() external view returns (uint256);
    /// @notice Total weight below which the stream is reduced.
    function quorum() external view returns (uint256);
}
