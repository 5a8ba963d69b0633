// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IAppealCommittee} from "./interfaces/IAppealCommittee.sol";
import {IAppeals} from "./interfaces/IAppeals.sol";
import {ICommittee} from "./interfaces/ICommittee.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {PackedScores} from "./libraries/PackedScores.sol";

/// @title Appeals: contests against the median words of a sealed task, and their bonds
/// @notice IAppeals documents each call, docs/protocol.md the reasons.
/// @dev The balance is at least the bonds of unresolved contests, plus unclaimed pools, plus credits.
contract Appeals is IAppeals {
    using SafeERC20 for IERC20;

    /// @dev IAppeals.Appeal, packed into two slots.
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
        uint88 bond;
        uint88 pool;
    }

    /// @dev IAppeals.Contest without its words, in one slot.
    struct Case {
        address appellant;
        uint16 word;
        bool resolved;
        bool moved;
    }

    uint256 private constant BPS = 10_000;
    /// @notice Slash of an overturned row, 1/10000 of the earmark.
    uint256 public constant OVERTURNED_BPS = 1000;
    /// @notice A score that differs from the appeal's median by more than this many h is overturned.
    uint256 public constant OVERTURNED_H = 8;

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
        Stored memory appeal = _appeals[taskId];
        if (appeal.state == AppealState.None) _open(taskId, appeal);
        if (block.timestamp >= appeal.contestEnd) revert AppealsClosed(taskId);
        if (contestAt[taskId][wordIndex] != 0) revert AppealsContested(taskId, wordIndex);
        if (!scoring.verifyMedianWord(taskId, wordIndex, word, proof)) revert AppealsBadProof(taskId, wordIndex);
        index = appeal.contested;
        // A task has at most 2,048 words.
        unchecked {
            appeal.contested = uint16(index + 1);
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
            appeal.bond,
            appeal.contestEnd,
            appeal.enrolEnd,
            appeal.deadline
        );
        TOKEN.safeTransferFrom(msg.sender, address(this), appeal.bond);
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
        if (block.timestamp < appeal.deadline && !committee.isQuorumMissed(taskId)) revert AppealsNotFailed(taskId);
        appeal.state = AppealState.Failed;
        emit AppealFailed(taskId);
        rewards.tip(taskId, msg.sender);
    }

    /// @inheritdoc IAppeals
    function resolve(uint256 taskId, uint256 index, bytes32[6] calldata proof) external {
        Stored memory appeal = _appeals[taskId];
        bool found = appeal.state == AppealState.Settled;
        if (!found && appeal.state != AppealState.Failed) revert AppealsNotOver(taskId);
        if (index >= appeal.contested) revert AppealsUnknown(taskId, index);
        Case memory one = _cases[taskId][index];
        if (one.resolved) revert AppealsResolved(taskId, index);
        // Before any external call, so that a contest is decided once. `resolved` is counted below, after the pool is updated.
        _cases[taskId][index].resolved = true;
        // If the appeal failed, the bond is returned. If it settled, the bond pays the round, unless the median moved.
        uint256 toAppellant = found ? 0 : appeal.bond;
        uint256 toPool = found ? appeal.bond : 0;
        if (found) {
            uint256 previous = _previous[taskId][index];
            uint256 replacement = committee.foundOf(taskId, index);
            one.moved = _moved(taskId, previous, replacement);
            if (one.moved) _cases[taskId][index].moved = true;
            if (replacement != previous) scoring.replaceWord(taskId, one.word, previous, replacement, proof);
        }
        if (one.moved) {
            // The first committee's pool pays the round, so that the round earns the same whatever its result.
            (uint256 cost, uint256 premium) = rewards.chargeAppeal(taskId, appeal.bond, appeal.bond);
            (toAppellant, toPool) = (appeal.bond + premium, cost);
        }
        owedTo[one.appellant] += toAppellant;
        if (appeal.paidSeats == 0) {
            owedTo[rewards.treasury()] += toPool; // no row is close enough to the medians to be paid
        } else {
            _appeals[taskId].pool += uint88(toPool); // at most the supply, which fits
        }
        // At most `contested`.
        unchecked {
            ++_appeals[taskId].resolved;
        }
        emit ContestResolved(taskId, uint16(index), one.word, one.moved, toAppellant, toPool);
        rewards.tip(taskId, msg.sender);
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
        uint256 tolerance = OVERTURNED_H * registry.scoringTermsOf(taskId).h;
        if (!_differs(words[_cases[taskId][index].word], committee.foundOf(taskId, index), tolerance, true)) {
            revert AppealsNoFault(taskId, operator);
        }
        overturned[taskId][operator] = true;
        uint256 taken = registry.slashEarmark(taskId, operator, OVERTURNED_BPS, msg.sender, false);
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
        staking.addReward(operator, amount);
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
            bond: appeal.bond,
            pool: appeal.pool
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
    function bondOf(uint256 taskId) public view returns (uint256) {
        ITaskRegistry.PayTerms memory terms = registry.payTermsOf(taskId);
        uint256 words = PackedScores.wordCount(terms.entries);
        if (words == 0) return 0;
        uint256 pool = uint256(rewards.escrowOf(taskId).bounty) * terms.validatorBps / BPS;
        return Math.ceilDiv(pool, 2 * words);
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

    /// @dev The first contest of a task opens its appeal.
    function _open(uint256 taskId, Stored memory appeal) private view {
        ITaskRegistry.Windows memory windows = registry.paramsOf(taskId).windows;
        uint256 settledAt = scoring.roundOf(taskId).settledAt;
        if (settledAt == 0 || registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Running) {
            revert AppealsClosed(taskId);
        }
        uint256 contestEnd = settledAt + windows.appeal;
        appeal.state = AppealState.Open;
        // The registry stores windows in 24 bits and times in 40.
        appeal.window = uint24(windows.appeal);
        appeal.contestEnd = uint40(contestEnd);
        appeal.enrolEnd = uint40(contestEnd + windows.enrol);
        appeal.deadline =
            uint40(contestEnd + windows.enrol + windows.scoreCommit + windows.scoreReveal + windows.settle);
        appeal.bond = uint88(bondOf(taskId)); // part of the bounty, which fits
    }

    /// @dev Whether a median moved by more than max(tau, 2h).
    function _moved(uint256 taskId, uint256 previous, uint256 found) private view returns (bool) {
        ITaskRegistry.ScoringTerms memory terms = registry.scoringTermsOf(taskId);
        return _differs(previous, found, Math.max(terms.tau, 2 * uint256(terms.h)), false);
    }

    /// @dev Whether any lane of two words differs by more than `tolerance`; with `graded`, only lanes where both are above 0 count.
    function _differs(uint256 a, uint256 b, uint256 tolerance, bool graded) private pure returns (bool) {
        for (uint256 shift = 0; shift < 256; shift += 16) {
            uint256 x = (a >> shift) & 0xffff;
            uint256 y = (b >> shift) & 0xffff;
            if (graded && (x == 0 || y == 0)) continue;
            if ((x > y ? x - y : y - x) > tolerance) return true;
        }
        return false;
    }
}
