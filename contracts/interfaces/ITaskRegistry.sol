// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title TaskRegistry: tasks, their windows, entries by commit-reveal, validators' enrolment, endings
/// @notice Windows, in order and in chain time: entries commit, validators enrol, entries reveal, the sealed set opens; then Scoring's:
/// seed, scores commit, scores reveal, settle, appeal, pay.
/// @dev CIDs are the 32-byte sha2-256 digest of a CIDv1 dag-pb directory. Amounts are wei of CVY, times unix seconds, windows seconds.
interface ITaskRegistry {
    // ------------------------------------------------------------------ types

    enum Kind {
        Arena,
        Federated
    }

    enum Evaluation {
        Local, // each validator scores its own records; no appeals
        Sealed // all score the same seed-drawn part of a set whose digest the creator committed to
    }

    enum Outcome {
        Running,
        Paid,
        Refunded,
        Failed
    }

    struct Windows {
        uint32 entryCommit;
        uint32 enrol;
        uint32 entryReveal;
        uint32 open; // 0 for Local
        uint32 scoreCommit;
        uint32 scoreReveal;
        uint32 settle; // slack for requestSeed, fixSeed and settlement together, before `expire`
        uint32 appeal; // 0 for Local
    }

    struct TaskParams {
        bytes32 specDigest; // CID of the spec
        bytes32 sealedCommitment; // keccak256(abi.encode(chainid, registry, creator, digest, salt)); 0 for Local
        Kind kind;
        Evaluation evaluation;
        uint16 validatorBps; // share of the bounty for validators, 1/10000
        uint16 targetSeats; // K
        uint16 floorScore; // >= 1; weights count what a median has above it
        uint16 h; // half-width of free disagreement, score units
        uint16 tau; // clip of a single loss, score units
        uint8 power; // p in 1..3
        uint16 maxEntries;
        uint128 bounty;
        uint128 bond; // creator's bond
        uint128 entryFee; // fee of the first entry; see entryFeeAt
        uint128 minStake; // least enrolled stake, or the task is refunded
        Windows windows;
    }

    /// @notice Absolute ends of the windows that the registry keeps.
    struct Schedule {
        uint40 createdAt;
        uint40 entryCommitEnd;
        uint40 enrolEnd;
        uint40 entryRevealEnd;
        uint40 openEnd;
        uint40 expiresAt; // from here on `expire` forces an ending
    }

    /// @notice Bounds on what a task may ask for; TaskBounds keeps them.
    struct RegistryConfig {
        Windows minWindows; // `open` and `appeal` bind sealed tasks only
        uint128 minBounty; // >= 1
        uint128 minBond;
        uint32 stakeMultipleBps; // least minStake as a share of the bounty, 1/10000
        uint16 maxEntries; // <= 32768
        uint16 maxTargetSeats; // <= 1023
        uint16 maxH; // <= 16383, so that 2h fits a lane
        uint16 maxTau; // <= 4095, so that sixteen clipped losses add up below 2^16 - 1
    }

    /// @notice What Scoring copies when it asks for a seed.
    struct ScoringTerms {
        uint128 totalEarmarked; // S
        uint40 expiresAt;
        uint32 scoreCommit;
        uint32 scoreReveal;
        uint32 appeal;
        uint16 targetSeats; // K
        uint16 floorScore;
        uint16 h;
        uint16 tau;
        uint8 power;
        uint16 entries; // revealed entries
    }

    /// @notice What Rewards needs to split a task and to pay a claim.
    struct PayTerms {
        address creator;
        Outcome outcome;
        uint16 validatorBps;
        uint16 floorScore;
        uint8 power;
        uint16 entries; // revealed entries
    }

    struct TaskState {
        address creator;
        Outcome outcome;
        uint32 committed; // entries committed
        uint32 revealed; // entries revealed; lanes are 0..revealed-1
        uint128 totalEarmarked; // S
        bytes32 sealedDigest; // 0 until opened
        bool sealedOpen;
    }

