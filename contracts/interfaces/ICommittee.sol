// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IRandomness} from "./IRandomness.sol";
import {IRewards} from "./IRewards.sol";
import {IStaking} from "./IStaking.sol";
import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title Committee: seed, seats, commit-reveal of scores, faults
/// @notice Shared by the committees of Scoring (the first and, after a missed quorum, a second) and the committee of an appeal.
/// A score has 15 bits. A 256-bit word holds sixteen scores, the first in the highest lane; the high bit of each lane and the lanes
/// past the last score are zero. A row is one validator's words for everything that the committee scores. A page is up to
/// `pageWords` words of each row.
interface ICommittee {
    // ------------------------------------------------------------------ types

    enum RowStatus {
        None,
        Committed,
        Abstained,
        Revealed,
        Absent, // reported: had a seat, and neither committed nor abstained
        Unrevealed // reported: committed, did not reveal
    }

    enum Fault {
        Absent, // 5% of the seats' unit, capped
        Unrevealed, // 25% of the seats' unit, capped
        Overturned // 50% of the seats' unit
    }

    struct Row {
        RowStatus status;
        uint16 seats;
        uint32 index; // order of reveal, 0-based; valid when Revealed
        bytes32 commitment; // first 28 bytes of the commitment or, once revealed, of the hash of the words; the rest is zero
    }

    struct Round {
        uint8 number; // 0: first committee
        uint64 target; // randomness target; 0: not requested
        bytes32 seed; // 0: not fixed
        uint40 seedAt; // time the seed was fixed, at which score commits start
        uint40 scoreCommitEnd;
        uint40 scoreRevealEnd;
        uint32 committedRows;
        uint32 committedSeats;
        uint32 revealedRows;
        uint32 revealedSeats;
        uint16 pageWords; // words a page: min(64, (3840 - committedRows) / (committedRows + 1)); fixed once commits are closed
        uint16 pages;
        uint16 settledPages;
        uint40 settledAt; // time the last page settled; 0: not yet, or the round is void
        bool missed; // reveals are over without a quorum
        bool isVoid; // every median was 0: the round paid nobody
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
    /// @param taken tokens slashed from the operator's pool
    event FaultReported(
        uint256 indexed taskId,
        uint8 round,
        address indexed operator,
        Fault fault,
        address indexed reporter,
        uint256 taken
    );

    // ------------------------------------------------------------------ seed (anyone; earns a tip)

    /// @notice Fix the terms and the target block whose randomness draws the committee. Can be repeated if the target is lost.
    function requestSeed(uint256 taskId) external;
    /// @notice Fix the seed and start the score windows. Reverts if they would not end before the task expires.
    /// @param proof proof for the randomness source: the RLP header of the target block
    function fixSeed(uint256 taskId, bytes calldata proof) external;

    // ------------------------------------------------------------------ validators (caller is signerOf[operator], except reveals)

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

    /// @notice Report an operator with a seat that neither committed nor abstained. Slashes 5% of its seats' unit, capped.
    function reportAbsent(uint256 taskId, uint8 round, address operator) external;
    /// @notice Report an operator that did not reveal its committed row. Slashes 25% of its seats' unit, capped.
    function reportUnrevealed(uint256 taskId, uint8 round, address operator) external;

    // ------------------------------------------------------------------ views

    /// @notice The registry of the tasks.
    function registry() external view returns (ITaskRegistry);
    /// @notice The staking pools of the operators.
    function staking() external view returns (IStaking);
    /// @notice The escrow that pays tips.
    function rewards() external view returns (IRewards);
    /// @notice The source of the seeds.
    function randomness() external view returns (IRandomness);
    /// @notice The current round, or the last one.
    function roundOf(uint256 taskId) external view returns (Round memory);
    /// @notice A round, by its number.
    function roundAt(uint256 taskId, uint8 round) external view returns (Round memory);
    /// @notice An operator's row in the current or last round.
    function rowOf(uint256 taskId, address operator) external view returns (Row memory);
    /// @notice An operator's row in a round.
    function rowAt(uint256 taskId, uint8 round, address operator) external view returns (Row memory);
    /// @notice Seats of an operator in the current or last round, under its seed.
    function seatsOf(uint256 taskId, address operator) external view returns (uint16);
    /// @notice Seats of an operator in a round, under its seed.
    function seatsAt(uint256 taskId, uint8 round, address operator) external view returns (uint16);
    /// @notice What a fault is measured by: wei per seat of a round. It is the round's part of the bounty per expected seat, and a fault
    /// takes a fixed share of it for each of the operator's seats, so that splitting or merging stake changes nothing.
    function unitOf(uint256 taskId, uint8 round) external view returns (uint256);
    /// @notice Hash chain of the revealed rows of a page; zero once the page is settled.
    function accumulatorOf(uint256 taskId, uint256 page) external view returns (bytes32);
    /// @notice Summed loss of a row, by its reveal index.
    function lossOf(uint256 taskId, uint32 index) external view returns (uint32);
    /// @notice Whether the operator has an open duty in a round of this task, or a fault that is not reported yet. Its earmark is held
    /// until then, so that no fault escapes its slash.
    function owesFault(uint256 taskId, address operator) external view returns (bool);
}
