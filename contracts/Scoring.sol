// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Committee} from "./Committee.sol";
import {IAppeals} from "./interfaces/IAppeals.sol";
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
        uint64 spread;
    }

    /// @inheritdoc IScoring
    IAppeals public immutable override appeals;

    mapping(uint256 taskId => TotalsData) private _totals;
    /// @dev Stake of the operators that abstained or have a reported fault in the first round.
    mapping(uint256 taskId => uint256) private _left;

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
            totals.spread += uint64(spread);
        }
        bytes32 root = PageTree.root(medians);
        _pages[key][page] = root;
        emit PageSettled(taskId, tally.number, uint16(page), root, weights, uint64(spread), medians);

        uint256[] memory losses = _addLosses(_losses[key], table, page != 0);
        round.tally.settledPages = uint16(page + 1); // at most 2,048 pages
        if (page + 1 == _pageCount(tally)) {
            totals.gainSeats = uint96(_gainSeats(tally.number, table, losses, totals.spread));
            round.tally.settledAt = uint40(block.timestamp);
            emit RoundSettled(
                taskId,
                tally.number,
                Totals(totals.weights, totals.gainSeats, totals.spread),
                losses,
                uint40(block.timestamp + terms.appeal)
            );
        }
        _totals[taskId] = totals;
        rewards.tip(taskId, msg.sender);
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
        if (tally.number != 0 || round.terms.totalEarmarked <= _left[taskId]) {
            registry.endTask(taskId, ITaskRegistry.Outcome.Failed, "quorum");
            return;
        }
        _past[_key(taskId, 0)] = round;
        delete _rounds[taskId];
        round.tally.number = 1;
        emit Reseated(taskId, 1);
        registry.extend(taskId);
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
        return Totals({weights: totals.weights, gainSeats: totals.gainSeats, spread: totals.spread});
    }

    /// @inheritdoc IScoring
    function pageRootOf(uint256 taskId, uint256 page) public view returns (bytes32) {
        if (page >= _rounds[taskId].tally.settledPages) return 0;
        return _pages[_currentKey(taskId)][page];
    }

    /// @inheritdoc IScoring
    function gainOf(uint256 taskId, address operator) external view returns (uint256) {
        Tally memory tally = _rounds[taskId].tally;
        if (tally.settledAt == 0) revert ScoringNotSettled(taskId);
        uint16 mark = _rows[_key(taskId, tally.number)][operator].mark;
        if (!_isRevealed(mark)) return 0;
        return _gain(tally.number, _totals[taskId].spread, lossOf(taskId, mark - FIRST_REVEALED));
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
        // The excluded stake is part of the earmarked stake.
        if (_rounds[taskId].tally.number != 0) terms.totalEarmarked -= uint128(_left[taskId]);
    }

    function _isReady(uint256 taskId) internal view override returns (bool) {
        return registry.readyForSeed(taskId);
    }

    function _checkOpen(uint256 taskId) internal view override {
        if (registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Running) revert ScoringEnded(taskId);
    }

    /// @dev An operator that abstained or failed in the first round has no seat in the second.
    function _stakeOf(uint256 taskId, uint8 number, address operator) internal view override returns (uint256) {
        if (number != 0) {
            uint16 mark = _rows[_key(taskId, 0)][operator].mark;
            if (mark != NONE && !_isRevealed(mark)) return 0;
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
        if (number == 0) _left[taskId] += stake;
    }

    function _slash(uint256 taskId, address operator, uint256 bps) internal override returns (uint256) {
        return registry.slashEarmark(taskId, operator, bps, msg.sender, true);
    }

    // ------------------------------------------------------------------ gains

    /// @dev Sum of seats · gain over all rows.
    function _gainSeats(uint8 number, uint256[] memory table, uint256[] memory losses, uint256 spread)
        private
        pure
        returns (uint256 sum)
    {
        uint256 rows = table.length / 2;
        for (uint256 i = 0; i < rows; ++i) {
            sum += table[2 * i] * _gain(number, spread, _loss(losses, i));
        }
    }

    /// @dev max(0, G - 2L); a second committee is paid flat: 1 if that is above 0.
    function _gain(uint8 number, uint256 spread, uint256 loss) private pure returns (uint256) {
        if (spread <= 2 * loss) return 0;
        return number == 0 ? spread - 2 * loss : 1;
    }
}
