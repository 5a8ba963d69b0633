// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IAppeals} from "./interfaces/IAppeals.sol";
import {IFaults} from "./interfaces/IFaults.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskBounds} from "./interfaces/ITaskBounds.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";

/// @title TaskRegistry: tasks, their windows, commit-reveal of entries, enrolment of validators, endings
contract TaskRegistry is ITaskRegistry, AccessManaged {
    /// @dev Windows are stored in 24 bits (194 days), amounts in 88; TaskBounds checks that they fit.
    struct Task {
        // One slot: everything that commitEntry, enrol, revealEntry and the endings read and write.
        uint40 entryCommitEnd;
        uint24 entryCommit;
        uint24 enrol;
        uint24 entryReveal;
        uint16 committed;
        uint16 revealed;
        uint88 totalEarmarked;
        Outcome outcome;
        bool staked; // totalEarmarked >= minStake
        bool sealedOpen;
        // One slot: terms of entry and scoring.
        Kind kind;
        Evaluation evaluation;
        uint16 validatorBps;
        uint16 targetSeats;
        uint16 floorScore;
        uint16 h;
        uint16 tau;
        uint8 power;
        uint16 maxEntries;
        uint88 entryFee;
        uint24 open;
        uint24 scoreCommit;
        // One slot.
        uint88 bounty;
        uint88 minStake;
        uint24 scoreReveal;
        uint24 settle;
        uint24 appeal;
        uint8 minEntries;
        // One slot.
        address creator;
        uint88 bond;
        bool extended; // a second committee is drawn
        bytes32 specDigest;
        bytes32 sealedCommitment;
        bytes32 sealedDigest;
    }

    /// @dev One slot. 28 bytes of the commitment are binding: a second preimage costs 2^224 hashes, a collision 2^112.
    struct Entry {
        bytes28 commitment;
        uint16 sequence;
        uint16 place; // lane + 1; 0: not revealed
    }

    /// @dev One slot.
    struct Earmark {
        uint88 amount; // draws the operator
        uint88 taken; // slashed so far
        uint24 gen; // what Staking returned for it: a slash reaches those who left since
        uint48 net;
        bool released;
    }

    /// @inheritdoc ITaskRegistry
    IStaking public immutable override staking;
    /// @inheritdoc ITaskRegistry
    address public immutable override scoring;
    /// @inheritdoc ITaskRegistry
    IRewards public immutable override rewards;
    /// @inheritdoc ITaskRegistry
    address public immutable override appeals;
    /// @inheritdoc ITaskRegistry
    address public immutable override appealCommittee;
    /// @inheritdoc ITaskRegistry
    address public immutable override faults;
    /// @inheritdoc ITaskRegistry
    ITaskBounds public immutable override bounds;

    uint64 private _taskCount;
    /// @inheritdoc ITaskRegistry
    bool public paused;

    mapping(uint256 taskId => Task) private _tasks;
    mapping(uint256 taskId => mapping(address operator => Entry)) private _entries;
    mapping(uint256 taskId => mapping(uint256 lane => address)) private _entrants;
    mapping(uint256 taskId => mapping(address operator => Earmark)) private _earmarks;

    modifier whenNotPaused() {
        if (paused) revert RegistryPaused();
        _;
    }

    /// @param authority AccessManager that grants the right to pause
    constructor(
        address authority,
        address staking_,
        address scoring_,
        address rewards_,
        address appeals_,
        address appealCommittee_,
        address faults_,
        address bounds_
    ) AccessManaged(authority) {
        if (
            staking_ == address(0) || scoring_ == address(0) || rewards_ == address(0) || appeals_ == address(0)
                || appealCommittee_ == address(0) || faults_ == address(0) || bounds_ == address(0)
        ) revert RegistryZeroAddress();
        staking = IStaking(staking_);
        scoring = scoring_;
        rewards = IRewards(rewards_);
        appeals = appeals_;
        appealCommittee = appealCommittee_;
        faults = faults_;
        bounds = ITaskBounds(bounds_);
    }

    // ------------------------------------------------------------------ creators

    /// @inheritdoc ITaskRegistry
    function createTask(TaskParams calldata params) public whenNotPaused returns (uint256 taskId) {
        bounds.check(params);
        taskId = ++_taskCount;
        Windows calldata w = params.windows;
        Task storage task = _tasks[taskId];
        // TaskBounds has checked that all of these fit.
        task.entryCommitEnd = uint40(block.timestamp + w.entryCommit);
        task.entryCommit = uint24(w.entryCommit);
        task.enrol = uint24(w.enrol);
        task.entryReveal = uint24(w.entryReveal);
        task.kind = params.kind;
        task.evaluation = params.evaluation;
        task.validatorBps = params.validatorBps;
        task.targetSeats = params.targetSeats;
        task.floorScore = params.floorScore;
        task.h = params.h;
        task.tau = params.tau;
        task.power = params.power;
        task.maxEntries = params.maxEntries;
        task.minEntries = params.minEntries;
        task.entryFee = uint88(params.entryFee);
        task.open = uint24(w.open);
        task.scoreCommit = uint24(w.scoreCommit);
        task.bounty = uint88(params.bounty);
        task.minStake = uint88(params.minStake);
        task.scoreReveal = uint24(w.scoreReveal);
        task.settle = uint24(w.settle);
        task.appeal = uint24(w.appeal);
        task.creator = msg.sender;
        task.bond = uint88(params.bond);
        task.specDigest = params.specDigest;
        if (params.sealedCommitment != 0) task.sealedCommitment = params.sealedCommitment;
        emit TaskCreated(taskId, msg.sender, params.specDigest, params, _schedule(task));
        rewards.fund(taskId, msg.sender, params.bounty, params.bond);
    }

    /// @inheritdoc ITaskRegistry
    function createTaskWithPermit(TaskParams calldata params, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (uint256 taskId)
    {
        _permit(uint256(params.bounty) + params.bond, deadline, v, r, s);
        return createTask(params);
    }

    /// @inheritdoc ITaskRegistry
    function cancelTask(uint256 taskId) external {
        Task storage task = _running(taskId);
        if (msg.sender != task.creator) revert RegistryNotCreator(msg.sender, task.creator);
        if (task.committed != 0) revert RegistryHasEntries(taskId);
        _end(taskId, task, Outcome.Refunded, "cancelled");
    }

    /// @inheritdoc ITaskRegistry
    function openSealed(uint256 taskId, bytes32 digest, bytes32 salt) external {
        Task storage task = _running(taskId);
        if (msg.sender != task.creator) revert RegistryNotCreator(msg.sender, task.creator);
        if (task.evaluation != Evaluation.Sealed) revert RegistryNotSealed(taskId);
        uint256 revealEnd = _entryRevealEnd(task);
        if (task.sealedOpen || block.timestamp < revealEnd || block.timestamp >= revealEnd + task.open) {
            revert RegistryWindowClosed(taskId, "open");
        }
        if (keccak256(abi.encode(block.chainid, address(this), msg.sender, digest, salt)) != task.sealedCommitment) {
            revert RegistryBadReveal(taskId, msg.sender);
        }
        task.sealedOpen = true;
        task.sealedDigest = digest;
        emit SealedSetOpened(taskId, digest);
    }

    // ------------------------------------------------------------------ operators

    /// @inheritdoc ITaskRegistry
    function commitEntry(uint256 taskId, address operator, bytes32 commitment, uint256 maxFee) public whenNotPaused {
        Task storage task = _running(taskId);
        if (block.timestamp >= task.entryCommitEnd) revert RegistryWindowClosed(taskId, "entryCommit");
        _checkSigner(operator);
        if (!staking.isEligible(operator)) revert RegistryNotEligible(operator);
        Entry storage entry = _entries[taskId][operator];
        if (entry.commitment != 0) revert RegistryAlreadyCommitted(taskId, operator);
        bytes28 kept = bytes28(commitment);
        if (kept == 0) revert RegistryNoCommitment(taskId, operator);
        uint16 sequence = task.committed;
        if (sequence >= task.maxEntries) revert RegistryFull(taskId);
        uint256 fee = _fee(task, sequence);
        if (fee > maxFee) revert RegistryFeeAboveMax(fee, maxFee);
        task.committed = sequence + 1;
        (entry.commitment, entry.sequence) = (kept, sequence);
        emit EntryCommitted(taskId, operator, sequence, commitment, fee, msg.sender);
        rewards.payFee(taskId, operator, msg.sender, fee);
    }

    /// @inheritdoc ITaskRegistry
    function commitEntryWithPermit(
        uint256 taskId,
        address operator,
        bytes32 commitment,
        uint256 maxFee,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        _permit(maxFee, deadline, v, r, s);
        commitEntry(taskId, operator, commitment, maxFee);
    }

    /// @inheritdoc ITaskRegistry
    function revealEntry(uint256 taskId, address operator, bytes32 digest, bytes32 salt)
        external
        returns (uint32 lane)
    {
        Task storage task = _running(taskId);
        uint256 enrolEnd = _enrolEnd(task);
        if (block.timestamp < enrolEnd || block.timestamp >= enrolEnd + task.entryReveal) {
            revert RegistryWindowClosed(taskId, "entryReveal");
        }
        if (!task.staked) revert RegistryTooLittleStake(taskId, task.totalEarmarked, task.minStake);
        Entry storage entry = _entries[taskId][operator];
        if (entry.commitment == 0) revert RegistryNoCommitment(taskId, operator);
        if (entry.place != 0) revert RegistryAlreadyRevealed(taskId, operator);
        if (
            bytes28(keccak256(abi.encode(block.chainid, address(this), taskId, operator, digest, salt)))
                != entry.commitment
        ) revert RegistryBadReveal(taskId, operator);
        uint16 place = task.revealed + 1;
        task.revealed = place;
        entry.place = place;
        lane = place - 1;
        _entrants[taskId][lane] = operator;
        emit EntryRevealed(taskId, operator, lane, entry.sequence, digest);
    }

    /// @inheritdoc ITaskRegistry
    function enrol(uint256 taskId, address operator, uint256 amount) external whenNotPaused {
        Task storage task = _running(taskId);
        uint256 commitEnd = task.entryCommitEnd;
        if (block.timestamp < commitEnd || block.timestamp >= commitEnd + task.enrol) {
            revert RegistryWindowClosed(taskId, "enrol");
        }
        _checkSigner(operator);
        // Less than a seat's stake draws a seat too, and could not pay for its faults.
        uint256 least = Math.ceilDiv(task.minStake, task.targetSeats);
        if (amount < least) revert RegistryStakeBelowSeat(amount, least);
        if (_entries[taskId][operator].commitment != 0) revert RegistryIsEntrant(taskId, operator);
        if (_earmarks[taskId][operator].amount != 0) revert RegistryAlreadyEnrolled(taskId, operator);
        // Staking.earmark reverts if the amount exceeds the operator's stake, so the sum is at most the supply.
        uint256 total = task.totalEarmarked + amount;
        if (total > type(uint88).max) revert RegistryBadParam("amount");
        task.totalEarmarked = uint88(total);
        if (!task.staked) {
            // Nobody enrols, so no entry can be revealed either.
            if (task.committed < task.minEntries) {
                revert RegistryTooFewEntries(taskId, task.committed, task.minEntries);
            }
            if (total >= task.minStake) task.staked = true;
        }
        emit ValidatorEnrolled(taskId, operator, amount, total);
        (uint24 gen, uint48 net) = staking.earmark(operator, amount, uint48(commitEnd - task.entryCommit));
        // The amount is at most the total, which fits.
        _earmarks[taskId][operator] = Earmark({amount: uint88(amount), taken: 0, gen: gen, net: net, released: false});
    }

    // ------------------------------------------------------------------ endings

    /// @inheritdoc ITaskRegistry
    function closeTask(uint256 taskId) external {
        Task storage task = _running(taskId);
        (Outcome outcome, bytes32 reason) = _dueEnding(task);
        if (outcome == Outcome.Running) revert RegistryNotClosable(taskId);
        rewards.tip(taskId, msg.sender);
        _end(taskId, task, outcome, reason);
    }

    /// @inheritdoc ITaskRegistry
    function expire(uint256 taskId) external {
        Task storage task = _running(taskId);
        uint256 expiresAt = _expiresAt(task);
        if (block.timestamp < expiresAt) revert RegistryNotExpired(taskId, uint40(expiresAt));
        // A task that could have been closed is refunded. Otherwise its creator could lose the bond because nobody called closeTask.
        (Outcome outcome, bytes32 reason) = _dueEnding(task);
        if (outcome == Outcome.Running) {
            if (IScoring(scoring).isSettled(taskId)) revert RegistrySettled(taskId);
            (outcome, reason) = (Outcome.Failed, "expired");
        }
        rewards.tip(taskId, msg.sender);
        _end(taskId, task, outcome, reason);
    }

    /// @inheritdoc ITaskRegistry
    function endTask(uint256 taskId, Outcome outcome, bytes32 reason) external {
        if (msg.sender != scoring) revert RegistryNotScoring(msg.sender);
        _end(taskId, _running(taskId), outcome, reason);
    }

    /// @inheritdoc ITaskRegistry
    function releaseEarmark(uint256 taskId, address operator) external {
        if (_known(taskId).outcome == Outcome.Running) revert RegistryNotEnded(taskId);
        Earmark storage earmark = _earmarks[taskId][operator];
        if (earmark.amount == 0 || earmark.released) revert RegistryNothingToRelease(taskId, operator);
        if (
            IScoring(scoring).owesFault(taskId, operator) || IAppeals(appeals).holds(taskId, operator)
                || IFaults(faults).owes(taskId, operator)
        ) revert RegistryFaultOpen(taskId, operator);
        earmark.released = true;
        uint256 amount = earmark.amount - earmark.taken;
        emit EarmarkFreed(taskId, operator, amount);
        staking.releaseEarmark(operator, amount);
    }

    // ------------------------------------------------------------------ committees

    /// @inheritdoc ITaskRegistry
    function extend(uint256 taskId) external returns (uint40 requestFrom) {
        if (msg.sender != scoring) revert RegistryNotScoring(msg.sender);
        Task storage task = _running(taskId);
        task.extended = true;
        emit TaskExtended(taskId, uint40(_expiresAt(task)));
        return uint40(block.timestamp + task.settle / 4);
    }

    /// @inheritdoc ITaskRegistry
    function slashEarmark(uint256 taskId, address operator, uint256 amount, address reporter, SlashKind kind)
        external
        returns (uint256 taken)
    {
        if (msg.sender != scoring && msg.sender != appeals && msg.sender != appealCommittee && msg.sender != faults) {
            revert RegistryNotScoring(msg.sender);
        }
        Earmark memory earmark = _earmarks[taskId][operator];
        if (earmark.amount == 0 || earmark.released) revert RegistryNothingToRelease(taskId, operator);
        uint256 left = earmark.amount - earmark.taken;
        taken = staking.slash(
            IStaking.SlashOrder({
                operator: operator,
                earmarked: left,
                amount: Math.min(amount, left),
                gen: earmark.gen,
                net: earmark.net,
                reporter: reporter,
                capped: kind == SlashKind.Capped || kind == SlashKind.MissedRound,
                ownFirst: kind == SlashKind.FailedTask,
                jails: kind == SlashKind.MissedRound || kind == SlashKind.FailedTask
            })
        );
        _earmarks[taskId][operator].taken = uint88(earmark.taken + taken); // at most the earmark, which fits
    }

    // ------------------------------------------------------------------ governance

    /// @inheritdoc ITaskRegistry
    function setPaused(bool value) external restricted {
        paused = value;
        emit PausedSet(value);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc ITaskRegistry
    function taskCount() external view returns (uint256) {
        return _taskCount;
    }

    /// @inheritdoc ITaskRegistry
    function paramsOf(uint256 taskId) external view returns (TaskParams memory params) {
        Task storage task = _known(taskId);
        params.specDigest = task.specDigest;
        params.sealedCommitment = task.sealedCommitment;
        params.kind = task.kind;
        params.evaluation = task.evaluation;
        params.validatorBps = task.validatorBps;
        params.targetSeats = task.targetSeats;
        params.floorScore = task.floorScore;
        params.h = task.h;
        params.tau = task.tau;
        params.power = task.power;
        params.maxEntries = task.maxEntries;
        params.minEntries = task.minEntries;
        params.bounty = task.bounty;
        params.bond = task.bond;
        params.entryFee = task.entryFee;
        params.minStake = task.minStake;
        params.windows = Windows({
            entryCommit: task.entryCommit,
            enrol: task.enrol,
            entryReveal: task.entryReveal,
            open: task.open,
            scoreCommit: task.scoreCommit,
            scoreReveal: task.scoreReveal,
            settle: task.settle,
            appeal: task.appeal
        });
    }

    /// @inheritdoc ITaskRegistry
    function scheduleOf(uint256 taskId) external view returns (Schedule memory) {
        return _schedule(_known(taskId));
    }

    /// @inheritdoc ITaskRegistry
    function stateOf(uint256 taskId) external view returns (TaskState memory) {
        Task storage task = _known(taskId);
        return TaskState({
            creator: task.creator,
            outcome: task.outcome,
            committed: task.committed,
            revealed: task.revealed,
            totalEarmarked: task.totalEarmarked,
            sealedDigest: task.sealedDigest,
            sealedOpen: task.sealedOpen
        });
    }

    /// @inheritdoc ITaskRegistry
    function outcomeOf(uint256 taskId) external view returns (Outcome) {
        return _known(taskId).outcome;
    }

    /// @inheritdoc ITaskRegistry
    function entryFeeAt(uint256 taskId, uint32 n) external view returns (uint256) {
        return _fee(_known(taskId), n);
    }

    /// @inheritdoc ITaskRegistry
    function commitmentOf(uint256 taskId, address operator)
        external
        view
        returns (bytes32 commitment, uint32 sequence, bool revealed, uint32 lane, uint256 fee)
    {
        Task storage task = _known(taskId);
        Entry memory entry = _entries[taskId][operator];
        if (entry.commitment == 0) return (0, 0, false, 0, 0);
        revealed = entry.place != 0;
        return (entry.commitment, entry.sequence, revealed, revealed ? entry.place - 1 : 0, _fee(task, entry.sequence));
    }

    /// @inheritdoc ITaskRegistry
    function entrantOf(uint256 taskId, uint32 lane) external view returns (address) {
        return _entrants[taskId][lane];
    }

    /// @inheritdoc ITaskRegistry
    function earmarkOf(uint256 taskId, address operator) external view returns (uint256) {
        return _earmarks[taskId][operator].amount;
    }

    /// @inheritdoc ITaskRegistry
    function heldOf(uint256 taskId, address operator) external view returns (uint256) {
        Earmark memory earmark = _earmarks[taskId][operator];
        return earmark.released ? 0 : earmark.amount - earmark.taken;
    }

    /// @inheritdoc ITaskRegistry
    function bountyLimitOf(uint256 taskId) public view returns (uint256) {
        Task storage task = _known(taskId);
        return bounds.bountyLimit(Math.max(task.totalEarmarked, task.minStake));
    }

    /// @inheritdoc ITaskRegistry
    function unitOf(uint256 taskId, uint256 stake, uint256 seats) external view returns (uint256) {
        uint256 shares = _known(taskId).totalEarmarked * seats;
        if (shares == 0) return 0;
        return Math.min(rewards.bountyOf(taskId), bountyLimitOf(taskId)) * stake / shares;
    }

    /// @inheritdoc ITaskRegistry
    function settleEndOf(uint256 taskId) external view returns (uint40) {
        Task storage task = _known(taskId);
        return uint40(_expiresAt(task) - task.appeal);
    }

    /// @inheritdoc ITaskRegistry
    function readyForSeed(uint256 taskId) external view returns (bool) {
        Task storage task = _known(taskId);
        return task.outcome == Outcome.Running && task.staked && task.revealed != 0
            && block.timestamp >= _entryRevealEnd(task) && (task.evaluation == Evaluation.Local || task.sealedOpen);
    }

    /// @inheritdoc ITaskRegistry
    function scoringTermsOf(uint256 taskId) external view returns (ScoringTerms memory) {
        Task storage task = _known(taskId);
        return ScoringTerms({
            totalEarmarked: task.totalEarmarked,
            expiresAt: uint40(_expiresAt(task)),
            scoreCommit: task.scoreCommit,
            scoreReveal: task.scoreReveal,
            appeal: task.appeal,
            targetSeats: task.targetSeats,
            floorScore: task.floorScore,
            h: task.h,
            tau: task.tau,
            power: task.power,
            entries: task.revealed
        });
    }

    /// @inheritdoc ITaskRegistry
    function payTermsOf(uint256 taskId) external view returns (PayTerms memory) {
        Task storage task = _known(taskId);
        return PayTerms({
            creator: task.creator,
            outcome: task.outcome,
            validatorBps: task.validatorBps,
            floorScore: task.floorScore,
            power: task.power,
            entries: task.revealed,
            withheld: task.evaluation == Evaluation.Sealed && !task.sealedOpen
        });
    }

    // ------------------------------------------------------------------ private: checks

    function _known(uint256 taskId) private view returns (Task storage task) {
        task = _tasks[taskId];
        if (task.entryCommitEnd == 0) revert RegistryUnknownTask(taskId);
    }

    function _running(uint256 taskId) private view returns (Task storage task) {
        task = _known(taskId);
        if (task.outcome != Outcome.Running) revert RegistryEnded(taskId);
    }

    function _checkSigner(address operator) private view {
        if (staking.signerOf(operator) != msg.sender) revert RegistryNotSigner(msg.sender, operator);
    }

    /// @dev Someone who saw this transaction may have used the permit already. The allowance exists then; without an allowance the
    /// transfer reverts.
    function _permit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) private {
        try IERC20Permit(staking.token()).permit(msg.sender, address(rewards), amount, deadline, v, r, s) {} catch {}
    }

    // ------------------------------------------------------------------ private: endings

    /// @dev The outcome of a task that can be closed before its seed, or Running.
    function _dueEnding(Task storage task) private view returns (Outcome, bytes32) {
        uint256 time = task.entryCommitEnd;
        if (block.timestamp < time) return (Outcome.Running, "");
        if (task.committed == 0) return (Outcome.Refunded, "no entry");
        if (task.committed < task.minEntries) return (Outcome.Refunded, "too few entries");
        time += task.enrol;
        if (block.timestamp < time) return (Outcome.Running, "");
        if (!task.staked) return (Outcome.Refunded, "too little stake");
        time += task.entryReveal;
        if (block.timestamp < time) return (Outcome.Running, "");
        if (task.revealed == 0) return (Outcome.Refunded, "no entry revealed");
        if (task.evaluation == Evaluation.Sealed && !task.sealedOpen && block.timestamp >= time + task.open) {
            return (Outcome.Failed, "not opened");
        }
        return (Outcome.Running, "");
    }

    function _end(uint256 taskId, Task storage task, Outcome outcome, bytes32 reason) private {
        task.outcome = outcome;
        emit TaskEnded(taskId, outcome, reason);
        rewards.close(taskId, outcome);
    }

    // ------------------------------------------------------------------ private: fees and times

    /// @dev entryFee + 3·entryFee·n/maxEntries
    function _fee(Task storage task, uint256 n) private view returns (uint256) {
        uint256 base = task.entryFee;
        return base + (3 * base * n) / task.maxEntries;
    }

    function _enrolEnd(Task storage task) private view returns (uint256) {
        return uint256(task.entryCommitEnd) + task.enrol;
    }

    function _entryRevealEnd(Task storage task) private view returns (uint256) {
        return _enrolEnd(task) + task.entryReveal;
    }

    function _expiresAt(Task storage task) private view returns (uint256) {
        uint256 scoring_ = uint256(task.scoreCommit) + task.scoreReveal + task.settle;
        return _entryRevealEnd(task) + task.open + (task.extended ? 2 : 1) * scoring_ + task.appeal;
    }

    function _schedule(Task storage task) private view returns (Schedule memory schedule) {
        schedule.createdAt = task.entryCommitEnd - task.entryCommit;
        schedule.entryCommitEnd = task.entryCommitEnd;
        schedule.enrolEnd = uint40(_enrolEnd(task));
        schedule.entryRevealEnd = uint40(_entryRevealEnd(task));
        schedule.openEnd = schedule.entryRevealEnd + task.open;
        schedule.expiresAt = uint40(_expiresAt(task));
    }
}
