// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IRewards} from "./IRewards.sol";
import {IStaking} from "./IStaking.sol";
import {ITaskBounds} from "./ITaskBounds.sol";

/// @title TaskRegistry: tasks, their windows, commit-reveal of entries, enrolment of validators, endings
/// @notice Windows in order, in chain time: entry commit, enrol, entry reveal, open (sealed set); then those of Scoring: seed, score
/// commit, score reveal, settle, appeal, pay.
/// @dev Scoring, Appeals and AppealCommittee are given as addresses, because their interfaces import this one. CIDs are the 32-byte
/// sha2-256 digest of a CIDv1 dag-pb directory. Amounts are wei of CVY, times unix seconds, windows seconds.
interface ITaskRegistry {
    // ------------------------------------------------------------------ types

    enum Kind {
        Arena,
        Federated
    }

    enum Evaluation {
        Local, // each validator scores on its own records; no appeals
        Sealed // all score on the same seed-drawn part of a set whose digest the creator committed to
    }

    enum Outcome {
        Running,
        Paid,
        Refunded,
        Failed
    }

    /// @notice How a slash of an earmark treats the operator's pool.
    enum SlashKind {
        Capped, // absent or unrevealed: within the absence cap
        MissedRound, // silent in a missed round of a task that did not fail: within the absence cap, and jails
        Overturned, // not capped
        FailedTask // silent in a missed round of a failed task: not capped, from the operator's own shares first, and jails
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
        uint16 floorScore; // >= 1; an entry's weight counts from here
        uint16 h; // half-width of free disagreement, score units
        uint16 tau; // clip of a single loss, score units
        uint8 power; // p in 1..3
        uint16 maxEntries;
        uint8 minEntries; // >= 1; with fewer committed entries the task is refunded
        uint128 bounty;
        uint128 bond; // creator's bond
        uint128 entryFee; // fee of the first entry; see entryFeeAt
        uint128 minStake; // with less enrolled stake the task is refunded
        Windows windows;
    }

    /// @notice Absolute end times of the registry's windows.
    struct Schedule {
        uint40 createdAt;
        uint40 entryCommitEnd;
        uint40 enrolEnd;
        uint40 entryRevealEnd;
        uint40 openEnd;
        uint40 expiresAt; // from this time on `expire` forces an ending
    }

    /// @notice Bounds on the parameters of a task, see TaskBounds.
    struct RegistryConfig {
        Windows minWindows; // `open` and `appeal` apply to sealed tasks only
        uint128 minBounty; // >= 1
        uint128 minBond;
        uint32 stakeMultipleBps; // minimum minStake as a share of the bounty, 1/10000; at least twice, and Staking's leverage
        uint16 maxEntries; // <= 32768
        uint16 maxTargetSeats; // <= 1023
        uint16 maxH; // <= 16383, so that 2h fits a lane
        uint16 maxTau; // <= 4095, so that sixteen clipped losses sum to less than 2^16 - 1
        uint16 maxFloor; // <= 32766
        uint16 minValidatorBps; // >= 1
        uint16 minSeats; // >= 1
        uint16 minSealedTau; // smallest tau of a sealed task, >= 128, so that h of 8 fits below tau/16
    }

    /// @notice Terms that Scoring copies when it requests a seed.
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

    /// @notice Terms that Rewards needs to split an escrow and to pay a claim.
    struct PayTerms {
        address creator;
        Outcome outcome;
        uint16 validatorBps;
        uint16 floorScore;
        uint8 power;
        uint16 entries; // revealed entries
        bool withheld; // the creator has not opened its sealed set
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
    error RegistryTooFewEntries(uint256 taskId, uint256 committed, uint256 minimum);
    error RegistryStakeBelowSeat(uint256 amount, uint256 minimum);
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
    /// @notice A second committee is drawn, and the task expires later.
    event TaskExtended(uint256 indexed taskId, uint40 expiresAt);
    event PausedSet(bool paused);

    // ------------------------------------------------------------------ creators

    /// @notice Post a task. Bounty and bond are transferred from the caller to Rewards.
    function createTask(TaskParams calldata params) external returns (uint256 taskId);

