// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Committee} from "./Committee.sol";
import {IAppealCommittee} from "./interfaces/IAppealCommittee.sol";
import {IAppeals} from "./interfaces/IAppeals.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {PackedScores} from "./libraries/PackedScores.sol";

/// @title AppealCommittee: scores the contested words of a task again
contract AppealCommittee is IAppealCommittee, Committee {
    /// @dev One slot.
    struct Earmark {
        uint88 amount; // draws the operator, in addition to its earmark behind the task
        uint88 taken; // slashed so far
        bool released;
    }

    /// @notice A row is paid when each of its scores is within this many h of the median.
    uint256 public constant TOLERANCE_H = 8;

    /// @inheritdoc IAppealCommittee
    IAppeals public immutable override appeals;

    /// @inheritdoc IAppealCommittee
    mapping(uint256 taskId => uint256) public enrolledOf;
    /// @inheritdoc IAppealCommittee
    mapping(uint256 taskId => mapping(uint256 index => uint256)) public foundOf;
    mapping(uint256 taskId => mapping(address operator => Earmark)) private _earmarks;

    constructor(address registry_, address staking_, address rewards_, address randomness_, address appeals_)
        Committee(registry_, staking_, rewards_, randomness_)
    {
        if (appeals_ == address(0)) revert ScoringZeroAddress();
        appeals = IAppeals(appeals_);
    }

    // ------------------------------------------------------------------ validators

    /// @inheritdoc IAppealCommittee
    function enrol(uint256 taskId, address operator, uint256 amount) external {
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        if (appeal.state != IAppeals.AppealState.Open || block.timestamp >= appeal.enrolEnd) {
            revert ScoringWindowClosed(taskId, "enrol");
        }
        if (staking.signerOf(operator) != msg.sender) revert ScoringNotSigner(msg.sender, operator);
        (bytes32 commitment,,,,) = registry.commitmentOf(taskId, operator);
        if (commitment != 0) revert CommitteeIsEntrant(taskId, operator);
        if (_earmarks[taskId][operator].amount != 0) revert CommitteeAlreadyEnrolled(taskId, operator);
        // Staking.earmark below reverts if the amount is zero or exceeds the operator's stake, so the sum is at most the supply.
        uint256 enrolled = enrolledOf[taskId] + amount;
        enrolledOf[taskId] = enrolled;
        _earmarks[taskId][operator].amount = uint88(amount);
        emit AppealEnrolled(taskId, operator, amount, enrolled);
        staking.earmark(operator, amount, registry.scheduleOf(taskId).createdAt);
    }

    // ------------------------------------------------------------------ settlement

    /// @inheritdoc IAppealCommittee
    function settleContests(
        uint256 taskId,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata found,
        uint256[] calldata words
    ) external {
        uint256[] memory table = _measured(taskId, page, rows, found, words);
        _keep(taskId, page, found);
        emit ContestsSettled(taskId, uint16(page), found);
        rewards.tip(taskId, msg.sender);
        _count(taskId, page, table);
    }

    /// @inheritdoc IAppealCommittee
    function release(uint256 taskId, address operator) external {
        IAppeals.AppealState state = appeals.appealOf(taskId).state;
        if (state != IAppeals.AppealState.Settled && state != IAppeals.AppealState.Failed) {
            revert CommitteeNotOver(taskId);
        }
        Earmark storage earmark = _earmarks[taskId][operator];
        if (earmark.amount == 0 || earmark.released) revert CommitteeNothingToRelease(taskId, operator);
        if (owesFault(taskId, operator)) revert CommitteeFaultOpen(taskId, operator);
        earmark.released = true;
        uint256 amount = earmark.amount - earmark.taken;
        emit AppealEarmarkFreed(taskId, operator, amount);
        staking.releaseEarmark(operator, amount);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IAppealCommittee
    function earmarkOf(uint256 taskId, address operator) external view returns (uint256) {
        return _earmarks[taskId][operator].amount;
    }

    /// @inheritdoc IAppealCommittee
    function paidSeatsOf(uint256 taskId, address operator) external view returns (uint16) {
        if (_rounds[taskId].tally.settledAt == 0) return 0;
        RowData memory row = _rows[taskId << 8][operator];
        return _isRevealed(row.mark) && lossOf(taskId, row.mark - FIRST_REVEALED) == 0 ? row.seats : 0;
    }

    /// @inheritdoc IAppealCommittee
    function isQuorumMissed(uint256 taskId) external view returns (bool) {
        Tally memory tally = _rounds[taskId].tally;
        _checkRevealsOver(taskId, tally);
        return !_quorum(tally);
    }

    // ------------------------------------------------------------------ the committee

    function _given(uint256 taskId) internal view override returns (ITaskRegistry.ScoringTerms memory terms) {
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        terms = registry.scoringTermsOf(taskId);
        terms.totalEarmarked += uint128(enrolledOf[taskId]); // all tokens fit 88 bits
        terms.expiresAt = appeal.deadline;
        terms.appeal = 0;
        // Twice the seats plus one, with the bound of the first committee.
        terms.targetSeats = uint16(Math.min(2 * uint256(terms.targetSeats) + 1, 1023));
        terms.entries = uint16(PackedScores.LANES * appeal.contested); // at most 32,768
    }

    function _isReady(uint256 taskId) internal view override returns (bool) {
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        return appeal.state == IAppeals.AppealState.Open && block.timestamp >= appeal.enrolEnd
            && block.timestamp < appeal.deadline;
    }

    function _checkOpen(uint256 taskId) internal view override {
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        if (appeal.state != IAppeals.AppealState.Open || block.timestamp >= appeal.deadline) {
            revert CommitteeNotOpen(taskId);
        }
    }

    function _stakeOf(uint256 taskId, uint8, address operator) internal view override returns (uint256) {
        return registry.earmarkOf(taskId, operator) + _earmarks[taskId][operator].amount;
    }

    /// @dev If the last word of the task is contested, lanes past the last entry must be zero.
    function _firstBadWord(uint256 taskId, uint256[] calldata words, uint256 entries)
        internal
        view
        override
        returns (uint256 bad)
    {
        bad = PackedScores.firstBadWord(words, entries);
        uint256 all = registry.scoringTermsOf(taskId).entries;
        uint256 used = all % PackedScores.LANES;
        if (bad != words.length || used == 0) return bad;
        uint256 last = appeals.contestAt(taskId, PackedScores.wordCount(all) - 1);
        return last == 0 || words[last - 1] << (16 * used) == 0 ? bad : last - 1;
    }

    /// @dev No further committee is drawn.
    function _leave(uint256, uint8, uint256) internal pure override {}

    function _slash(uint256 taskId, address operator, uint256 bps) internal override returns (uint256 taken) {
        if (registry.earmarkOf(taskId, operator) != 0) {
            taken = registry.slashEarmark(taskId, operator, bps, msg.sender, true);
        }
        Earmark storage earmark = _earmarks[taskId][operator];
        uint256 amount = earmark.amount;
        if (amount == 0) return taken;
        // One fault per row, so this is less than the earmark.
        uint256 more = staking.slash(operator, amount - earmark.taken, amount * bps / BPS, msg.sender, true);
        earmark.taken += uint88(more); // at most the earmark, which fits
        return taken + more;
    }

    // ------------------------------------------------------------------ settlement

    /// @dev Check one page. Returns two words per row: its seats, and the distance of its scores beyond 8h from the medians.
    function _measured(
        uint256 taskId,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata found,
        uint256[] calldata words
    ) private view returns (uint256[] memory) {
        _checkOpen(taskId);
        Tally memory tally = _rounds[taskId].tally;
        _checkRevealsOver(taskId, tally);
        if (!_quorum(tally)) revert ScoringQuorum(taskId, tally.revealedSeats, tally.committedSeats);
        Terms memory terms = _rounds[taskId].terms;
        terms.h = uint16(Math.min(TOLERANCE_H * terms.h, PackedScores.MAX_H));
        return _checkPage(taskId, taskId << 8, tally, terms, page, rows, found, words);
    }

    /// @dev Store the median words of a page, at most 64.
    function _keep(uint256 taskId, uint256 page, uint256[] calldata found) private {
        uint256 first = page * PackedScores.pageWords(_rounds[taskId].tally.committedRows);
        for (uint256 i = 0; i < found.length; ++i) {
            foundOf[taskId][first + i] = found[i];
        }
    }

    /// @dev Add a page's losses; after the last page, count the seats of the rows without a loss.
    function _count(uint256 taskId, uint256 page, uint256[] memory table) private {
        RoundData storage round = _rounds[taskId];
        uint256[] memory losses = _addLosses(_losses[taskId << 8], table, page != 0);
        round.tally.settledPages = uint16(page + 1); // at most 2,048 pages
        if (page + 1 != _pageCount(round.tally)) return;
        uint256 paidSeats = 0;
        for (uint256 i = 0; i < table.length / 2; ++i) {
            if (_loss(losses, i) == 0) paidSeats += table[2 * i];
        }
        round.tally.settledAt = uint40(block.timestamp);
        appeals.settled(taskId, uint16(paidSeats)); // at most MAX_SEATS
    }
}
