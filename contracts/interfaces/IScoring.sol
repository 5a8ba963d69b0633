// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Scoring: seed, seats, score commit-reveal, settlement
/// @notice A score is 15 bits, sixteen to a 256-bit word: entry 0 in the highest lane, high bit of each lane clear, lanes past the last
/// entry zero. A row is one validator's words over all entries of the task. A page is up to `pageWords` words of each row.
interface IScoring {
    // ------------------------------------------------------------------ types

    enum RowStatus {
        None,
        Committed,
        Abstained,
        Revealed
    }

    struct Row {
        RowStatus status;
        uint16 seats;
        uint32 index; // order of reveal, 0-based; meaningful when Revealed
        bytes32 commitment; // its first 28 bytes, the rest zero
    }

    struct Round {
        uint8 number; // 0: first committee
        uint64 target; // randomness target; 0: not requested
        bytes32 seed; // 0: not fixed
        uint40 seedAt; // time the seed was fixed; score commits run from here
        uint40 scoreCommitEnd;
        uint40 scoreRevealEnd;
        uint32 committedRows;
        uint32 committedSeats;
        uint32 revealedRows;
        uint32 revealedSeats;
        uint16 pageWords; // words a page: min(64, (3840 - committedRows) / (committedRows + 1)); fixed once commits are closed
        uint16 pages;
        uint16 settledPages;
        uint40 settledAt; // time the last page settled; 0: not yet
    }

    /// @notice Totals over all settled pages.
    struct Totals {
        uint256 weights; // sum of max(0, m - floor)^p
        uint256 gainSeats; // sum over rows of seats * gain
        uint64 spread; // G, summed over pages
    }

    // ------------------------------------------------------------------ errors

    error ScoringNotReady(uint256 taskId);
    error ScoringSeedPending(uint256 taskId, uint64 target);
    error ScoringSeedFixed(uint256 taskId);
    error ScoringNoSeed(uint256 taskId);
    error ScoringNotSigner(address caller, address operator);
    error ScoringNoSeat(uint256 taskId, address operator);
    error ScoringWindowClosed(uint256 taskId, bytes32 window);
    error ScoringWindowOpen(uint256 taskId, uint40 until);
    error ScoringAlreadyCommitted(uint256 taskId, address operator);
    error ScoringNotCommitted(uint256 taskId, address operator);
    error ScoringBadReveal(uint256 taskId, address operator);
    error ScoringBadLength(uint256 given, uint256 wanted);
    error ScoringBadWord(uint256 index);
    error ScoringQuorum(uint256 taskId, uint256 revealed, uint256 committed);
    error ScoringQuorumReached(uint256 taskId);
    error ScoringPageSettled(uint256 taskId, uint256 page);
    error ScoringBadPage(uint256 taskId, uint256 page);
    error ScoringBadRows(uint256 taskId, uint256 page);
    error ScoringBadMedian(uint256 taskId, uint256 word);
    error ScoringNotSettled(uint256 taskId);
    error ScoringAppealOpen(uint256 taskId, uint40 until);
    error ScoringEnded(uint256 taskId);
    error ScoringFull(uint256 taskId);

    // ------------------------------------------------------------------ events

    event SeedRequested(uint256 indexed taskId, uint8 round, uint64 target, uint256 totalEarmarked);
    event SeedFixed(uint256 indexed taskId, uint8 round, bytes32 seed, uint40 scoreCommitEnd, uint40 scoreRevealEnd);
    event ScoresCommitted(
        uint256 indexed taskId, uint8 round, address indexed operator, uint16 seats, bytes32 commitment
    );
    event Abstained(uint256 indexed taskId, uint8 round, address indexed operator, uint16 seats);
    event ScoresRevealed(
        uint256 indexed taskId,
        uint8 round,
        address indexed operator,
        uint16 seats,
        uint32 index,
        bytes32 evidenceDigest,
        uint256[] words
    );
    event PageSettled(
        uint256 indexed taskId,
        uint8 round,
        uint16 page,
        bytes32 root,
        uint256 weights,
        uint64 spread,
        uint256[] medians
    );
    /// @param losses summed losses, eight to a word: the row with reveal index i at bits 32·(i mod 8) of word i / 8
    event RoundSettled(uint256 indexed taskId, uint8 round, Totals totals, uint256[] losses, uint40 payableAt);
    event RoundFailed(uint256 indexed taskId, uint8 round, uint32 revealedSeats, uint32 committedSeats);

