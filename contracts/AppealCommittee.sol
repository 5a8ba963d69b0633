// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Committee} from "./Committee.sol";
import {IAppealCommittee} from "./interfaces/IAppealCommittee.sol";
import {IAppeals} from "./interfaces/IAppeals.sol";
import {ICommittee} from "./interfaces/ICommittee.sol";
import {IFaults} from "./interfaces/IFaults.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {PackedScores} from "./libraries/PackedScores.sol";

/// @title AppealCommittee: scores the contested words of a task again
contract AppealCommittee is IAppealCommittee, Committee {
    enum Standing {
        None,
        Enrolled,
        Released
    }

    /// @dev One slot. The operator is drawn by `amount` and by its earmark behind the task.
    struct Earmark {
        uint88 amount;
        uint88 taken; // slashed so far
        uint24 gen; // what IStaking.earmark returned
        uint48 net;
        Standing standing;
    }

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
        if (staking.signerOf(operator) != msg.sender) revert ScoringNotSigner(msg.sender, operator);
        Earmark storage earmark = _earmarks[taskId][operator];
        if (earmark.standing != Standing.None) revert CommitteeAlreadyEnrolled(taskId, operator);
        (uint256 behind, uint256 least, uint48 createdAt) = appeals.admissionOf(taskId, operator);
        if (!staking.isEligible(operator)) revert CommitteeNotEligible(operator);
        // Staking.earmark below reverts if the operator has less, so all sums are at most the supply, which fits 88 bits.
        uint256 stake = amount + behind;
        if (stake < least) revert CommitteeStakeBelowSeat(stake, least);
        uint256 enrolled = enrolledOf[taskId] + stake;
        enrolledOf[taskId] = enrolled;
        earmark.standing = Standing.Enrolled;
        emit AppealEnrolled(taskId, operator, amount, stake, enrolled);
        if (amount == 0) return;
        earmark.amount = uint88(amount);
        (earmark.gen, earmark.net) = staking.earmark(operator, amount, createdAt);
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
        _tip(taskId);
        _count(taskId, page, table);
    }

    /// @inheritdoc IAppealCommittee
    function release(uint256 taskId, address operator) external {
        IAppeals.Phase memory phase = appeals.phaseOf(taskId);
        if (phase.state == IAppeals.AppealState.None || phase.state == IAppeals.AppealState.Open) {
            revert CommitteeNotOver(taskId);
        }
        Earmark storage earmark = _earmarks[taskId][operator];
        if (earmark.standing != Standing.Enrolled) revert CommitteeNothingToRelease(taskId, operator);
        if (
            block.timestamp < phase.reportEnd || owesFault(taskId, operator)
                || IFaults(registry.faults()).owes(taskId, operator)
        ) revert CommitteeFaultOpen(taskId, operator);
        earmark.standing = Standing.Released;
        uint256 amount = earmark.amount - earmark.taken;
        emit AppealEarmarkFreed(taskId, operator, amount);
        if (amount != 0) staking.releaseEarmark(operator, amount);
    }

    // ------------------------------------------------------------------ faults

    /// @inheritdoc IAppealCommittee
    function slash(uint256 taskId, address operator, uint256 amount, address reporter, ITaskRegistry.SlashKind kind)
        external
        returns (uint256 taken)
    {
        if (msg.sender != registry.faults()) revert CommitteeNotFaults(msg.sender);
        return _take(taskId, operator, amount, reporter, kind);
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
    function stakeOf(uint256 taskId, address operator) external view returns (uint256) {
        return _stakeOf(taskId, 0, operator);
    }

    /// @inheritdoc IAppealCommittee
    function isLost(uint256 taskId) external view returns (bool) {
        IAppeals.Phase memory phase = appeals.phaseOf(taskId);
        if (block.timestamp < phase.enrolEnd) return false;
        if (enrolledOf[taskId] < phase.leastStake) return true;
        Tally memory tally = _rounds[taskId].tally;
        _checkRevealsOver(taskId, tally);
        return !_quorum(tally);
    }

    /// @inheritdoc ICommittee
    /// @dev Of all stake behind the task, so that the whole committee answers for the bounty.
    function unitOf(uint256 taskId, uint8) public view override(ICommittee, Committee) returns (uint256) {
        return appeals.unitOf(taskId);
    }

    // ------------------------------------------------------------------ the committee

    function _given(uint256 taskId) internal view override returns (ITaskRegistry.ScoringTerms memory terms) {
        terms = appeals.committeeTermsOf(taskId);
        terms.totalEarmarked = uint128(enrolledOf[taskId]); // all tokens fit 88 bits
    }

    function _isReady(uint256 taskId) internal view override returns (bool) {
        IAppeals.Phase memory phase = appeals.phaseOf(taskId);
        return _isOpen(phase) && block.timestamp >= phase.enrolEnd && enrolledOf[taskId] >= phase.leastStake;
    }

    function _checkOpen(uint256 taskId) internal view override {
        if (!_isOpen(appeals.phaseOf(taskId))) revert CommitteeNotOpen(taskId);
    }

    function _isOpen(IAppeals.Phase memory phase) private view returns (bool) {
        return phase.state == IAppeals.AppealState.Open && block.timestamp < phase.deadline;
    }

    function _stakeOf(uint256 taskId, uint8, address operator) internal view override returns (uint256) {
        Earmark memory earmark = _earmarks[taskId][operator];
        return earmark.standing == Standing.None ? 0 : registry.earmarkOf(taskId, operator) + earmark.amount;
    }

    /// @dev If the last word of the task is contested, lanes past the last entry must be zero.
    function _firstBadWord(uint256 taskId, uint256[] calldata words, uint256 entries)
        internal
        view
        override
        returns (uint256 bad)
    {
        bad = PackedScores.firstBadWord(words, entries);
        (uint256 last, uint256 used) = appeals.lastWordOf(taskId);
        return bad != words.length || last == 0 || words[last - 1] << (16 * used) == 0 ? bad : last - 1;
    }

    /// @dev No further committee is drawn.
    function _leave(uint256, uint8, uint256) internal pure override {}

    function _slash(uint256 taskId, address operator, uint256 amount) internal override returns (uint256) {
        return _take(taskId, operator, amount, msg.sender, ITaskRegistry.SlashKind.Capped);
    }

    /// @dev Tips of an appeal are prepaid by the appellants.
    function _tip(uint256 taskId) internal override {
        appeals.tip(taskId, msg.sender);
    }

    // ------------------------------------------------------------------ stake

    /// @dev Slash what the earmark of the appeal has left first, then the one behind the task.
    function _take(uint256 taskId, address operator, uint256 amount, address reporter, ITaskRegistry.SlashKind kind)
        private
        returns (uint256 taken)
    {
        Earmark memory earmark = _earmarks[taskId][operator];
        uint256 left = earmark.amount - earmark.taken;
        uint256 first = Math.min(amount, left);
        if (first != 0) {
            bool failed = kind == ITaskRegistry.SlashKind.FailedTask;
            taken = staking.slash(
                IStaking.SlashOrder({
                    operator: operator,
                    earmarked: left,
                    amount: first,
                    gen: earmark.gen,
                    net: earmark.net,
                    reporter: reporter,
                    capped: kind == ITaskRegistry.SlashKind.Capped,
                    ownFirst: failed,
                    jails: failed
                })
            );
            _earmarks[taskId][operator].taken = uint88(earmark.taken + taken); // at most the earmark, which fits
        }
        if (first < amount && registry.heldOf(taskId, operator) != 0) {
            taken += registry.slashEarmark(taskId, operator, amount - first, reporter, kind);
        }
    }

    // ------------------------------------------------------------------ settlement

    /// @dev Check one page. Returns two words per row: its seats, and the distance of its scores beyond h from the medians.
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
        return _checkPage(taskId, taskId << 8, tally, _rounds[taskId].terms, page, rows, found, words);
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
