// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {ICommittee} from "./interfaces/ICommittee.sol";
import {IRandomness} from "./interfaces/IRandomness.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {PackedScores} from "./libraries/PackedScores.sol";
import {Sortition} from "./libraries/Sortition.sol";

/// @title Committee: seed, seats, commit-reveal of packed scores, and provable faults
/// @dev Nothing is stored per score. A row takes one slot. A page takes one slot: the hash chain of its rows, until it is settled. The
/// deriving contract defines what is scored, the stake behind it, and the slashes.
abstract contract Committee is ICommittee {
    /// @dev One slot: everything that a reveal reads and writes.
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

    /// @dev One slot: the other terms, the target of the seed and the time it was fixed.
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

    /// @dev One slot. 28 bytes of a hash are binding: a second preimage costs 2^224 hashes, a collision 2^112.
    struct RowData {
        bytes28 commitment; // once revealed: hash of the words alone, against which they can be proven again
        uint16 seats;
        uint16 mark; // NONE, COMMITTED, ABSTAINED, FIRST_REVEALED + index of reveal, LATE_ABSENT, UNREVEALED or ABSENT
    }

    uint16 internal constant NONE = 0;
    uint16 internal constant COMMITTED = 1;
    uint16 internal constant ABSTAINED = 2;
    uint16 internal constant FIRST_REVEALED = 3;
    // Above every index of reveal.
    uint16 internal constant LATE_ABSENT = 0xfffd; // reported when the next committee's stake was frozen: it keeps its seats there
    uint16 internal constant UNREVEALED = 0xfffe; // reported
    uint16 internal constant ABSENT = 0xffff; // reported

    uint256 internal constant BPS = 10_000;
    /// @notice Slash of a fault, 1/10000 of the unit of each seat, see `unitOf`.
    uint256 public constant ABSENT_BPS = 500;
    uint256 public constant UNREVEALED_BPS = 2500;

    /// @inheritdoc ICommittee
    ITaskRegistry public immutable override registry;
    /// @inheritdoc ICommittee
    IStaking public immutable override staking;
    /// @inheritdoc ICommittee
    IRewards public immutable override rewards;
    /// @inheritdoc ICommittee
    IRandomness public immutable override randomness;

    /// @dev The current or last round.
    mapping(uint256 taskId => RoundData) internal _rounds;
    /// @dev Earlier rounds, by key.
    mapping(uint256 key => RoundData) internal _past;
    // Rows, pages and losses are keyed by task and round number, so that a second committee shares nothing with the first.
    mapping(uint256 key => mapping(address operator => RowData)) internal _rows;
    /// @dev The hash chain of a page's rows until it is settled; the deriving contract defines it afterwards.
    mapping(uint256 key => mapping(uint256 page => bytes32)) internal _pages;
    /// @dev Losses, eight per word: the row with reveal index i at bits 32·(i mod 8) of word i / 8. A sum is below 2^15 · 2^12.
    mapping(uint256 key => mapping(uint256 slot => uint256)) internal _losses;

    constructor(address registry_, address staking_, address rewards_, address randomness_) {
        if (registry_ == address(0) || staking_ == address(0) || rewards_ == address(0) || randomness_ == address(0)) {
            revert ScoringZeroAddress();
        }
        registry = ITaskRegistry(registry_);
        staking = IStaking(staking_);
        rewards = IRewards(rewards_);
        randomness = IRandomness(randomness_);
    }

    // ------------------------------------------------------------------ seed

    /// @inheritdoc ICommittee
    function requestSeed(uint256 taskId) external {
        RoundData storage round = _rounds[taskId];
        Terms memory terms = round.terms;
        ITaskRegistry.ScoringTerms memory given = _given(taskId);
        if (terms.target == 0) {
            if (given.totalEarmarked == 0 || !_isReady(taskId)) revert ScoringNotReady(taskId);
            terms.totalEarmarked = uint88(given.totalEarmarked); // the registry stores 88 bits
            terms.h = given.h;
            terms.tau = given.tau;
            terms.floorScore = given.floorScore;
            terms.power = given.power;
            terms.appeal = uint24(given.appeal); // the registry stores 24 bits
            round.tally.entries = given.entries;
            round.tally.targetSeats = given.targetSeats;
        } else {
            if (terms.seedAt != 0) revert ScoringSeedFixed(taskId);
            _checkOpen(taskId);
            if (!randomness.isLost(terms.target)) revert ScoringSeedPending(taskId, terms.target);
        }
        _scoreWindows(taskId, given);
        terms.target = SafeCast.toUint48(randomness.request());
        round.terms = terms;
        emit SeedRequested(taskId, round.tally.number, terms.target, terms.totalEarmarked);
        _tip(taskId);
    }

    /// @inheritdoc ICommittee
    function fixSeed(uint256 taskId, bytes calldata proof) external {
        RoundData storage round = _rounds[taskId];
        Terms memory terms = round.terms;
        if (terms.target == 0) revert ScoringNoSeed(taskId);
        if (terms.seedAt != 0) revert ScoringSeedFixed(taskId);
        _checkOpen(taskId);
        (uint40 commitEnd, uint40 revealEnd) = _scoreWindows(taskId, _given(taskId));
        bytes32 seed = randomness.reveal(terms.target, proof);
        round.seed = seed;
        round.terms.seedAt = uint40(block.timestamp);
        round.tally.scoreCommitEnd = commitEnd;
        round.tally.scoreRevealEnd = revealEnd;
        emit SeedFixed(taskId, round.tally.number, seed, commitEnd, revealEnd);
        _tip(taskId);
    }

    // ------------------------------------------------------------------ validators

    /// @inheritdoc ICommittee
    function commitScores(uint256 taskId, address operator, bytes32 commitment) external {
        RoundData storage round = _rounds[taskId];
        Tally memory tally = round.tally;
        (RowData storage row, uint16 seats,) = _takeSeat(taskId, round, tally, operator);
        if (_isFull(tally, seats)) revert ScoringFull(taskId);
        // The committee is not full, so both sums fit.
        unchecked {
            round.tally.committedRows = tally.committedRows + 1;
            round.tally.committedSeats = tally.committedSeats + seats;
        }
        row.commitment = bytes28(commitment);
        row.seats = seats;
        row.mark = COMMITTED;
        emit ScoresCommitted(taskId, tally.number, operator, seats, commitment);
    }

    /// @inheritdoc ICommittee
    function abstain(uint256 taskId, address operator) external {
        RoundData storage round = _rounds[taskId];
        Tally memory tally = round.tally;
        (RowData storage row, uint16 seats, uint256 stake) = _takeSeat(taskId, round, tally, operator);
        row.seats = seats;
        row.mark = ABSTAINED;
        _leave(taskId, tally.number, stake);
        emit Abstained(taskId, tally.number, operator, seats);
    }

    /// @inheritdoc ICommittee
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
        uint256 bad = _firstBadWord(taskId, words, tally.entries);
        if (bad != count) revert ScoringBadWord(bad);

        uint16 seats = row.seats;
        uint16 index = tally.revealedRows;
        uint256 width = PackedScores.pageWords(tally.committedRows);
        // At most the committed rows and seats, which fit.
        unchecked {
            (tally.revealedRows, tally.revealedSeats) = (index + 1, tally.revealedSeats + seats);
            (row.commitment, row.mark) = (bytes28(wordsHash), FIRST_REVEALED + index);
        }
        _foldPages(_pages[key], width, PackedScores.head(operator, seats), words, wordsHash);
        emit ScoresRevealed(taskId, number, operator, seats, index, evidenceDigest, words);
    }

    // ------------------------------------------------------------------ faults

    /// @inheritdoc ICommittee
    function reportAbsent(uint256 taskId, uint8 number, address operator) external {
        RoundData storage round = _round(taskId, number);
        Tally memory tally = round.tally;
        if (tally.scoreCommitEnd == 0) revert ScoringNoSeed(taskId);
        if (block.timestamp < tally.scoreCommitEnd) revert ScoringWindowOpen(taskId, tally.scoreCommitEnd);
        RowData storage row = _rows[_key(taskId, number)][operator];
        if (row.mark != NONE) revert ScoringNoFault(taskId, operator);
        (uint16 seats, uint256 stake) = _draw(taskId, round, number, tally.targetSeats, operator);
        if (seats == 0) revert ScoringNoSeat(taskId, operator);
        // A full committee could not accept its row.
        if (_isFull(tally, seats)) revert ScoringFull(taskId);
        row.seats = seats;
        // A late report must not take seats from the next committee, whose faults would go with them.
        bool late = number != _rounds[taskId].tally.number && _rounds[taskId].terms.target != 0;
        row.mark = late ? LATE_ABSENT : ABSENT;
        _punish(taskId, number, operator, stake, seats * ABSENT_BPS, Fault.Absent);
    }

    /// @inheritdoc ICommittee
    function reportUnrevealed(uint256 taskId, uint8 number, address operator) external {
        Tally memory tally = _round(taskId, number).tally;
        RowData storage row = _rows[_key(taskId, number)][operator];
        if (row.mark != COMMITTED) revert ScoringNoFault(taskId, operator);
        if (block.timestamp < tally.scoreRevealEnd) revert ScoringWindowOpen(taskId, tally.scoreRevealEnd);
        row.mark = UNREVEALED;
        uint256 stake = _stakeOf(taskId, number, operator);
        _punish(taskId, number, operator, stake, row.seats * UNREVEALED_BPS, Fault.Unrevealed);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc ICommittee
    function roundOf(uint256 taskId) external view returns (Round memory) {
        return _view(_rounds[taskId]);
    }

    /// @inheritdoc ICommittee
    function roundAt(uint256 taskId, uint8 number) external view returns (Round memory) {
        return _view(_round(taskId, number));
    }

    /// @inheritdoc ICommittee
    function rowOf(uint256 taskId, address operator) external view returns (Row memory) {
        return _row(_currentKey(taskId), operator);
    }

    /// @inheritdoc ICommittee
    function rowAt(uint256 taskId, uint8 number, address operator) external view returns (Row memory) {
        return _row(_key(taskId, number), operator);
    }

    /// @inheritdoc ICommittee
    function seatsOf(uint256 taskId, address operator) external view returns (uint16) {
        return seatsAt(taskId, _rounds[taskId].tally.number, operator);
    }

    /// @inheritdoc ICommittee
    function seatsAt(uint256 taskId, uint8 number, address operator) public view returns (uint16 seats) {
        RoundData storage round = _round(taskId, number);
        if (round.tally.scoreCommitEnd == 0) revert ScoringNoSeed(taskId);
        (seats,) = _draw(taskId, round, number, round.tally.targetSeats, operator);
    }

    /// @inheritdoc ICommittee
    function unitOf(uint256 taskId, uint8 number) public view virtual returns (uint256);

    /// @inheritdoc ICommittee
    function accumulatorOf(uint256 taskId, uint256 page) external view returns (bytes32) {
        if (page < _rounds[taskId].tally.settledPages) return 0;
        return _pages[_currentKey(taskId)][page];
    }

    /// @inheritdoc ICommittee
    function lossOf(uint256 taskId, uint32 index) public view returns (uint32) {
        return uint32(_losses[_currentKey(taskId)][index / 8] >> (32 * (index % 8)));
    }

    /// @inheritdoc ICommittee
    function owesFault(uint256 taskId, address operator) public view returns (bool) {
        uint8 current = _rounds[taskId].tally.number; // 0 or 1
        for (uint8 number = 0; number <= current; ++number) {
            RoundData storage round = _round(taskId, number);
            Tally memory tally = round.tally;
            if (tally.scoreCommitEnd == 0) continue;
            uint16 mark = _rows[_key(taskId, number)][operator].mark;
            if (mark == COMMITTED) return true;
            if (mark != NONE) continue;
            (uint16 seats,) = _draw(taskId, round, number, tally.targetSeats, operator);
            if (seats != 0 && !_isFull(tally, seats)) return true;
        }
        return false;
    }

    // ------------------------------------------------------------------ defined by deriving contracts

    /// @dev Terms of the next round.
    function _given(uint256 taskId) internal view virtual returns (ITaskRegistry.ScoringTerms memory);

    /// @dev Whether all steps before the seed are done.
    function _isReady(uint256 taskId) internal view virtual returns (bool);

    /// @dev Reverts once the committee has nothing left to do.
    function _checkOpen(uint256 taskId) internal view virtual;

    /// @dev Stake that draws an operator's seats in a round; 0: it has no seat.
    function _stakeOf(uint256 taskId, uint8 number, address operator) internal view virtual returns (uint256);

    /// @dev Index of a row's first malformed word, or the number of words.
    function _firstBadWord(uint256 taskId, uint256[] calldata words, uint256 entries)
        internal
        view
        virtual
        returns (uint256);

    /// @dev Exclude an operator that abstained or has a reported fault from the next committee.
    function _leave(uint256 taskId, uint8 number, uint256 stake) internal virtual;

    /// @dev Slash the operator's stake behind the committee by at most `amount`, within the absence cap; the caller is the reporter.
    function _slash(uint256 taskId, address operator, uint256 amount) internal virtual returns (uint256 taken);

    /// @dev Credit the caller with the tip for a step.
    function _tip(uint256 taskId) internal virtual;

    // ------------------------------------------------------------------ private: faults

    /// @param seatsBps seats times the share of their unit that the fault takes, 1/10000
    function _punish(uint256 taskId, uint8 number, address operator, uint256 stake, uint256 seatsBps, Fault fault)
        private
    {
        _leave(taskId, number, stake);
        uint256 taken = _slash(taskId, operator, seatsBps * unitOf(taskId, number) / BPS);
        emit FaultReported(taskId, number, operator, fault, msg.sender, taken);
    }

    // ------------------------------------------------------------------ keys and checks

    function _key(uint256 taskId, uint8 number) internal pure returns (uint256) {
        return (taskId << 8) | number;
    }

    function _currentKey(uint256 taskId) internal view returns (uint256) {
        return _key(taskId, _rounds[taskId].tally.number);
    }

    /// @dev A round that does not exist is empty: it has no seed.
    function _round(uint256 taskId, uint8 number) internal view returns (RoundData storage) {
        return number == _rounds[taskId].tally.number ? _rounds[taskId] : _past[_key(taskId, number)];
    }

    /// @dev Ends of the score windows if the seed is fixed now.
    function _scoreWindows(uint256 taskId, ITaskRegistry.ScoringTerms memory terms)
        private
        view
        returns (uint40 commitEnd, uint40 revealEnd)
    {
        commitEnd = uint40(block.timestamp) + terms.scoreCommit;
        revealEnd = commitEnd + terms.scoreReveal;
        // Otherwise validators could work on a task that expires before it can be paid.
        if (uint256(revealEnd) + terms.appeal > terms.expiresAt) revert ScoringWindowClosed(taskId, "seed");
    }

    /// @dev Check seed, window, signer and seat, and that the operator has not acted in this round. Returns its row, seats and stake.
    function _takeSeat(uint256 taskId, RoundData storage round, Tally memory tally, address operator)
        private
        view
        returns (RowData storage row, uint16 seats, uint256 stake)
    {
        if (tally.scoreCommitEnd == 0) revert ScoringNoSeed(taskId);
        if (block.timestamp >= tally.scoreCommitEnd) revert ScoringWindowClosed(taskId, "scoreCommit");
        if (staking.signerOf(operator) != msg.sender) revert ScoringNotSigner(msg.sender, operator);
        row = _rows[_key(taskId, tally.number)][operator];
        if (row.mark != NONE) revert ScoringAlreadyCommitted(taskId, operator);
        (seats, stake) = _draw(taskId, round, tally.number, tally.targetSeats, operator);
        if (seats == 0) revert ScoringNoSeat(taskId, operator);
    }

    function _draw(uint256 taskId, RoundData storage round, uint8 number, uint16 targetSeats, address operator)
        private
        view
        returns (uint16 seats, uint256 stake)
    {
        stake = _stakeOf(taskId, number, operator);
        if (stake == 0) return (0, 0);
        bytes32 draw =
            keccak256(abi.encode(block.chainid, address(this), taskId, uint256(number), round.seed, operator));
        // At most K + 1.
        seats = uint16(Sortition.seats(draw, stake, round.terms.totalEarmarked, targetSeats));
    }

    /// @dev Whether a row with these seats exceeds a bound, beyond which lanes of the settlement would overflow. With at most 1,023
    /// expected seats neither bound is reached in practice.
    function _isFull(Tally memory tally, uint16 seats) private pure returns (bool) {
        return
            tally.committedRows >= PackedScores.MAX_ROWS
                || uint256(tally.committedSeats) + seats > PackedScores.MAX_SEATS;
    }

    /// @dev Check that reveals are over: the window has ended, or commits are closed and all committed rows are revealed.
    function _checkRevealsOver(uint256 taskId, Tally memory tally) internal view {
        if (tally.scoreCommitEnd == 0) revert ScoringNoSeed(taskId);
        uint40 until = _revealsEnd(tally);
        if (block.timestamp < until) revert ScoringWindowOpen(taskId, until);
    }

    function _revealsEnd(Tally memory tally) private pure returns (uint40) {
        return tally.committedRows == tally.revealedRows ? tally.scoreCommitEnd : tally.scoreRevealEnd;
    }

    function _quorum(Tally memory tally) internal pure returns (bool) {
        uint256 doubled = 2 * uint256(tally.revealedSeats);
        return doubled > tally.committedSeats && doubled > tally.targetSeats;
    }

    function _pageCount(Tally memory tally) internal pure returns (uint256) {
        uint256 width = PackedScores.pageWords(tally.committedRows);
        return (PackedScores.wordCount(tally.entries) + width - 1) / width;
    }

    function _view(RoundData storage stored) private view returns (Round memory round) {
        Terms memory terms = stored.terms;
        Tally memory tally = stored.tally;
        round.number = tally.number;
        round.target = terms.target;
        round.seed = stored.seed;
        round.seedAt = terms.seedAt;
        round.scoreCommitEnd = tally.scoreCommitEnd;
        round.scoreRevealEnd = tally.scoreRevealEnd;
        round.committedRows = tally.committedRows;
        round.committedSeats = tally.committedSeats;
        round.revealedRows = tally.revealedRows;
        round.revealedSeats = tally.revealedSeats;
        round.settledPages = tally.settledPages;
        round.settledAt = tally.settledAt;
        round.missed = tally.scoreCommitEnd != 0 && block.timestamp >= _revealsEnd(tally) && !_quorum(tally);
        if (tally.committedRows == 0) return round;
        round.pageWords = uint16(PackedScores.pageWords(tally.committedRows));
        round.pages = uint16(_pageCount(tally));
        round.isVoid = tally.settledPages == round.pages && tally.settledAt == 0;
    }

    function _row(uint256 key, address operator) private view returns (Row memory row) {
        RowData memory data = _rows[key][operator];
        row.commitment = data.commitment;
        row.seats = data.seats;
        if (data.mark == UNREVEALED) {
            row.status = RowStatus.Unrevealed;
        } else if (data.mark >= LATE_ABSENT) {
            row.status = RowStatus.Absent;
        } else if (data.mark >= FIRST_REVEALED) {
            row.status = RowStatus.Revealed;
            row.index = data.mark - FIRST_REVEALED;
        } else {
            row.status = RowStatus(data.mark);
        }
    }

    function _isRevealed(uint16 mark) internal pure returns (bool) {
        return mark >= FIRST_REVEALED && mark < LATE_ABSENT;
    }

    // ------------------------------------------------------------------ rows and pages

    function _foldPages(
        mapping(uint256 => bytes32) storage pages,
        uint256 width,
        uint256 head,
        uint256[] calldata words,
        bytes32 wordsHash
    ) private {
        uint256 count = words.length;
        if (count <= width) {
            // With one page, the hash of the page is that of the row, which is already computed.
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

    /// @dev Check a page's rows and medians. Returns two words per row: its seats, and its loss in this page.
    function _checkPage(
        uint256 taskId,
        uint256 key,
        Tally memory tally,
        Terms memory terms,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata medians,
        uint256[] calldata words
    ) internal view returns (uint256[] memory table) {
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

    /// @dev Add a page's losses to those of earlier pages. Returns the stored sums.
    function _addLosses(mapping(uint256 => uint256) storage stored, uint256[] memory table, bool more)
        internal
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

    /// @dev Loss of the i-th row.
    function _loss(uint256[] memory losses, uint256 i) internal pure returns (uint256) {
        return uint32(losses[i / 8] >> (32 * (i % 8)));
    }
}
