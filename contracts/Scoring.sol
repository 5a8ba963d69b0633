// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Committee} from "./Committee.sol";
import {IAppeals} from "./interfaces/IAppeals.sol";
import {ICommittee} from "./interfaces/ICommittee.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {PackedScores} from "./libraries/PackedScores.sol";
import {PageTree} from "./libraries/PageTree.sol";

/// @title Scoring: a task's committees, the settlement of their scores, the gains of validators
/// @dev A settled page uses one slot: the root of its medians replaces the hash chain of its rows.
contract Scoring is IScoring, Committee {
    /// @dev One slot: weights < 2^(45 + 15), gainSeats < 2^(15 + 27), spread < 2^27.
    struct TotalsData {
        uint96 weights;
        uint96 gainSeats;
        uint32 spread;
        bool scored;
    }

    /// @dev One slot: what the first round leaves to the second.
    struct Reseat {
        uint88 left; // stake of the operators that abstained or have a reported fault in the first round
        uint40 requestFrom; // 0: no second committee
        bool firstVoid;
        bool lastVoid;
    }

    /// @inheritdoc IScoring
    IAppeals public immutable override appeals;

    mapping(uint256 taskId => TotalsData) private _totals;
    mapping(uint256 taskId => Reseat) private _reseats;

    constructor(address registry_, address staking_, address rewards_, address randomness_, address appeals_)
        Committee(registry_, staking_, rewards_, randomness_)
    {
        if (appeals_ == address(0)) revert ScoringZeroAddress();
        appeals = IAppeals(appeals_);
    }

    // ------------------------------------------------------------------ settlement

    /// @inheritdoc IScoring
    function settlePage(
        uint256 taskId,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata medians,
        uint256[] calldata words
    ) external {
        _checkOpen(taskId);
        // An appeal and the reports after it are given the time that follows.
        if (block.timestamp >= registry.settleEndOf(taskId)) revert ScoringWindowClosed(taskId, "settle");
        RoundData storage round = _rounds[taskId];
        Tally memory tally = round.tally;
        Terms memory terms = round.terms;
        _checkRevealsOver(taskId, tally);
        if (!_quorum(tally)) revert ScoringQuorum(taskId, tally.revealedSeats, tally.committedSeats);
        uint256 key = _key(taskId, tally.number);
        uint256[] memory table = _checkPage(taskId, key, tally, terms, page, rows, medians, words);

        TotalsData memory totals = _totals[taskId];
        (uint256 spread, uint256 weights) =
            PackedScores.weigh(medians, 2 * uint256(terms.h), terms.tau, terms.floorScore, terms.power);
        // See TotalsData for why these fit.
        unchecked {
            totals.weights += uint96(weights);
            totals.spread += uint32(spread);
        }
        if (!totals.scored) totals.scored = PackedScores.anyScore(medians);
        bytes32 root = PageTree.root(medians);
        _pages[key][page] = root;
        emit PageSettled(taskId, tally.number, uint16(page), root, weights, uint64(spread), medians);

        uint256[] memory losses = _addLosses(_losses[key], table, page != 0);
        round.tally.settledPages = uint16(page + 1); // at most 2,048 pages
        rewards.tip(taskId, msg.sender);
        if (page + 1 == _pageCount(tally)) {
            if (!totals.scored) {
                // Nothing was added to the totals.
                emit RoundVoid(taskId, tally.number);
                tally.number == 0 ? _reseats[taskId].firstVoid = true : _reseats[taskId].lastVoid = true;
                _next(taskId, round, tally.number != 0, "void");
                return;
            }
            totals.gainSeats = uint96(_gainSeats(tally.number, terms.appeal != 0, table, losses, totals.spread));
            round.tally.settledAt = uint40(block.timestamp);
            emit RoundSettled(
                taskId,
                tally.number,
                Totals(totals.weights, totals.gainSeats, totals.spread, true),
                losses,
                uint40(block.timestamp + terms.appeal)
            );
        }
        _totals[taskId] = totals;
    }

    /// @inheritdoc IScoring
    function finalise(uint256 taskId) external {
        _checkOpen(taskId);
        uint256 settledAt = _rounds[taskId].tally.settledAt;
        if (settledAt == 0) revert ScoringNotSettled(taskId);
        uint256 payableAt = settledAt + _rounds[taskId].terms.appeal;
        if (block.timestamp < payableAt) revert ScoringAppealOpen(taskId, uint40(payableAt));
        if (appeals.isOpen(taskId)) revert ScoringAppealOpen(taskId, 0);
        rewards.tip(taskId, msg.sender);
        registry.endTask(taskId, ITaskRegistry.Outcome.Paid, "settled");
    }

    /// @inheritdoc IScoring
    function failRound(uint256 taskId) external {
        _checkOpen(taskId);
        RoundData storage round = _rounds[taskId];
        Tally memory tally = round.tally;
        _checkRevealsOver(taskId, tally);
        if (_quorum(tally)) revert ScoringQuorumReached(taskId);
        emit RoundFailed(taskId, tally.number, tally.revealedSeats, tally.committedSeats);
        rewards.tip(taskId, msg.sender);
        _next(taskId, round, tally.number != 0 || round.terms.totalEarmarked <= _reseats[taskId].left, "quorum");
    }

    // ------------------------------------------------------------------ appeals

    /// @inheritdoc IScoring
    function replaceWord(
        uint256 taskId,
        uint256 wordIndex,
        uint256 previous,
        uint256 replacement,
        bytes32[6] calldata proof
    ) external {
        if (msg.sender != address(appeals)) revert ScoringNotAppeals(msg.sender);
        RoundData storage round = _rounds[taskId];
        Tally memory tally = round.tally;
        Terms memory terms = round.terms;
        uint256 width = PackedScores.pageWords(tally.committedRows);
        bytes32 root = pageRootOf(taskId, wordIndex / width);
        if (!PageTree.verify(root, wordIndex % width, previous, proof)) revert ScoringBadProof(taskId, wordIndex);
        root = PageTree.climb(wordIndex % width, replacement, proof);
        _pages[_key(taskId, tally.number)][wordIndex / width] = root;
        uint256 weights = _totals[taskId].weights;
        weights -= PackedScores.weightOf(previous, terms.floorScore, terms.power);
        weights += PackedScores.weightOf(replacement, terms.floorScore, terms.power);
        _totals[taskId].weights = uint96(weights); // see TotalsData for why it fits
        emit MedianReplaced(taskId, tally.number, uint16(wordIndex), previous, replacement, root, weights);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IScoring
    function totalsOf(uint256 taskId) external view returns (Totals memory) {
        TotalsData memory totals = _totals[taskId];
        return Totals(totals.weights, totals.gainSeats, totals.spread, totals.scored);
    }

    /// @inheritdoc IScoring
    function pageRootOf(uint256 taskId, uint256 page) public view returns (bytes32) {
        if (page >= _rounds[taskId].tally.settledPages) return 0;
        return _pages[_currentKey(taskId)][page];
    }

    /// @inheritdoc IScoring
    function gainOf(uint256 taskId, address operator) external view returns (uint256 gain) {
        (, gain) = shareOf(taskId, operator);
    }

    /// @inheritdoc IScoring
    function shareOf(uint256 taskId, address operator) public view returns (uint16 seats, uint256 gain) {
        Tally memory tally = _rounds[taskId].tally;
        if (tally.settledAt == 0) revert ScoringNotSettled(taskId);
        uint256 key = _key(taskId, tally.number);
        RowData memory row = _rows[key][operator];
        if (!_isRevealed(row.mark)) return (0, 0);
        uint256 index = row.mark - FIRST_REVEALED;
        uint256 loss = uint32(_losses[key][index / 8] >> (32 * (index % 8)));
        return (row.seats, _gain(tally.number, _rounds[taskId].terms.appeal != 0, _totals[taskId].spread, loss));
    }

    /// @inheritdoc IScoring
    function hasVoidRound(uint256 taskId) external view returns (bool) {
        Reseat memory reseat = _reseats[taskId];
        return reseat.firstVoid || reseat.lastVoid;
    }

    /// @inheritdoc IScoring
    function requestFromOf(uint256 taskId) external view returns (uint40) {
        return _reseats[taskId].requestFrom;
    }

    /// @inheritdoc ICommittee
    function unitOf(uint256 taskId, uint8 number) public view override(ICommittee, Committee) returns (uint256) {
        Terms memory terms = _round(taskId, number).terms;
        return registry.unitOf(taskId, terms.totalEarmarked, _round(taskId, number).tally.targetSeats);
    }

    /// @inheritdoc IScoring
    function verifyMedianWord(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        view
        returns (bool)
    {
        uint256 width = PackedScores.pageWords(_rounds[taskId].tally.committedRows);
        // No root is zero, so no proof is valid for a page that is not settled.
        return PageTree.verify(pageRootOf(taskId, wordIndex / width), wordIndex % width, word, proof);
    }

    /// @inheritdoc IScoring
    function isSettled(uint256 taskId) external view returns (bool) {
        return _rounds[taskId].tally.settledAt != 0;
    }

    // ------------------------------------------------------------------ the committee

    function _given(uint256 taskId) internal view override returns (ITaskRegistry.ScoringTerms memory terms) {
        terms = registry.scoringTermsOf(taskId);
        Reseat memory reseat = _reseats[taskId];
        // The excluded stake is part of the earmarked stake. Nobody leaves for a void round.
        if (reseat.requestFrom != 0 && !reseat.firstVoid) terms.totalEarmarked -= reseat.left;
    }

    function _isReady(uint256 taskId) internal view override returns (bool) {
        return block.timestamp >= _reseats[taskId].requestFrom && registry.readyForSeed(taskId);
    }

    function _checkOpen(uint256 taskId) internal view override {
        if (registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Running) revert ScoringEnded(taskId);
    }

    /// @dev An operator that abstained in a missed first round, did not reveal, or was reported as absent before the second seed was
    /// requested, has no seat in the second.
    function _stakeOf(uint256 taskId, uint8 number, address operator) internal view override returns (uint256) {
        if (number != 0 && !_reseats[taskId].firstVoid) {
            uint16 mark = _rows[_key(taskId, 0)][operator].mark;
            if (mark != NONE && mark != LATE_ABSENT && !_isRevealed(mark)) return 0;
        }
        return registry.earmarkOf(taskId, operator);
    }

    function _firstBadWord(uint256, uint256[] calldata words, uint256 entries)
        internal
        pure
        override
        returns (uint256)
    {
        return PackedScores.firstBadWord(words, entries);
    }

    function _leave(uint256 taskId, uint8 number, uint256 stake) internal override {
        if (number == 0) _reseats[taskId].left += uint88(stake); // part of the earmarked stake, which fits
    }

    function _slash(uint256 taskId, address operator, uint256 amount) internal override returns (uint256) {
        return registry.slashEarmark(taskId, operator, amount, msg.sender, ITaskRegistry.SlashKind.Capped);
    }

    function _tip(uint256 taskId) internal override {
        rewards.tip(taskId, msg.sender);
    }

    // ------------------------------------------------------------------ a lost round

    /// @dev Fail the task if it was the last round, or prepare a second committee. The registry lets a quarter of the slack pass first, so
    /// that faults are reported before the stake is frozen.
    function _next(uint256 taskId, RoundData storage round, bool last, bytes32 reason) private {
        if (last) {
            registry.endTask(taskId, ITaskRegistry.Outcome.Failed, reason);
            return;
        }
        _past[_key(taskId, 0)] = round;
        delete _rounds[taskId];
        round.tally.number = 1;
        uint40 from = registry.extend(taskId);
        _reseats[taskId].requestFrom = from;
        emit Reseated(taskId, 1, from);
    }

    // ------------------------------------------------------------------ gains

    /// @dev Sum of seats · gain over all rows.
    function _gainSeats(uint8 number, bool isSealed, uint256[] memory table, uint256[] memory losses, uint256 spread)
        private
        pure
        returns (uint256 sum)
    {
        uint256 rows = table.length / 2;
        for (uint256 i = 0; i < rows; ++i) {
            sum += table[2 * i] * _gain(number, isSealed, spread, _loss(losses, i));
        }
    }

    /// @dev max(0, G - 2L). A second committee is paid flat: 1 if that is above 0. Rows of a sealed task can be recomputed, so there
    /// a loss gains nothing; a copy of the first committee's rows, which scored another part, has one.
    function _gain(uint8 number, bool isSealed, uint256 spread, uint256 loss) private pure returns (uint256) {
        if (number != 0 && isSealed && loss != 0) return 0;
        if (spread <= 2 * loss) return 0;
        return number == 0 ? spread - 2 * loss : 1;
    }
}