    // ------------------------------------------------------------------ errors

    error RegistryPaused();
    error RegistryUnknownTask(uint256 taskId);
    error RegistryBadParam(bytes32 name); // name of the field, left-aligned ASCII
    error RegistryWindowTooShort(bytes32 name, uint32 given, uint32 minimum);
    error RegistryStakeMultipleTooLow(uint256 given, uint256 minimum);
    error RegistryTaskTooLong(uint256 life, uint256 maximum);
    error RegistryNotSigner(address caller, address operator);
    error RegistryNotEligible(address operator);
    error RegistryWindowClosed(uint256 taskId, bytes32 window);
    error RegistryFull(uint256 taskId);
    error RegistryFeeAboveMax(uint256 fee, uint256 maxFee);
    error RegistryAlreadyCommitted(uint256 taskId, address operator);
    error RegistryAlreadyEnrolled(uint256 taskId, address operator);
    error RegistryIsEntrant(uint256 taskId, address operator);
    error RegistryNoCommitment(uint256 taskId, address operator);
    error RegistryAlreadyRevealed(uint256 taskId, address operator);
    error RegistryBadReveal(uint256 taskId, address operator);
    error RegistryNotCreator(address caller, address creator);
    error RegistryHasEntries(uint256 taskId);
    error RegistryNotSealed(uint256 taskId);
    error RegistryEnded(uint256 taskId);
    error RegistryNotEnded(uint256 taskId);
    error RegistryNotExpired(uint256 taskId, uint40 expiresAt);
    error RegistryNotClosable(uint256 taskId);
    error RegistryNotScoring(address caller);
    error RegistryNothingToRelease(uint256 taskId, address operator);
    error RegistryZeroAmount();
    error RegistryTooLittleStake(uint256 taskId, uint256 enrolled, uint256 minimum);
    error RegistrySettled(uint256 taskId);
    error RegistryFaultOpen(uint256 taskId, address operator); // a duty is open, or a fault that is not reported yet
    error RegistryZeroAddress();

    // ------------------------------------------------------------------ events

    event TaskCreated(
        uint256 indexed taskId,
        address indexed creator,
        bytes32 indexed specDigest,
        TaskParams params,
        Schedule schedule
    );
    event EntryCommitted(
        uint256 indexed taskId,
        address indexed operator,
        uint32 sequence,
        bytes32 commitment,
        uint256 fee,
        address payer
    );
    event ValidatorEnrolled(uint256 indexed taskId, address indexed operator, uint256 amount, uint256 totalEarmarked);
    event EntryRevealed(uint256 indexed taskId, address indexed operator, uint32 lane, uint32 sequence, bytes32 digest);
    event SealedSetOpened(uint256 indexed taskId, bytes32 digest);
    event TaskEnded(uint256 indexed taskId, Outcome outcome, bytes32 reason);
    event EarmarkFreed(uint256 indexed taskId, address indexed operator, uint256 amount);
    /// @notice A second committee is drawn: the task has longer.
    event TaskExtended(uint256 indexed taskId, uint40 expiresAt);
    event PausedSet(bool paused);

    // ------------------------------------------------------------------ creators

    /// @notice Post a task; bounty + bond are pulled from the caller into Rewards.
    function createTask(TaskParams calldata params) external returns (uint256 taskId);

    /// @notice The creator takes a task back before its first entry.
    function cancelTask(uint256 taskId) external;

    /// @notice Open the sealed set: between the end of entry reveals and `openEnd`.
    function openSealed(uint256 taskId, bytes32 digest, bytes32 salt) external;

    // ------------------------------------------------------------------ operators (caller is signerOf[operator])

    /// @notice Commit an entry; its fee is pulled from the caller.
    /// @param commitment keccak256(abi.encode(chainid, registry, taskId, operator, digest, salt))
    /// @param maxFee the most the caller pays
    function commitEntry(uint256 taskId, address operator, bytes32 commitment, uint256 maxFee) external;

