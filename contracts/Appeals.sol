// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IAppealCommittee} from "./interfaces/IAppealCommittee.sol";
import {IAppeals} from "./interfaces/IAppeals.sol";
import {ICommittee} from "./interfaces/ICommittee.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {ContestedWords} from "./libraries/ContestedWords.sol";
import {PackedScores} from "./libraries/PackedScores.sol";

/// @title Appeals: contests against the median words of a sealed task, and their bonds
/// @notice IAppeals documents each call, docs/protocol.md the reasons.
/// @dev The balance is at least, over all appeals: of each unresolved contest its award and one tip; the rest of the prepaid tips; the
/// unclaimed pool; plus all credits.
contract Appeals is IAppeals {
    using SafeERC20 for IERC20;

    /// @dev IAppeals.Appeal, packed into four slots.
    struct Stored {
        uint40 contestEnd;
        uint40 enrolEnd;
        uint40 deadline;
        uint40 reportEnd;
        uint24 window; // length of the task's appeal window
        uint16 contested;
        uint16 resolved;
        uint16 paidSeats;
        AppealState state;
        uint88 award;
        uint88 pool;
        uint80 tip; // of one step
        uint88 tips; // prepaid for the steps that contests share, and not spent
        uint88 leastStake;
        uint88 leastEnrolment; // times the seats
    }

    /// @dev IAppeals.Contest without its words, in one slot.
    struct Case {
        address appellant;
        uint16 word;
        bool resolved;
        bool moved;
    }

    /// @dev Where the money of one contest goes.
    struct Split {
        uint256 toAppellant;
        uint256 toPool;
        uint256 toTreasury;
    }

    uint256 private constant BPS = 10_000;
    uint256 private constant MAX_SEATS = 1023;
    /// @dev Steps that a contest prepays: a request and a proof of the seed, a settlement or a failure, its own resolution.
    uint256 private constant STEPS = 4;
    /// @notice Slash of an overturned row, 1/10000 of the unit of each seat, see ICommittee.unitOf.
    uint256 public constant OVERTURNED_BPS = 5000;

    /// @inheritdoc IAppeals
    ITaskRegistry public immutable override registry;
    /// @inheritdoc IAppeals
    IStaking public immutable override staking;
    /// @inheritdoc IAppeals
    IScoring public immutable override scoring;
    /// @inheritdoc IAppeals
    IRewards public immutable override rewards;
    /// @inheritdoc IAppeals
    IAppealCommittee public immutable override committee;
    IERC20 private immutable TOKEN;

    mapping(uint256 taskId => Stored) private _appeals;
    mapping(uint256 taskId => mapping(uint256 index => Case)) private _cases;
    mapping(uint256 taskId => mapping(uint256 index => uint256)) private _previous;
    /// @inheritdoc IAppeals
    mapping(uint256 taskId => mapping(uint256 word => uint256)) public contestAt;
    /// @inheritdoc IAppeals
    mapping(uint256 taskId => mapping(address operator => bool)) public claimed;
    /// @inheritdoc IAppeals
    mapping(uint256 taskId => mapping(address operator => bool)) public overturned;
    /// @inheritdoc IAppeals
    mapping(address account => uint256) public owedTo;

    constructor(
        address registry_,
        address staking_,
        address scoring_,
        address rewards_,
        address committee_,
        address token_
    ) {
        if (
            registry_ == address(0) || staking_ == address(0) || scoring_ == address(0) || rewards_ == address(0)
                || committee_ == address(0) || token_ == address(0)
        ) revert AppealsZeroAddress();
        registry = ITaskRegistry(registry_);
        staking = IStaking(staking_);
        scoring = IScoring(scoring_);
        rewards = IRewards(rewards_);
        committee = IAppealCommittee(committee_);
        TOKEN = IERC20(token_);
    }

    // ------------------------------------------------------------------ appellants

    /// @inheritdoc IAppeals
    function contest(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        returns (uint256 index)
    {
        return _contest(taskId, wordIndex, word, proof);
    }

    /// @inheritdoc IAppeals
    function contestWithPermit(
        uint256 taskId,
        uint256 wordIndex,
        uint256 word,
        bytes32[6] calldata proof,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 index) {
        // Someone who saw this transaction may have used the permit already. The allowance exists then; without an allowance the
        // transfer of the bond reverts.
        try IERC20Permit(address(TOKEN)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _contest(taskId, wordIndex, word, proof);
    }

    // ------------------------------------------------------------------ settlement

    /// @inheritdoc IAppeals
    function settled(uint256 taskId, uint16 paidSeats) external {
        if (msg.sender != address(committee)) revert AppealsNotCommittee(msg.sender);
        Stored storage appeal = _appeals[taskId];
        appeal.state = AppealState.Settled;
        appeal.paidSeats = paidSeats;
        appeal.reportEnd = uint40(block.timestamp + appeal.window);
        emit AppealSettled(taskId, paidSeats, appeal.reportEnd);
    }

    /// @inheritdoc IAppeals
    function failAppeal(uint256 taskId) external {
        Stored storage appeal = _appeals[taskId];
        if (appeal.state != AppealState.Open) revert AppealsClosed(taskId);
        if (block.timestamp < appeal.deadline && !committee.isLost(taskId)) revert AppealsNotFailed(taskId);
        appeal.state = AppealState.Failed;
        emit AppealFailed(taskId);
        _tip(taskId, appeal, msg.sender);
    }

    /// @inheritdoc IAppeals
    function tip(uint256 taskId, address to) external {
        if (msg.sender != address(committee)) revert AppealsNotCommittee(msg.sender);
        _tip(taskId, _appeals[taskId], to);
    }

    /// @inheritdoc IAppeals
    function resolve(uint256 taskId, uint256 index, bytes32[6] calldata proof) external {
        Stored memory appeal = _appeals[taskId];
        bool found = appeal.state == AppealState.Settled;
        if (!found && appeal.state != AppealState.Failed) revert AppealsNotOver(taskId);
        if (index >= appeal.contested) revert AppealsUnknown(taskId, index);
        Case memory one = _cases[taskId][index];
        if (one.resolved) revert AppealsResolved(taskId, index);
        // Before any external call, so that a contest is decided once.
        one.resolved = true;
        bool copied;
        if (found) (one.moved, copied) = _compare(taskId, index, one.word, proof);
        _cases[taskId][index] = one;
        // All steps that contests share are over, so what is left of their tips is final.
        uint256 unspent = appeal.tips / (appeal.contested - appeal.resolved);
        uint256 award = appeal.award;
        Split memory split;
        if (one.moved) {
            // The validators' pool pays appellant and round, so that the round earns the same whatever its result; the creator's bond
            // pays the tips that are spent.
            (uint256 paid, uint256 tips) = rewards.chargeAppeal(taskId, 2 * award, STEPS * appeal.tip - unspent);
            (split.toAppellant, split.toPool) = (award + unspent + tips + paid - paid / 2, paid / 2);
        } else if (!found || copied) {
            split.toAppellant = award + unspent;
        } else {
            (split.toPool, split.toTreasury) = (award, unspent);
        }
        // No row may be close enough to the medians to be paid.
        if (appeal.paidSeats == 0) (split.toPool, split.toTreasury) = (0, split.toTreasury + split.toPool);
        // Updated in place, because a token with callbacks could have resolved another contest meanwhile. Parts of the supply, which fits.
        Stored storage stored = _appeals[taskId];
        stored.tips -= uint88(unspent);
        stored.pool += uint88(split.toPool);
        ++stored.resolved;
        owedTo[one.appellant] += split.toAppellant;
        owedTo[msg.sender] += appeal.tip;
        if (split.toTreasury != 0) owedTo[rewards.treasury()] += split.toTreasury;
        emit AppealTipPaid(taskId, msg.sender, appeal.tip);
        emit ContestResolved(
            taskId, uint16(index), one.word, one.moved, copied, split.toAppellant, split.toPool, split.toTreasury
        );
    }

    // ------------------------------------------------------------------ faults

    /// @inheritdoc IAppeals
    function reportOverturned(uint256 taskId, address operator, uint256 index, uint256[] calldata words) external {
        Stored memory appeal = _appeals[taskId];
        if (appeal.state != AppealState.Settled) revert AppealsNotSettled(taskId);
        if (index >= appeal.contested) revert AppealsUnknown(taskId, index);
        if (overturned[taskId][operator]) revert AppealsAlreadyReported(taskId, operator);
        ICommittee.Row memory row = scoring.rowOf(taskId, operator);
        bytes32 hash = PackedScores.hashWords(words, 0, words.length);
        if (row.status != ICommittee.RowStatus.Revealed || bytes28(hash) != bytes28(row.commitment)) {
            revert AppealsBadRow(taskId, operator);
        }
        uint256 tolerance = 2 * _tolerance(registry.scoringTermsOf(taskId));
        uint256 found = committee.foundOf(taskId, index);
        if (!ContestedWords.isOverturned(words[_cases[taskId][index].word], found, tolerance)) {
            revert AppealsNoFault(taskId, operator);
        }
        overturned[taskId][operator] = true;
        uint256 amount = row.seats * scoring.unitOf(taskId, scoring.roundOf(taskId).number) * OVERTURNED_BPS / BPS;
        uint256 taken = registry.slashEarmark(taskId, operator, amount, msg.sender, ITaskRegistry.SlashKind.Overturned);
        emit RowOverturned(taskId, operator, uint16(index), msg.sender, taken);
    }

    // ------------------------------------------------------------------ claims

    /// @inheritdoc IAppeals
    function claimAppeal(uint256 taskId, address operator) external returns (uint256 amount) {
        Stored memory appeal = _appeals[taskId];
        if (appeal.state != AppealState.Settled) revert AppealsNotSettled(taskId);
        uint256 left = appeal.contested - appeal.resolved;
        if (left != 0) revert AppealsUnresolved(taskId, left);
        if (claimed[taskId][operator]) revert AppealsAlreadyClaimed(taskId, operator);
        uint16 seats = committee.paidSeatsOf(taskId, operator);
        if (seats != 0) amount = uint256(appeal.pool) * seats / appeal.paidSeats;
        if (amount == 0) revert AppealsNothingToClaim(taskId, operator);
        claimed[taskId][operator] = true;
        emit AppealRewardClaimed(taskId, operator, seats, amount);
        TOKEN.forceApprove(address(staking), amount);
        staking.addReward(operator, amount, committee.stakeOf(taskId, operator));
    }

    /// @inheritdoc IAppeals
    function withdraw(address account) external returns (uint256 amount) {
        amount = owedTo[account];
        if (amount == 0) revert AppealsNothingOwed(account);
        owedTo[account] = 0;
        emit AppealCreditWithdrawn(account, amount);
        TOKEN.safeTransfer(account, amount);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IAppeals
    function appealOf(uint256 taskId) external view returns (Appeal memory) {
        Stored memory appeal = _appeals[taskId];
        return Appeal({
            state: appeal.state,
            contestEnd: appeal.contestEnd,
            enrolEnd: appeal.enrolEnd,
            deadline: appeal.deadline,
            reportEnd: appeal.reportEnd,
            contested: appeal.contested,
            resolved: appeal.resolved,
            paidSeats: appeal.paidSeats,
            bond: appeal.award + STEPS * appeal.tip,
            award: appeal.award,
            tip: appeal.tip,
            tips: appeal.tips,
            pool: appeal.pool,
            leastStake: appeal.leastStake,
            leastEnrolment: appeal.leastEnrolment
        });
    }

    /// @inheritdoc IAppeals
    function contestOf(uint256 taskId, uint256 index) external view returns (Contest memory) {
        Case memory one = _cases[taskId][index];
        return Contest({
            appellant: one.appellant,
            word: one.word,
            resolved: one.resolved,
            moved: one.moved,
            previous: _previous[taskId][index],
            found: committee.foundOf(taskId, index)
        });
    }

    /// @inheritdoc IAppeals
    function bondOf(uint256 taskId) external view returns (uint256) {
        if (PackedScores.wordCount(registry.payTermsOf(taskId).entries) == 0) return 0;
        return _awardOf(taskId) + STEPS * rewards.tipAmount();
    }

    /// @inheritdoc IAppeals
    function phaseOf(uint256 taskId) external view returns (Phase memory) {
        Stored memory appeal = _appeals[taskId];
        return Phase({
            state: appeal.state,
            enrolEnd: appeal.enrolEnd,
            deadline: appeal.deadline,
            reportEnd: appeal.reportEnd,
            leastStake: appeal.leastStake
        });
    }

    /// @inheritdoc IAppeals
    function committeeTermsOf(uint256 taskId) public view returns (ITaskRegistry.ScoringTerms memory terms) {
        Stored memory appeal = _appeals[taskId];
        terms = registry.scoringTermsOf(taskId);
        terms.expiresAt = appeal.deadline;
        terms.appeal = 0;
        // Twice the seats of the task's committee plus one, with the same bound.
        terms.targetSeats = uint16(Math.min(2 * uint256(terms.targetSeats) + 1, MAX_SEATS));
        terms.entries = uint16(PackedScores.LANES * appeal.contested); // at most 32,768
    }

    /// @inheritdoc IAppeals
    function unitOf(uint256 taskId) external view returns (uint256) {
        ITaskRegistry.ScoringTerms memory terms = committeeTermsOf(taskId);
        return registry.unitOf(taskId, terms.totalEarmarked, terms.targetSeats);
    }

    /// @inheritdoc IAppeals
    function admissionOf(uint256 taskId, address operator)
        external
        view
        returns (uint256 behind, uint256 least, uint48 createdAt)
    {
        Stored memory appeal = _appeals[taskId];
        if (appeal.state != AppealState.Open || block.timestamp >= appeal.enrolEnd) revert AppealsClosed(taskId);
        (bytes32 commitment,,,,) = registry.commitmentOf(taskId, operator);
        if (commitment != 0) revert AppealsIsEntrant(taskId, operator);
        // It would judge its own row or, in a missed round, has judged the entries already.
        uint8 last = scoring.roundOf(taskId).number; // 0 or 1; all rounds of a settled task have seeds
        for (uint8 number = 0; number <= last; ++number) {
            if (scoring.seatsAt(taskId, number, operator) != 0) revert AppealsWasSeated(taskId, operator);
        }
        least = Math.ceilDiv(appeal.leastEnrolment, committeeTermsOf(taskId).targetSeats);
        return (registry.earmarkOf(taskId, operator), least, registry.scheduleOf(taskId).createdAt);
    }

    /// @inheritdoc IAppeals
    function lastWordOf(uint256 taskId) external view returns (uint256 contested, uint256 lanes) {
        uint256 entries = registry.payTermsOf(taskId).entries;
        lanes = entries % PackedScores.LANES;
        if (lanes == 0) return (0, PackedScores.LANES);
        return (contestAt[taskId][PackedScores.wordCount(entries) - 1], lanes);
    }

    /// @inheritdoc IAppeals
    function isOpen(uint256 taskId) external view returns (bool) {
        Stored storage appeal = _appeals[taskId];
        return appeal.resolved != appeal.contested;
    }

    /// @inheritdoc IAppeals
    function holds(uint256 taskId, address operator) external view returns (bool) {
        Stored memory appeal = _appeals[taskId];
        if (appeal.state == AppealState.None) return false;
        return
            appeal.state == AppealState.Open || block.timestamp < appeal.reportEnd
                || committee.owesFault(taskId, operator);
    }

    // ------------------------------------------------------------------ private

    function _contest(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        private
        returns (uint256 index)
    {
        Stored memory appeal = _appeals[taskId];
        if (appeal.state == AppealState.None) _open(taskId, appeal);
        if (block.timestamp >= appeal.contestEnd) revert AppealsClosed(taskId);
        if (contestAt[taskId][wordIndex] != 0) revert AppealsContested(taskId, wordIndex);
        if (!scoring.verifyMedianWord(taskId, wordIndex, word, proof)) revert AppealsBadProof(taskId, wordIndex);
        index = appeal.contested;
        uint256 bond = appeal.award + STEPS * appeal.tip;
        // A task has at most 2,048 words, and all bonds are part of the supply.
        unchecked {
            appeal.contested = uint16(index + 1);
            appeal.tips += uint88((STEPS - 1) * appeal.tip);
        }
        _appeals[taskId] = appeal;
        contestAt[taskId][wordIndex] = index + 1;
        _cases[taskId][index] = Case({appellant: msg.sender, word: uint16(wordIndex), resolved: false, moved: false});
        _previous[taskId][index] = word;
        emit WordContested(
            taskId,
            msg.sender,
            uint16(index),
            uint16(wordIndex),
            word,
            bond,
            appeal.contestEnd,
            appeal.enrolEnd,
            appeal.deadline
        );
        TOKEN.safeTransferFrom(msg.sender, address(this), bond);
    }

    /// @dev The first contest of a task opens its appeal.
    function _open(uint256 taskId, Stored memory appeal) private view {
        ITaskRegistry.TaskParams memory params = registry.paramsOf(taskId);
        ITaskRegistry.Windows memory windows = params.windows;
        uint256 settledAt = scoring.roundOf(taskId).settledAt;
        if (settledAt == 0 || registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Running) {
            revert AppealsClosed(taskId);
        }
        uint256 contestEnd = settledAt + windows.appeal;
        appeal.state = AppealState.Open;
        // The registry stores windows in 24 bits, times in 40 and amounts in 88.
        appeal.window = uint24(windows.appeal);
        appeal.contestEnd = uint40(contestEnd);
        appeal.enrolEnd = uint40(contestEnd + windows.enrol);
        appeal.deadline =
            uint40(contestEnd + windows.enrol + windows.scoreCommit + windows.scoreReveal + windows.settle);
        appeal.award = uint88(_awardOf(taskId)); // part of the validators' pool, which fits
        appeal.tip = SafeCast.toUint80(rewards.tipAmount());
        appeal.leastEnrolment = uint88(params.minStake);
        appeal.leastStake =
            uint88(Math.max(params.minStake, Math.ceilDiv(registry.scoringTermsOf(taskId).totalEarmarked, 2)));
    }

    /// @dev What the round and, if the word moved, its appellant are paid for a word: of all words together the validators' pool.
    function _awardOf(uint256 taskId) private view returns (uint256) {
        uint256 words = PackedScores.wordCount(registry.payTermsOf(taskId).entries);
        return Math.ceilDiv(rewards.validatorsPoolOf(taskId), 2 * words);
    }

    /// @dev Apply what the appeal found to a contested word. Returns whether it moved, and whether the result looks like a copy.
    function _compare(uint256 taskId, uint256 index, uint256 word, bytes32[6] calldata proof)
        private
        returns (bool moved, bool copied)
    {
        ITaskRegistry.ScoringTerms memory terms = registry.scoringTermsOf(taskId);
        uint256 previous = _previous[taskId][index];
        uint256 found = committee.foundOf(taskId, index);
        uint256 merged = ContestedWords.merge(previous, found, _tolerance(terms));
        if (merged == previous) return (false, ContestedWords.isCopy(previous, found, terms.h));
        scoring.replaceWord(taskId, word, previous, merged, proof);
        return (true, false);
    }

    /// @dev A median moved if it differs by more than this. Both are scores of different parts of the set.
    function _tolerance(ITaskRegistry.ScoringTerms memory terms) private pure returns (uint256) {
        return Math.max(terms.tau, 2 * uint256(terms.h));
    }

    /// @dev Pay a step that contests share from what they prepaid for it.
    function _tip(uint256 taskId, Stored storage appeal, address to) private {
        uint256 amount = Math.min(appeal.tip, appeal.tips);
        if (amount == 0) return;
        appeal.tips -= uint88(amount); // at most the tips, which fit
        owedTo[to] += amount;
        emit AppealTipPaid(taskId, to, amount);
    }
}
