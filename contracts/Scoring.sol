// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IRandomness} from "./interfaces/IRandomness.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {PackedScores} from "./libraries/PackedScores.sol";
import {PageTree} from "./libraries/PageTree.sol";
import {Sortition} from "./libraries/Sortition.sol";

/// @title Scoring: seed, seats, score commit-reveal, settlement
/// @dev Nothing is stored per score. A row takes one slot, a page one: the fold of its rows, then the root of its medians.
contract Scoring is IScoring {
    /// @dev One slot: all that a reveal reads and writes.
    struct Tally {
        uint40 scoreCommitEnd; // 0: no seed yet
        uint40 scoreRevealEnd;
        uint8 number;
        uint16 entries;
        uint16 targetSeats; // K
        uint16 committedRows;
        uint16 committedSeats;
        uint16 revealedRows;
        uint16 revealedSeats;
        uint16 settledPages;
        uint40 settledAt;
    }

    /// @dev One slot: the rest of the terms, and when the seed comes and came.
    struct Terms {
        uint48 target;
        uint40 seedAt;
        uint88 totalEarmarked; // S
        uint16 h;
        uint16 tau;
        uint16 floorScore;
        uint8 power;
        uint24 appeal;
    }

    struct RoundData {
        Tally tally;
        Terms terms;
        bytes32 seed;
    }

    /// @dev One slot. 28 bytes of the commitment bind: a second preimage costs 2^224 hashes, a collision of one's own 2^112.
    struct RowData {
        bytes28 commitment;
        uint16 seats;
        uint16 mark; // NONE, COMMITTED, ABSTAINED, or FIRST_REVEALED + index of reveal
    }

    /// @dev One slot: weights < 2^(45 + 15), gainSeats < 2^(15 + 27), spread < 2^27.
    struct TotalsData {
        uint96 weights;
        uint96 gainSeats;
        uint64 spread;
    }

    uint16 private constant NONE = 0;
    uint16 private constant COMMITTED = 1;
    uint16 private constant ABSTAINED = 2;
    uint16 private constant FIRST_REVEALED = 3;

    ITaskRegistry public immutable registry;
    IStaking public immutable staking;
    IRewards public immutable rewards;
    IRandomness public immutable randomness;

    mapping(uint256 taskId => RoundData) private _rounds;
    mapping(uint256 taskId => TotalsData) private _totals;
    // Rows, pages and losses are filed by task and round number, so that a reseated committee shares nothing with the one before.
    mapping(uint256 key => mapping(address operator => RowData)) private _rows;
    /// @dev The fold of a page's rows until it is settled, its root from then on.
    mapping(uint256 key => mapping(uint256 page => bytes32)) private _pages;
    /// @dev Losses, eight to a word: the row revealed i-th at bits 32·(i mod 8) of word i / 8. A sum is below 2^15 · 2^12.
    mapping(uint256 key => mapping(uint256 slot => uint256)) private _losses;

    constructor(address registry_, address staking_, address rewards_, address randomness_) {
        registry = ITaskRegistry(registry_);
        staking = IStaking(staking_);
        rewards = IRewards(rewards_);
        randomness = IRandomness(randomness_);
    }

    // ------------------------------------------------------------------ seed

    /// @inheritdoc IScoring
    function requestSeed(uint256 taskId) external {
        RoundData storage round = _rounds[taskId];
        Terms memory terms = round.terms;
        ITaskRegistry.ScoringTerms memory given = registry.scoringTermsOf(taskId);
        if (terms.target == 0) {
            if (!registry.readyForSeed(taskId)) revert ScoringNotReady(taskId);
            terms.totalEarmarked = uint88(given.totalEarmarked); // the registry keeps 88 bits
            terms.h = given.h;
            terms.tau = given.tau;
            terms.floorScore = given.floorScore;
            terms.power = given.power;
            terms.appeal = uint24(given.appeal); // the registry keeps 24 bits
            round.tally.entries = given.entries;
            round.tally.targetSeats = given.targetSeats;
        } else {
            if (terms.seedAt != 0) revert ScoringSeedFixed(taskId);
            _checkRunning(taskId);
            if (!randomness.isLost(terms.target)) revert ScoringSeedPending(taskId, terms.target);
        }
        _scoreWindows(taskId, given);
        terms.target = SafeCast.toUint48(randomness.request());
        round.terms = terms;
        emit SeedRequested(taskId, round.tally.number, terms.target, given.totalEarmarked);
        rewards.tip(taskId, msg.sender);
    }

    /// @inheritdoc IScoring
    function fixSeed(uint256 taskId, bytes calldata proof) external {
        RoundData storage round = _rounds[taskId];
        Terms memory terms = round.terms;
        if (terms.target == 0) revert ScoringNoSeed(taskId);
        if (terms.seedAt != 0) revert ScoringSeedFixed(taskId);
        _checkRunning(taskId);
        (uint40 commitEnd, uint40 revealEnd) = _scoreWindows(taskId, registry.scoringTermsOf(taskId));
        bytes32 seed = randomness.reveal(terms.target, proof);
        round.seed = seed;
        round.terms.seedAt = uint40(block.timestamp);
        round.tally.scoreCommitEnd = commitEnd;
        round.tally.scoreRevealEnd = revealEnd;
        emit SeedFixed(taskId, round.tally.number, seed, commitEnd, revealEnd);
        rewards.tip(taskId, msg.sender);
    }

    // ------------------------------------------------------------------ validators

    /// @inheritdoc IScoring
    function commitScores(uint256 taskId, address operator, bytes32 commitment) external {
        RoundData storage round = _rounds[taskId];
        Tally memory tally = round.tally;
        (RowData storage row, uint16 seats) = _takeSeat(taskId, round, tally, operator);
        uint256 rows = uint256(tally.committedRows) + 1;
        uint256 allSeats = uint256(tally.committedSeats) + seats;
        // With at most 1,023 seats expected neither bound is ever met; were it, the settlement's lanes would overflow.
        if (rows > PackedScores.MAX_ROWS || allSeats > PackedScores.MAX_SEATS) revert ScoringFull(taskId);
        round.tally.committedRows = uint16(rows);
        round.tally.committedSeats = uint16(allSeats);
        row.commitment = bytes28(commitment);
        row.seats = seats;
        row.mark = COMMITTED;
        emit ScoresCommitted(taskId, tally.number, operator, seats, commitment);
    }

    /// @inheritdoc IScoring
    function abstain(uint256 taskId, address operator) external {
        RoundData storage round = _rounds[taskId];
        Tally memory tally = round.tally;
        (RowData storage row, uint16 seats) = _takeSeat(taskId, round, tally, operator);
        row.seats = seats;
        row.mark = ABSTAINED;
        emit Abstained(taskId, tally.number, operator, seats);
    }

    /// @inheritdoc IScoring
    function revealScores(
        uint256 taskId,
        address operator,
        uint256[] calldata words,
        bytes32 evidenceDigest,
        bytes32 salt
    ) external {
        Tally storage tally = _rounds[taskId].tally;
        if (block.timestamp < tally.scoreCommitEnd || block.timestamp >= tally.scoreRevealEnd) {
            revert ScoringWindowClosed(taskId, "scoreReveal");
        }
        uint8 number = tally.number;
        uint256 key = _key(taskId, number);
        RowData storage row = _rows[key][operator];
        if (row.mark != COMMITTED) revert ScoringNotCommitted(taskId, operator);
        uint256 count = PackedScores.wordCount(tally.entries);
        if (words.length != count) revert ScoringBadLength(words.length, count);
        bytes32 wordsHash = PackedScores.hashWords(words, 0, count);
        bytes32 commitment = keccak256(
            abi.encode(block.chainid, address(this), taskId, uint256(number), operator, wordsHash, evidenceDigest, salt)
        );
        if (bytes28(commitment) != row.commitment) revert ScoringBadReveal(taskId, operator);
        uint256 bad = PackedScores.firstBadWord(words, tally.entries);
        if (bad != count) revert ScoringBadWord(bad);

        uint16 seats = row.seats;
        uint16 index = tally.revealedRows;
        uint256 width = PackedScores.pageWords(tally.committedRows);
        // Revealed rows and seats are among the committed, which fit.
        unchecked {
            (tally.revealedRows, tally.revealedSeats) = (index + 1, tally.revealedSeats + seats);
            row.mark = FIRST_REVEALED + index;
        }
        _foldPages(_pages[key], width, PackedScores.head(operator, seats), words, wordsHash);
        emit ScoresRevealed(taskId, number, operator, seats, index, evidenceDigest, words);
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
        _checkRunning(taskId);
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
        // TotalsData says why these fit.
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
            totals.gainSeats = uint96(_gainSeats(table, losses, totals.spread));
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
        _checkRunning(taskId);
        uint256 settledAt = _rounds[taskId].tally.settledAt;
        if (settledAt == 0) revert ScoringNotSettled(taskId);
        uint256 payableAt = settledAt + _rounds[taskId].terms.appeal;
        if (block.timestamp < payableAt) revert ScoringAppealOpen(taskId, uint40(payableAt));
        rewards.tip(taskId, msg.sender);
        registry.endTask(taskId, ITaskRegistry.Outcome.Paid, "settled");
    }

    /// @inheritdoc IScoring
    function failRound(uint256 taskId) external {
        _checkRunning(taskId);
        Tally memory tally = _rounds[taskId].tally;
        _checkRevealsOver(taskId, tally);
        if (_quorum(tally)) revert ScoringQuorumReached(taskId);
        emit RoundFailed(taskId, tally.number, tally.revealedSeats, tally.committedSeats);
        rewards.tip(taskId, msg.sender);
        registry.endTask(taskId, ITaskRegistry.Outcome.Failed, "quorum");
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IScoring
    function roundOf(uint256 taskId) external view returns (Round memory) {
        Terms memory terms = _rounds[taskId].terms;
        Tally memory tally = _rounds[taskId].tally;
        bool committed = tally.committedRows != 0;
        return Round({
            number: tally.number,
            target: terms.target,
            seed: _rounds[taskId].seed,
            seedAt: terms.seedAt,
            scoreCommitEnd: tally.scoreCommitEnd,
            scoreRevealEnd: tally.scoreRevealEnd,
            committedRows: tally.committedRows,
            committedSeats: tally.committedSeats,
            revealedRows: tally.revealedRows,
            revealedSeats: tally.revealedSeats,
            pageWords: committed ? uint16(PackedScores.pageWords(tally.committedRows)) : 0,
            pages: committed ? uint16(_pageCount(tally)) : 0,
            settledPages: tally.settledPages,
            settledAt: tally.settledAt
        });
    }

    /// @inheritdoc IScoring
    function totalsOf(uint256 taskId) external view returns (Totals memory) {
        TotalsData memory totals = _totals[taskId];
        return Totals({weights: totals.weights, gainSeats: totals.gainSeats, spread: totals.spread});
    }

    /// @inheritdoc IScoring
    function rowOf(uint256 taskId, address operator) external view returns (Row memory row) {
        RowData memory data = _rows[_currentKey(taskId)][operator];
        row.commitment = data.commitment;
        row.seats = data.seats;
        if (data.mark >= FIRST_REVEALED) {
            row.status = RowStatus.Revealed;
            row.index = data.mark - FIRST_REVEALED;
        } else {
            row.status = RowStatus(data.mark);
        }
    }

    /// @inheritdoc IScoring
    function seatsOf(uint256 taskId, address operator) external view returns (uint16) {
        RoundData storage round = _rounds[taskId];
        if (round.tally.scoreCommitEnd == 0) revert ScoringNoSeed(taskId);
        return _seatsOf(taskId, round, round.tally.number, round.tally.targetSeats, operator);
    }

    /// @inheritdoc IScoring
    function accumulatorOf(uint256 taskId, uint256 page) external view returns (bytes32) {
        if (page < _rounds[taskId].tally.settledPages) return 0;
        return _pages[_currentKey(taskId)][page];
    }

    /// @inheritdoc IScoring
    function pageRootOf(uint256 taskId, uint256 page) public view returns (bytes32) {
        if (page >= _rounds[taskId].tally.settledPages) return 0;
        return _pages[_currentKey(taskId)][page];
    }

    /// @inheritdoc IScoring
    function lossOf(uint256 taskId, uint32 index) public view returns (uint32) {
        return uint32(_losses[_currentKey(taskId)][index / 8] >> (32 * (index % 8)));
    }

    /// @inheritdoc IScoring
    function gainOf(uint256 taskId, address operator) external view returns (uint256) {
        if (_rounds[taskId].tally.settledAt == 0) revert ScoringNotSettled(taskId);
        uint16 mark = _rows[_currentKey(taskId)][operator].mark;
        if (mark < FIRST_REVEALED) return 0;
        return _gain(_totals[taskId].spread, lossOf(taskId, mark - FIRST_REVEALED));
    }

    /// @inheritdoc IScoring
    function verifyMedianWord(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        view
        returns (bool)
    {
        uint256 width = PackedScores.pageWords(_rounds[taskId].tally.committedRows);
        // No root is zero, so nothing verifies against a page that is not settled.
        return PageTree.verify(pageRootOf(taskId, wordIndex / width), wordIndex % width, word, proof);
    }

    /// @inheritdoc IScoring
    function isSettled(uint256 taskId) external view returns (bool) {
        return _rounds[taskId].tally.settledAt != 0;
    }

    // ------------------------------------------------------------------ private: keys and checks

    function _key(uint256 taskId, uint8 number) private pure returns (uint256) {
        return (taskId << 8) | number;
    }

    function _currentKey(uint256 taskId) private view returns (uint256) {
        return _key(taskId, _rounds[taskId].tally.number);
    }

    function _checkRunning(uint256 taskId) private view {
        if (registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Running) revert ScoringEnded(taskId);
    }

    /// @dev Ends of the score windows were the seed fixed now.
    function _scoreWindows(uint256 taskId, ITaskRegistry.ScoringTerms memory terms)
        private
        view
        returns (uint40 commitEnd, uint40 revealEnd)
    {
        commitEnd = uint40(block.timestamp) + terms.scoreCommit;
        revealEnd = commitEnd + terms.scoreReveal;
        // Validators shall not work on what would expire before it could be paid.
        if (uint256(revealEnd) + terms.appeal > terms.expiresAt) revert ScoringWindowClosed(taskId, "seed");
    }

    /// @dev Checks seed, window, signer, seat, and that the operator has done nothing in this round yet. Returns its row and seats.
    function _takeSeat(uint256 taskId, RoundData storage round, Tally memory tally, address operator)
        private
        view
        returns (RowData storage row, uint16 seats)
    {
        if (tally.scoreCommitEnd == 0) revert ScoringNoSeed(taskId);
        if (block.timestamp >= tally.scoreCommitEnd) revert ScoringWindowClosed(taskId, "scoreCommit");
        if (staking.signerOf(operator) != msg.sender) revert ScoringNotSigner(msg.sender, operator);
        row = _rows[_key(taskId, tally.number)][operator];
        if (row.mark != NONE) revert ScoringAlreadyCommitted(taskId, operator);
        seats = _seatsOf(taskId, round, tally.number, tally.targetSeats, operator);
        if (seats == 0) revert ScoringNoSeat(taskId, operator);
    }

    function _seatsOf(uint256 taskId, RoundData storage round, uint8 number, uint16 targetSeats, address operator)
        private
        view
        returns (uint16)
    {
        uint256 earmark = registry.earmarkOf(taskId, operator);
        if (earmark == 0) return 0;
        bytes32 draw =
            keccak256(abi.encode(block.chainid, address(this), taskId, uint256(number), round.seed, operator));
        // At most K + 1.
        return uint16(Sortition.seats(draw, earmark, round.terms.totalEarmarked, targetSeats));
    }

    /// @dev No reveal can come any more: the window is over, or commits are closed and all committed rows are revealed.
    function _checkRevealsOver(uint256 taskId, Tally memory tally) private view {
        if (tally.scoreCommitEnd == 0) revert ScoringNoSeed(taskId);
        uint40 until = tally.committedRows == tally.revealedRows ? tally.scoreCommitEnd : tally.scoreRevealEnd;
        if (block.timestamp < until) revert ScoringWindowOpen(taskId, until);
    }

    function _quorum(Tally memory tally) private pure returns (bool) {
        uint256 doubled = 2 * uint256(tally.revealedSeats);
        return doubled > tally.committedSeats && doubled > tally.targetSeats;
    }

    function _pageCount(Tally memory tally) private pure returns (uint256) {
        uint256 width = PackedScores.pageWords(tally.committedRows);
        return (PackedScores.wordCount(tally.entries) + width - 1) / width;
    }

    // ------------------------------------------------------------------ private: rows and pages

    function _foldPages(
        mapping(uint256 => bytes32) storage pages,
        uint256 width,
        uint256 head,
        uint256[] calldata words,
        bytes32 wordsHash
    ) private {
        uint256 count = words.length;
        if (count <= width) {
            // One page: its hash is the row's, which the commitment check has computed.
            pages[0] = PackedScores.fold(pages[0], head, wordsHash);
            return;
        }
        uint256 page = 0;
        for (uint256 from = 0; from < count; from += width) {
            uint256 size = count - from < width ? count - from : width;
            pages[page] = PackedScores.fold(pages[page], head, PackedScores.hashWords(words, from, size));
            ++page;
        }
    }

    /// @dev Check a page's rows and medians. Returns two words a row: its seats, its loss in this page.
    function _checkPage(
        uint256 taskId,
        uint256 key,
        Tally memory tally,
        Terms memory terms,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata medians,
        uint256[] calldata words
    ) private view returns (uint256[] memory table) {
        if (page < tally.settledPages) revert ScoringPageSettled(taskId, page);
        uint256 width = PackedScores.pageWords(tally.committedRows);
        uint256 all = PackedScores.wordCount(tally.entries);
        if (page > tally.settledPages || page * width >= all) revert ScoringBadPage(taskId, page);
        if (width > all - page * width) width = all - page * width;
        if (medians.length != width) revert ScoringBadLength(medians.length, width);
        if (rows.length != tally.revealedRows) revert ScoringBadLength(rows.length, tally.revealedRows);
        if (words.length != rows.length * width) revert ScoringBadLength(words.length, rows.length * width);
        if (PackedScores.foldRows(rows, words, width) != _pages[key][page]) revert ScoringBadRows(taskId, page);
        uint256 bad;
        (table, bad) = PackedScores.measure(rows, medians, words, terms.h, terms.tau, tally.revealedSeats);
        if (bad != width) revert ScoringBadMedian(taskId, page * width + bad);
    }

    /// @dev Add a page's losses to those of the pages before, and return the sums as stored.
    function _addLosses(mapping(uint256 => uint256) storage stored, uint256[] memory table, bool more)
        private
        returns (uint256[] memory losses)
    {
        uint256 rows = table.length / 2;
        losses = new uint256[]((rows + 7) / 8);
        for (uint256 i = 0; i < rows; ++i) {
            losses[i / 8] |= table[2 * i + 1] << (32 * (i % 8));
        }
        for (uint256 slot = 0; slot < losses.length; ++slot) {
            if (more) losses[slot] += stored[slot]; // lane-wise: no sum reaches 2^32
            stored[slot] = losses[slot];
        }
    }

    /// @dev Sum of seats · gain over all rows.
    function _gainSeats(uint256[] memory table, uint256[] memory losses, uint256 spread)
        private
        pure
        returns (uint256 sum)
    {
        uint256 rows = table.length / 2;
        for (uint256 i = 0; i < rows; ++i) {
            sum += table[2 * i] * _gain(spread, uint32(losses[i / 8] >> (32 * (i % 8))));
        }
    }

    /// @dev max(0, G - 2L)
    function _gain(uint256 spread, uint256 loss) private pure returns (uint256) {
        return spread > 2 * loss ? spread - 2 * loss : 0;
    }
}
