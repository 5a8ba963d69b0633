// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

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
    /// @dev A round of a task: two slots besides the seed. Rows and pages are filed by task and round number, so that a reseated
    /// committee shares nothing with the one before.
    struct RoundData {
        // One slot.
        uint64 target;
        uint40 seedAt;
        uint40 scoreCommitEnd;
        uint40 scoreRevealEnd;
        uint8 number;
        uint16 entries;
        uint16 h;
        uint16 tau;
        uint16 floorScore;
        // One slot.
        uint88 totalEarmarked; // S
        uint16 targetSeats; // K
        uint16 committedRows;
        uint16 committedSeats;
        uint16 revealedRows;
        uint16 revealedSeats;
        uint16 settledPages;
        uint8 power;
        uint40 settledAt;
        uint24 appeal;
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
    mapping(uint256 taskId => mapping(uint256 number => mapping(address operator => RowData))) private _rows;
    /// @dev The fold of a page's rows until it is settled, its root from then on.
    mapping(uint256 taskId => mapping(uint256 number => mapping(uint256 page => bytes32))) private _pages;
    /// @dev Losses, eight to a word: the row revealed i-th at bits 32·(i mod 8) of word i / 8. A sum is below 2^15 · 2^12.
    mapping(uint256 taskId => mapping(uint256 number => mapping(uint256 slot => uint256))) private _losses;

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
        ITaskRegistry.ScoringTerms memory terms = registry.scoringTermsOf(taskId);
        uint64 previous = round.target;
        if (previous == 0) {
            if (!registry.readyForSeed(taskId)) revert ScoringNotReady(taskId);
            round.entries = terms.entries;
            round.h = terms.h;
            round.tau = terms.tau;
            round.floorScore = terms.floorScore;
            round.totalEarmarked = uint88(terms.totalEarmarked); // the registry keeps 88 bits
            round.targetSeats = terms.targetSeats;
            round.power = terms.power;
            round.appeal = uint24(terms.appeal); // the registry keeps 24 bits
        } else {
            if (round.seedAt != 0) revert ScoringSeedFixed(taskId);
            _checkRunning(taskId);
            if (!randomness.isLost(previous)) revert ScoringSeedPending(taskId, previous);
        }
        _scoreWindows(taskId, terms);
        uint64 target = randomness.request();
        round.target = target;
        emit SeedRequested(taskId, round.number, target, terms.totalEarmarked);
        rewards.tip(taskId, msg.sender);
    }

    /// @inheritdoc IScoring
    function fixSeed(uint256 taskId, bytes calldata proof) external {
        RoundData storage round = _rounds[taskId];
        uint64 target = round.target;
        if (target == 0) revert ScoringNoSeed(taskId);
        if (round.seedAt != 0) revert ScoringSeedFixed(taskId);
        _checkRunning(taskId);
        (uint40 commitEnd, uint40 revealEnd) = _scoreWindows(taskId, registry.scoringTermsOf(taskId));
        bytes32 seed = randomness.reveal(target, proof);
        round.seed = seed;
        round.seedAt = uint40(block.timestamp);
        round.scoreCommitEnd = commitEnd;
        round.scoreRevealEnd = revealEnd;
        emit SeedFixed(taskId, round.number, seed, commitEnd, revealEnd);
        rewards.tip(taskId, msg.sender);
    }

    // ------------------------------------------------------------------ validators

    /// @inheritdoc IScoring
    function commitScores(uint256 taskId, address operator, bytes32 commitment) external {
        RoundData storage round = _rounds[taskId];
        (RowData storage row, uint16 seats) = _seat(taskId, round, operator);
        uint256 rows = uint256(round.committedRows) + 1;
        uint256 allSeats = uint256(round.committedSeats) + seats;
        // With at most 1,023 seats expected neither bound is ever met; were it, the settlement's lanes would overflow.
        if (rows > PackedScores.MAX_ROWS || allSeats > PackedScores.MAX_SEATS) revert ScoringFull(taskId);
        round.committedRows = uint16(rows);
        round.committedSeats = uint16(allSeats);
        row.commitment = bytes28(commitment);
        row.seats = seats;
        row.mark = COMMITTED;
        emit ScoresCommitted(taskId, round.number, operator, seats, commitment);
    }

    /// @inheritdoc IScoring
    function abstain(uint256 taskId, address operator) external {
        RoundData storage round = _rounds[taskId];
        (RowData storage row, uint16 seats) = _seat(taskId, round, operator);
        row.seats = seats;
        row.mark = ABSTAINED;
        emit Abstained(taskId, round.number, operator, seats);
    }

    /// @inheritdoc IScoring
    function revealScores(
        uint256 taskId,
        address operator,
        uint256[] calldata words,
        bytes32 evidenceDigest,
        bytes32 salt
    ) external {
        RoundData storage round = _rounds[taskId];
        uint8 number = round.number;
        if (block.timestamp < round.scoreCommitEnd || block.timestamp >= round.scoreRevealEnd) {
            revert ScoringWindowClosed(taskId, "scoreReveal");
        }
        RowData memory row = _rows[taskId][number][operator];
        if (row.mark != COMMITTED) revert ScoringNotCommitted(taskId, operator);
        uint256 entries = round.entries;
        uint256 count = PackedScores.wordCount(entries);
        if (words.length != count) revert ScoringBadLength(words.length, count);
        bytes32 wordsHash = PackedScores.hashWords(words, 0, count);
        if (
            bytes28(
                    keccak256(
                        abi.encode(
                            block.chainid,
                            address(this),
                            taskId,
                            uint256(number),
                            operator,
                            wordsHash,
                            evidenceDigest,
                            salt
                        )
                    )
                ) != row.commitment
        ) revert ScoringBadReveal(taskId, operator);
        uint256 bad = PackedScores.firstBadWord(words, entries);
        if (bad != count) revert ScoringBadWord(bad);

        uint16 index = round.revealedRows;
        round.revealedRows = index + 1;
        round.revealedSeats += row.seats;
        row.mark = FIRST_REVEALED + index;
        _rows[taskId][number][operator] = row;
        _foldPages(
            _pages[taskId][number], PackedScores.pageWords(round.committedRows), operator, row.seats, words, wordsHash
        );
        emit ScoresRevealed(taskId, number, operator, row.seats, index, evidenceDigest, words);
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
        RoundData storage round = _rounds[taskId];
        _checkRunning(taskId);
        _checkRevealsOver(taskId, round);
        if (!_quorum(round)) revert ScoringQuorum(taskId, round.revealedSeats, round.committedSeats);
        uint256 pages = _pageCount(round);
        if (page < round.settledPages) revert ScoringPageSettled(taskId, page);
        if (page != round.settledPages || page >= pages) revert ScoringBadPage(taskId, page);
        bool last = page + 1 == pages;
        uint256[] memory table = _checkPage(taskId, round, page, last, rows, medians, words);

        (uint256 spread, uint256 weights) =
            PackedScores.weigh(medians, 2 * uint256(round.h), round.tau, round.floorScore, round.power);
        bytes32 root = PageTree.root(medians);
        uint8 number = round.number;
        _pages[taskId][number][page] = root;
        round.settledPages = uint16(page + 1); // at most 2,048 pages
        emit PageSettled(taskId, number, uint16(page), root, weights, uint64(spread), medians);

        TotalsData memory totals = _totals[taskId];
        // TotalsData says why these fit.
        totals.weights += uint96(weights);
        totals.spread += uint64(spread);
        uint256[] memory losses = _addLosses(_losses[taskId][number], table, page != 0);
        if (last) {
            totals.gainSeats = uint96(_gainSeats(table, losses, totals.spread));
            round.settledAt = uint40(block.timestamp);
            emit RoundSettled(
                taskId,
                number,
                Totals(totals.weights, totals.gainSeats, totals.spread),
                losses,
                uint40(block.timestamp + round.appeal)
            );
        }
        _totals[taskId] = totals;
        rewards.tip(taskId, msg.sender);
    }

    /// @inheritdoc IScoring
    function finalise(uint256 taskId) external {
        RoundData storage round = _rounds[taskId];
        _checkRunning(taskId);
        uint256 settledAt = round.settledAt;
        if (settledAt == 0) revert ScoringNotSettled(taskId);
        uint256 payableAt = settledAt + round.appeal;
        if (block.timestamp < payableAt) revert ScoringAppealOpen(taskId, uint40(payableAt));
        rewards.tip(taskId, msg.sender);
        registry.endTask(taskId, ITaskRegistry.Outcome.Paid, "settled");
    }

    /// @inheritdoc IScoring
    function failRound(uint256 taskId) external {
        RoundData storage round = _rounds[taskId];
        _checkRunning(taskId);
        _checkRevealsOver(taskId, round);
        if (_quorum(round)) revert ScoringQuorumReached(taskId);
        emit RoundFailed(taskId, round.number, round.revealedSeats, round.committedSeats);
        rewards.tip(taskId, msg.sender);
        registry.endTask(taskId, ITaskRegistry.Outcome.Failed, "quorum");
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IScoring
    function roundOf(uint256 taskId) external view returns (Round memory) {
        RoundData storage round = _rounds[taskId];
        bool committed = round.committedRows != 0;
        return Round({
            number: round.number,
            target: round.target,
            seed: round.seed,
            seedAt: round.seedAt,
            scoreCommitEnd: round.scoreCommitEnd,
            scoreRevealEnd: round.scoreRevealEnd,
            committedRows: round.committedRows,
            committedSeats: round.committedSeats,
            revealedRows: round.revealedRows,
            revealedSeats: round.revealedSeats,
            pageWords: committed ? uint16(PackedScores.pageWords(round.committedRows)) : 0,
            pages: committed ? uint16(_pageCount(round)) : 0,
            settledPages: round.settledPages,
            settledAt: round.settledAt
        });
    }

    /// @inheritdoc IScoring
    function totalsOf(uint256 taskId) external view returns (Totals memory) {
        TotalsData memory totals = _totals[taskId];
        return Totals({weights: totals.weights, gainSeats: totals.gainSeats, spread: totals.spread});
    }

    /// @inheritdoc IScoring
    function rowOf(uint256 taskId, address operator) external view returns (Row memory row) {
        RowData memory data = _rows[taskId][_rounds[taskId].number][operator];
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
        if (round.seedAt == 0) revert ScoringNoSeed(taskId);
        return _seatsOf(taskId, round, operator);
    }

    /// @inheritdoc IScoring
    function accumulatorOf(uint256 taskId, uint256 page) external view returns (bytes32) {
        RoundData storage round = _rounds[taskId];
        return page < round.settledPages ? bytes32(0) : _pages[taskId][round.number][page];
    }

    /// @inheritdoc IScoring
    function pageRootOf(uint256 taskId, uint256 page) external view returns (bytes32) {
        RoundData storage round = _rounds[taskId];
        return page < round.settledPages ? _pages[taskId][round.number][page] : bytes32(0);
    }

    /// @inheritdoc IScoring
    function lossOf(uint256 taskId, uint32 index) public view returns (uint32) {
        return uint32(_losses[taskId][_rounds[taskId].number][index / 8] >> (32 * (index % 8)));
    }

    /// @inheritdoc IScoring
    function gainOf(uint256 taskId, address operator) external view returns (uint256) {
        RoundData storage round = _rounds[taskId];
        if (round.settledAt == 0) revert ScoringNotSettled(taskId);
        uint16 mark = _rows[taskId][round.number][operator].mark;
        if (mark < FIRST_REVEALED) return 0;
        return _gain(_totals[taskId].spread, lossOf(taskId, mark - FIRST_REVEALED));
    }

    /// @inheritdoc IScoring
    function verifyMedianWord(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        view
        returns (bool)
    {
        RoundData storage round = _rounds[taskId];
        uint256 width = PackedScores.pageWords(round.committedRows);
        uint256 page = wordIndex / width;
        if (page >= round.settledPages) return false;
        return PageTree.verify(_pages[taskId][round.number][page], wordIndex % width, word, proof);
    }

    /// @inheritdoc IScoring
    function isSettled(uint256 taskId) external view returns (bool) {
        return _rounds[taskId].settledAt != 0;
    }

    // ------------------------------------------------------------------ private: checks

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

    /// @dev The operator's row, still empty, and its seats: checks seed, window, signer and seat.
    function _seat(uint256 taskId, RoundData storage round, address operator)
        private
        view
        returns (RowData storage row, uint16 seats)
    {
        if (round.seedAt == 0) revert ScoringNoSeed(taskId);
        if (block.timestamp >= round.scoreCommitEnd) revert ScoringWindowClosed(taskId, "scoreCommit");
        if (staking.signerOf(operator) != msg.sender) revert ScoringNotSigner(msg.sender, operator);
        row = _rows[taskId][round.number][operator];
        if (row.mark != NONE) revert ScoringAlreadyCommitted(taskId, operator);
        seats = _seatsOf(taskId, round, operator);
        if (seats == 0) revert ScoringNoSeat(taskId, operator);
    }

    function _seatsOf(uint256 taskId, RoundData storage round, address operator) private view returns (uint16) {
        bytes32 draw =
            keccak256(abi.encode(block.chainid, address(this), taskId, uint256(round.number), round.seed, operator));
        uint256 earmark = registry.earmarkOf(taskId, operator);
        if (earmark == 0) return 0;
        // At most K + 1.
        return uint16(Sortition.seats(draw, earmark, round.totalEarmarked, round.targetSeats));
    }

    /// @dev No reveal can come any more: the window is over, or commits are closed and all committed rows are revealed.
    function _checkRevealsOver(uint256 taskId, RoundData storage round) private view {
        if (round.seedAt == 0) revert ScoringNoSeed(taskId);
        uint40 until = round.committedRows == round.revealedRows ? round.scoreCommitEnd : round.scoreRevealEnd;
        if (block.timestamp < until) revert ScoringWindowOpen(taskId, until);
    }

    function _quorum(RoundData storage round) private view returns (bool) {
        uint256 doubled = 2 * uint256(round.revealedSeats);
        return doubled > round.committedSeats && doubled > round.targetSeats;
    }

    function _pageCount(RoundData storage round) private view returns (uint256) {
        uint256 width = PackedScores.pageWords(round.committedRows);
        return (PackedScores.wordCount(round.entries) + width - 1) / width;
    }

    // ------------------------------------------------------------------ private: pages

    function _foldPages(
        mapping(uint256 => bytes32) storage pages,
        uint256 width,
        address operator,
        uint16 seats,
        uint256[] calldata words,
        bytes32 wordsHash
    ) private {
        uint256 head = uint256(uint160(operator)) | (uint256(seats) << 160);
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
        RoundData storage round,
        uint256 page,
        bool last,
        uint256[] calldata rows,
        uint256[] calldata medians,
        uint256[] calldata words
    ) private view returns (uint256[] memory table) {
        uint256 width = PackedScores.pageWords(round.committedRows);
        uint256 wanted = last ? PackedScores.wordCount(round.entries) - page * width : width;
        if (medians.length != wanted) revert ScoringBadLength(medians.length, wanted);
        if (rows.length != round.revealedRows) revert ScoringBadLength(rows.length, round.revealedRows);
        if (words.length != rows.length * wanted) revert ScoringBadLength(words.length, rows.length * wanted);
        if (PackedScores.foldRows(rows, words, wanted) != _pages[taskId][round.number][page]) {
            revert ScoringBadRows(taskId, page);
        }
        uint256 bad;
        (table, bad) = PackedScores.measure(rows, medians, words, round.h, round.tau, round.revealedSeats);
        if (bad != wanted) revert ScoringBadMedian(taskId, bad);
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
