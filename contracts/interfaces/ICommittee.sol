// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title A committee: seed, seats, score commit-reveal, faults
/// @notice What Scoring's committees (the first and, after a missed quorum, a second) and an appeal's have in common.
/// A score is 15 bits, sixteen to a 256-bit word: the first in the highest lane, high bit of each lane clear, lanes past the last
/// score zero. A row is one validator's words over all that the committee scores. A page is up to `pageWords` words of each row.
interface ICommittee {
    // ------------------------------------------------------------------ types

    enum RowStatus {
        None,
        Committed,
        Abstained,
        Revealed,
        Absent, // reported: had a seat, neither committed nor abstained
        Unrevealed // reported: committed, did not reveal
    }

    enum Fault {
        Absent, // 1% of the earmark, capped
        Unrevealed, // 5% of the earmark, capped
        Overturned // 10% of the earmark
    }

    struct Row {
        RowStatus status;
        uint16 seats;
        uint32 index; // order of reveal, 0-based; meaningful when Revealed
        bytes32 commitment; // first 28 bytes, the rest zero: of the commitment; once revealed of keccak256 of the words
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
    error ScoringFull(uint256 taskId);
    error ScoringNoFault(uint256 taskId, address operator);
    error ScoringZeroAddress();

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
    /// @param taken what the slash took from the operator's pool
    event FaultReported(
        uint256 indexed taskId,
        uint8 round,
        address indexed operator,
        Fault fault,
        address indexed reporter,
        uint256 taken
    );

    // ------------------------------------------------------------------ seed (anyone; earns a tip)

    /// @notice Freeze the terms and name the block whose randomness seats the committee; again once that block can no longer be proven.
    function requestSeed(uint256 taskId) external;
    /// @notice Fix the seed and start the score windows. Refused when they would not end before the task expires.
    /// @param proof what the randomness source asks for: the RLP header of the target block
    function fixSeed(uint256 taskId, bytes calldata proof) external;

    // ------------------------------------------------------------------ validators (caller is signerOf[operator], but for reveals)

    /// @param commitment keccak256(abi.encode(chainid, this contract, taskId, round, operator, wordsHash, evidenceDigest, salt)) with
    /// wordsHash = keccak256(abi.encodePacked(words))
    function commitScores(uint256 taskId, address operator, bytes32 commitment) external;
    /// @notice A seated validator that cannot evaluate says so before commits close: not paid, not slashed, not counted.
    function abstain(uint256 taskId, address operator) external;
    /// @notice Reveal a committed row. Whoever knows the salt may send it.
    /// @param words the whole row, ceil(scores/16) words
    function revealScores(
        uint256 taskId,
        address operator,
        uint256[] calldata words,
        bytes32 evidenceDigest,
        bytes32 salt
    ) external;

    // ------------------------------------------------------------------ faults (anyone; earns a share of the slash)

    /// @notice Prove that an operator with a seat in that round neither committed a row nor abstained: slashes 1% of its earmark, capped.
    function reportAbsent(uint256 taskId, uint8 round, address operator) external;
    /// @notice Prove that an operator did not reveal the row it committed in that round: slashes 5% of its earmark, capped.
    function reportUnrevealed(uint256 taskId, uint8 round, address operator) external;

    // ------------------------------------------------------------------ views

    /// @notice The round that is running, or was the last.
    function roundOf(uint256 taskId) external view returns (Round memory);
    function roundAt(uint256 taskId, uint8 round) external view returns (Round memory);
    /// @notice An operator's row in the round that is running, or was the last.
    function rowOf(uint256 taskId, address operator) external view returns (Row memory);
    function rowAt(uint256 taskId, uint8 round, address operator) external view returns (Row memory);
    /// @notice Seats of an operator under the fixed seed.
    function seatsOf(uint256 taskId, address operator) external view returns (uint16);
    function seatsAt(uint256 taskId, uint8 round, address operator) external view returns (uint16);
    /// @notice Fold of the revealed rows of a page; zero once the page is settled.
    function accumulatorOf(uint256 taskId, uint256 page) external view returns (bytes32);
    /// @notice Summed loss of the row with that reveal index.
    function lossOf(uint256 taskId, uint32 index) external view returns (uint32);
    /// @notice Whether the operator still has a duty in a round of this task, or left one undone and is not reported yet. Its earmark
    /// stays until it is: no fault is outrun.
    function owesFault(uint256 taskId, address operator) external view returns (bool);
}