    // ------------------------------------------------------------------ seed (anyone; earns a tip)

    /// @notice Freeze the terms and name the block whose randomness seats the committee; again once that block can no longer be proven.
    function requestSeed(uint256 taskId) external;
    /// @notice Fix the seed and start the score windows. Refused when they would not end before the task expires.
    /// @param proof what the randomness source asks for: the RLP header of the target block
    function fixSeed(uint256 taskId, bytes calldata proof) external;

    // ------------------------------------------------------------------ validators (caller is signerOf[operator], but for reveals)

    /// @param commitment keccak256(abi.encode(chainid, scoring, taskId, round, operator, keccak256(abi.encodePacked(words)), evidenceDigest, salt))
    function commitScores(uint256 taskId, address operator, bytes32 commitment) external;
    /// @notice A seated validator that cannot evaluate says so before commits close: not paid, not slashed, not counted.
    function abstain(uint256 taskId, address operator) external;
    /// @notice Reveal a committed row. Whoever knows the salt may send it.
    /// @param words the whole row, ceil(entries/16) words
    function revealScores(
        uint256 taskId,
        address operator,
        uint256[] calldata words,
        bytes32 evidenceDigest,
        bytes32 salt
    ) external;

    // ------------------------------------------------------------------ settlement (anyone; earns a tip)

    /// @notice Settle one page, in order: the next page is `settledPages`. Open once score reveals are over, or as soon as all
    /// committed rows are revealed and commits are closed.
    /// @param rows heads of the revealed rows in order of reveal: uint256(operator) | seats << 160
    /// @param medians claimed seat-weighted lower medians, one word per word of the page
    /// @param words all rows' words of this page, row after row (row-major), rows.length * medians.length words
    function settlePage(
        uint256 taskId,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata medians,
        uint256[] calldata words
    ) external;

    /// @notice After the last page and the appeal window: make the task payable.
    function finalise(uint256 taskId) external;

    /// @notice The quorum was missed: end the task (a new committee is drawn first, once reseating is in force).
    function failRound(uint256 taskId) external;

    // ------------------------------------------------------------------ views

    function roundOf(uint256 taskId) external view returns (Round memory);
    function totalsOf(uint256 taskId) external view returns (Totals memory);
    function rowOf(uint256 taskId, address operator) external view returns (Row memory);
    /// @notice Seats of an enrolled operator under the fixed seed.
    function seatsOf(uint256 taskId, address operator) external view returns (uint16);
    /// @notice Fold of the revealed rows of a page; zero once the page is settled.
    function accumulatorOf(uint256 taskId, uint256 page) external view returns (bytes32);
    /// @notice Positional Merkle root over the page's median words, depth 6; zero until settled. A leaf is keccak256(word), missing
    /// leaves are 32 zero bytes, a node is keccak256(left ‖ right); bit k of the word's index in its page is set where level k is a right child.
    function pageRootOf(uint256 taskId, uint256 page) external view returns (bytes32);
    /// @notice Summed loss of the row with that reveal index.
    function lossOf(uint256 taskId, uint32 index) external view returns (uint32);
    /// @notice max(0, G - 2·loss) of a revealed operator, once all pages are settled.
    function gainOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice Check a median word against a page's root.
    function verifyMedianWord(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        view
        returns (bool);
    /// @notice True once all pages are settled: the task can only end as paid.
    function isSettled(uint256 taskId) external view returns (bool);
}
