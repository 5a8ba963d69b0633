// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Emissions: minted tokens streamed into the bounties of running tasks, by stake-voted weight
/// @notice A daily amount, which decays from day to day, is split over the tasks that operators vote for, in proportion to the stake
/// behind the votes. What a task has been allotted is minted when somebody pushes it into the task's bounty, and not before. Off until
/// governance configures an amount.
/// @dev Amounts are wei of CVY, times unix seconds. With D_0 the configured amount, D_{n+1} = floor(D_n * decay / 1e18), and s seconds
/// of day n gone, the stream has let out D_0 + … + D_{n-1} + floor(D_n * s / 86400): the same whoever calls how often.
interface IEmissions {
    // ------------------------------------------------------------------ types

    /// @notice Governed, within the bounds that the constants of the contract set.
    struct EmissionsConfig {
        uint256 perDay; // amount of the day that begins now; at most MAX_PER_DAY; 0: off
        uint256 decay; // the next day's amount for one of this day, 1e18 = the same; MIN_DECAY..1e18
        uint256 cap; // most that may ever be allotted; at least what is, at most what the token can still mint
        uint256 taskCap; // most that one task may get; at most MAX_TASK_CAP
        uint256 quorum; // votes below which a part of the amount, weight / quorum, is let out; whole CVY, at most MAX_QUORUM
    }

    /// @notice The stream as it is now.
    struct StreamView {
        uint256 totalWeight; // stake behind all votes that count
        uint256 allotted; // minted, or promised to tasks
        uint256 minted;
        uint256 daily; // amount of the running day
        uint40 dayStart;
        uint40 updatedAt; // up to when it has been counted; earlier than now only where `accrue` has to be called again
    }

    /// @notice A task's part as it is now.
    struct ShareView {
        uint256 weight; // stake that votes for it
        uint256 pending; // allotted and not yet minted
        uint256 minted; // pushed into its bounty
        uint32 generation; // how often its votes were dropped
    }

    // ------------------------------------------------------------------ errors

    error EmissionsZeroAddress();
    error EmissionsBadConfig(bytes32 name); // name of the field, left-aligned ASCII
    error EmissionsNotOperator(address caller, address operator);
    error EmissionsAbovePower(address operator, uint256 wanted, uint256 power);
    error EmissionsTaskNotOpen(uint256 taskId); // ended, settled or past its deadline
    error EmissionsTaskFull(uint256 taskId); // at its limit, or at the cap of a task
    error EmissionsTaskOpen(uint256 taskId); // it can still take tokens, so its votes stay
    error EmissionsNothingToPush(uint256 taskId);
    error EmissionsNothingToDrop(uint256 taskId);
    error EmissionsNothingToPoke(address operator, uint256 taskId);
    error EmissionsBehind(uint40 updatedAt); // nobody called for MAX_STEPS days: call `accrue` first

    // ------------------------------------------------------------------ events

    event EmissionsConfigured(EmissionsConfig config);
    event Streamed(uint256 amount, uint256 totalWeight, uint256 daily);
    event VoteChanged(address indexed operator, uint256 indexed taskId, uint256 weight, uint256 voted);
    event SharePushed(uint256 indexed taskId, uint256 amount);
    event ShareDropped(uint256 indexed taskId, uint256 weight, uint256 forfeited, uint32 generation);

    // ------------------------------------------------------------------ votes

    /// @notice Put `weight` of an operator's stake behind a task, instead of what it had there. The caller is the operator or its
    /// signer. All weights of an operator together are at most its voting power. A vote lasts until it is changed, until the task's
    /// votes are dropped, or until `poke` finds less stake behind it.
    /// @dev Less can always be voted; more, only for a task that can take tokens.
    function vote(address operator, uint256 taskId, uint256 weight) external;

    /// @notice Bring an operator's vote down to the stake it has left, or free what it gave to a task that can take no more.
    /// Anyone may call.
    function poke(address operator, uint256 taskId) external;

    // ------------------------------------------------------------------ shares (anyone)

    /// @notice Mint what a task has been allotted, as far as its limits let it, into its bounty. A task that is full afterwards loses
    /// its votes, so that it does not keep the stream from others.
    function push(uint256 taskId) external returns (uint256 amount);

    /// @notice Drop the votes of a task that can take no more. What it was allotted is not minted, and may be allotted again.
    function drop(uint256 taskId) external;

    /// @notice Count the stream up to now, MAX_STEPS days at most. All other calls do that as well.
    function accrue() external;

    // ------------------------------------------------------------------ governance (restricted)

    /// @notice Begin a new day with another amount, decay and caps. What tasks have been allotted so far stays theirs.
    function configure(EmissionsConfig calldata value) external;

    // ------------------------------------------------------------------ views

    /// @notice What an operator may vote with: its stake a second ago or now, whichever is less; nothing unless it is eligible.
    function votingPower(address operator) external view returns (uint256);
    /// @notice What it has behind tasks, dropped ones that were not poked included.
    function votedOf(address operator) external view returns (uint256);
    /// @notice What counts of its vote for a task.
    function voteOf(address operator, uint256 taskId) external view returns (uint256);
    function streamOf() external view returns (StreamView memory);
    function shareOf(uint256 taskId) external view returns (ShareView memory);
    /// @notice What can still be minted for a task: 0 for one that is ended, settled, past its deadline or full.
    function roomOf(uint256 taskId) external view returns (uint256);
    function decay() external view returns (uint256);
    function cap() external view returns (uint256);
    function taskCap() external view returns (uint256);
    function quorum() external view returns (uint256);
}