    /// @notice Reveal a committed entry after enrolment closed; gives it the next lane. Whoever knows the salt may send it. Refused
    /// when too little stake enrolled, so that no adapter is shown for a task that will be refunded.
    function revealEntry(uint256 taskId, address operator, bytes32 digest, bytes32 salt) external returns (uint32 lane);

    /// @notice Back a task with `amount` of the operator's free eligible stake.
    function enrol(uint256 taskId, address operator, uint256 amount) external;

    // ------------------------------------------------------------------ endings

    /// @notice Refund a task without a committed entry after `entryCommitEnd`, with too little enrolled stake after `enrolEnd` or without a
    /// revealed entry after `entryRevealEnd`; fail one whose sealed set stayed shut until `openEnd`. Anyone; earns a tip.
    function closeTask(uint256 taskId) external;

    /// @notice Force an ending once `expiresAt` has passed: refunded where closeTask would refund, else failed. A settled task does not
    /// expire: `Scoring.finalise` pays it. Anyone; earns a tip.
    function expire(uint256 taskId) external;

    /// @notice Scoring reports how the task went.
    function endTask(uint256 taskId, Outcome outcome, bytes32 reason) external;

    /// @notice Free what faults have left of a validator's earmark of an ended task. Anyone. Refused while a fault of it can still be
    /// reported, so that none is outrun.
    function releaseEarmark(uint256 taskId, address operator) external;

    // ------------------------------------------------------------------ committees

    /// @notice A second committee is drawn: the task expires later by its score windows and the slack. Scoring only.
    function extend(uint256 taskId) external;

    /// @notice Slash a share of an operator's earmark behind a task. Scoring, AppealCommittee and Appeals only.
    /// @param bps 1/10000 of the earmark
    /// @param reporter gets its share of what is taken
    /// @param capped whether the cap on absences applies
    function slashEarmark(uint256 taskId, address operator, uint256 bps, address reporter, bool capped)
        external
        returns (uint256 taken);

    // ------------------------------------------------------------------ views

    function taskCount() external view returns (uint256); // ids are 1..taskCount
    function paramsOf(uint256 taskId) external view returns (TaskParams memory);
    function scheduleOf(uint256 taskId) external view returns (Schedule memory);
    function stateOf(uint256 taskId) external view returns (TaskState memory);
    function outcomeOf(uint256 taskId) external view returns (Outcome);
    /// @notice Fee of the entry that would be the (n+1)-th: entryFee + 3·entryFee·n/maxEntries.
    function entryFeeAt(uint256 taskId, uint32 n) external view returns (uint256);
    /// @return commitment the first 28 bytes of what was committed, zero if nothing was
    /// @return sequence order of commitment in the task, 0-based
    /// @return revealed whether the entry has a lane
    /// @return lane its lane, meaningful when revealed
    /// @return fee what was paid for it
    function commitmentOf(uint256 taskId, address operator)
        external
        view
        returns (bytes32 commitment, uint32 sequence, bool revealed, uint32 lane, uint256 fee);
    /// @notice The operator of a lane, or zero.
    function entrantOf(uint256 taskId, uint32 lane) external view returns (address);
    /// @notice The stake by which an operator is drawn: what it enrolled with.
    function earmarkOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice What of it is still earmarked: less what faults took, nothing once released.
    function heldOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice The largest bounty that this task may decide on, top-ups included.
    function bountyLimitOf(uint256 taskId) external view returns (uint256);
    /// @notice True once everything before the seed is done and the task can be scored.
    function readyForSeed(uint256 taskId) external view returns (bool);
    function scoringTermsOf(uint256 taskId) external view returns (ScoringTerms memory);
    function payTermsOf(uint256 taskId) external view returns (PayTerms memory);
    function paused() external view returns (bool);

    // ------------------------------------------------------------------ governance (restricted)

    /// @notice Stop or resume createTask, commitEntry and enrol. Duties, claims and endings are never paused.
    function setPaused(bool value) external;
}