    /// @notice `createTask` with an ERC-2612 permit of bounty + bond for Rewards. If the permit was already used, the existing allowance
    /// counts.
    function createTaskWithPermit(TaskParams calldata params, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (uint256 taskId);

    /// @notice Cancel a task before its first entry. The caller is the creator.
    function cancelTask(uint256 taskId) external;

    /// @notice Open the sealed set, between the end of entry reveals and `openEnd`. The caller is the creator.
    function openSealed(uint256 taskId, bytes32 digest, bytes32 salt) external;

    // ------------------------------------------------------------------ operators (caller is signerOf[operator])

    /// @notice Commit an entry. Its fee is transferred from the caller.
    /// @param commitment keccak256(abi.encode(chainid, registry, taskId, operator, digest, salt))
    /// @param maxFee maximum fee; reverts if the fee is higher
    function commitEntry(uint256 taskId, address operator, bytes32 commitment, uint256 maxFee) external;

    /// @notice `commitEntry` with an ERC-2612 permit of `maxFee` for Rewards. If the permit was already used, the existing allowance
    /// counts.
    function commitEntryWithPermit(
        uint256 taskId,
        address operator,
        bytes32 commitment,
        uint256 maxFee,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice Reveal a committed entry after enrolment and assign it the next lane. Anyone who knows the salt can call. Reverts if too
    /// little stake enrolled, so that no adapter is disclosed for a task that will be refunded.
    function revealEntry(uint256 taskId, address operator, bytes32 digest, bytes32 salt) external returns (uint32 lane);

    /// @notice Earmark `amount` of the operator's free eligible stake for a task: at least the stake of one seat, ceil(minStake / K).
    /// Reverts with fewer than `minEntries` committed entries.
    function enrol(uint256 taskId, address operator, uint256 amount) external;

    // ------------------------------------------------------------------ endings

    /// @notice End a task that cannot be scored. Refunds a task with too few committed entries after `entryCommitEnd`, with too little enrolled
    /// stake after `enrolEnd`, or without a revealed entry after `entryRevealEnd`. Fails a task whose sealed set was not opened by
    /// `openEnd`. Anyone can call, and earns a tip.
    function closeTask(uint256 taskId) external;

    /// @notice Force an ending from `expiresAt` on: refunded where closeTask would refund, else failed. A settled task does not expire;
    /// `Scoring.finalise` pays it. Anyone can call, and earns a tip.
    function expire(uint256 taskId) external;

    /// @notice End a task with an outcome. Scoring only.
    function endTask(uint256 taskId, Outcome outcome, bytes32 reason) external;

    /// @notice Release the rest of a validator's earmark after the task ended. Anyone can call. Reverts while a fault of the validator can
    /// still be reported, so that no fault escapes its slash.
    function releaseEarmark(uint256 taskId, address operator) external;

    // ------------------------------------------------------------------ committees

    /// @notice Extend a task for a second committee by its score windows and the slack. Scoring only.
    /// @return requestFrom a quarter of the slack from now, when the seed can be requested
    function extend(uint256 taskId) external returns (uint40 requestFrom);

    /// @notice Slash an operator's earmark behind a task. Scoring, Appeals, AppealCommittee and Faults only.
    /// @param amount wei of CVY; at most what the earmark has left is taken
    /// @param reporter receives its share of the slash
    /// @return taken tokens that were taken
    function slashEarmark(uint256 taskId, address operator, uint256 amount, address reporter, SlashKind kind)
        external
        returns (uint256 taken);

    // ------------------------------------------------------------------ views

    /// @notice The staking pools that are earmarked.
    function staking() external view returns (IStaking);
    /// @notice The contract that scores tasks and ends them.
    function scoring() external view returns (address);
    /// @notice The escrow of bounties, bonds and fees.
    function rewards() external view returns (IRewards);
    /// @notice The contract that handles contested median words.
    function appeals() external view returns (address);
    /// @notice The committee that scores contested words.
    function appealCommittee() external view returns (address);
    /// @notice The contract that reports silence in missed rounds.
    function faults() external view returns (address);
    /// @notice The bounds that a new task is checked against.
    function bounds() external view returns (ITaskBounds);
    /// @notice Number of tasks; ids are 1..taskCount.
    function taskCount() external view returns (uint256);
    /// @notice Parameters of a task.
    function paramsOf(uint256 taskId) external view returns (TaskParams memory);
    /// @notice Schedule of a task.
    function scheduleOf(uint256 taskId) external view returns (Schedule memory);
    /// @notice State of a task.
    function stateOf(uint256 taskId) external view returns (TaskState memory);
    /// @notice Outcome of a task.
    function outcomeOf(uint256 taskId) external view returns (Outcome);
    /// @notice Fee of the (n+1)-th entry: entryFee + 3·entryFee·n/maxEntries.
    function entryFeeAt(uint256 taskId, uint32 n) external view returns (uint256);
    /// @notice Commitment of an operator's entry.
    /// @return commitment first 28 bytes of the commitment, or zero
    /// @return sequence order of commitment in the task, 0-based
    /// @return revealed whether the entry has a lane
    /// @return lane lane of the entry; valid when revealed
    /// @return fee fee that was paid
    function commitmentOf(uint256 taskId, address operator)
        external
        view
        returns (bytes32 commitment, uint32 sequence, bool revealed, uint32 lane, uint256 fee);
    /// @notice The operator of a lane, or zero.
    function entrantOf(uint256 taskId, uint32 lane) external view returns (address);
    /// @notice Stake that an operator enrolled with, by which its seats are drawn.
    function earmarkOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice Stake of an operator that is still earmarked: the enrolled stake less slashes; 0 once released.
    function heldOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice Maximum bounty of the task, including top-ups.
    function bountyLimitOf(uint256 taskId) external view returns (uint256);
    /// @notice Part of the bounty, top-ups included and at most `bountyLimitOf`, for each of `seats` drawn from `stake` of the enrolled S:
    /// floor(W·stake / (S·seats)). 0 if nothing is enrolled.
    function unitOf(uint256 taskId, uint256 stake, uint256 seats) external view returns (uint256);
    /// @notice Time from which no page is settled any more: `expiresAt` less the appeal window.
    function settleEndOf(uint256 taskId) external view returns (uint40);
    /// @notice Whether all steps before the seed are done, so that the task can be scored.
    function readyForSeed(uint256 taskId) external view returns (bool);
    /// @notice Terms of a task for Scoring.
    function scoringTermsOf(uint256 taskId) external view returns (ScoringTerms memory);
    /// @notice Terms of a task for Rewards.
    function payTermsOf(uint256 taskId) external view returns (PayTerms memory);
    /// @notice Whether createTask, commitEntry and enrol are paused.
    function paused() external view returns (bool);

    // ------------------------------------------------------------------ governance (restricted)

    /// @notice Pause or resume createTask, commitEntry and enrol. Duties, claims and endings are never paused.
    function setPaused(bool value) external;
}
