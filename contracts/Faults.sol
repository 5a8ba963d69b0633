// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppealCommittee} from "./interfaces/IAppealCommittee.sol";
import {IAppeals} from "./interfaces/IAppeals.sol";
import {ICommittee} from "./interfaces/ICommittee.sol";
import {IFaults} from "./interfaces/IFaults.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {ContestedWords} from "./libraries/ContestedWords.sol";
import {PackedScores} from "./libraries/PackedScores.sol";

/// @title Faults: what silence in a missed round or appeal costs, and a juror's wrong row
contract Faults is IFaults {
    /// @notice Slash of a silent seat, 1/10000 of its unit: the task was saved by a second committee, or it failed.
    uint256 public constant SAVED_BPS = 2500;
    uint256 public constant FAILED_BPS = 10_000;
    /// @notice Slash of a juror's overturned row, 1/10000 of its seats' unit.
    uint256 public constant OVERTURNED_BPS = 5000;
    /// @notice A juror's row is overturned by a score that differs from the median by more than this many h.
    uint256 public constant OVERTURNED_H = 8;
    uint256 private constant BPS = 10_000;

    /// @inheritdoc IFaults
    ITaskRegistry public immutable override registry;
    /// @inheritdoc IFaults
    IScoring public immutable override scoring;

    /// @inheritdoc IFaults
    mapping(uint256 taskId => mapping(uint8 round => mapping(address operator => bool))) public reported;

    /// @inheritdoc IFaults
    mapping(uint256 taskId => mapping(address operator => bool)) public jurorReported;

    constructor(address registry_, address scoring_) {
        if (registry_ == address(0) || scoring_ == address(0)) revert FaultsZeroAddress();
        registry = ITaskRegistry(registry_);
        scoring = IScoring(scoring_);
    }

    /// @inheritdoc IFaults
    function reportMissed(uint256 taskId, uint8 round, address operator) external {
        ITaskRegistry.Outcome outcome = registry.outcomeOf(taskId);
        if (outcome == ITaskRegistry.Outcome.Running) revert FaultsNotEnded(taskId);
        ICommittee.Round memory missed = scoring.roundAt(taskId, round);
        if (!missed.missed) revert FaultsNotMissed(taskId, round);
        if (reported[taskId][round][operator]) revert FaultsAlreadyReported(taskId, round, operator);
        uint16 seats = _silent(scoring, taskId, round, missed, operator);
        if (seats == 0) revert FaultsNoFault(taskId, operator);
        reported[taskId][round][operator] = true;
        bool failed = outcome == ITaskRegistry.Outcome.Failed;
        uint256 taken = registry.slashEarmark(
            taskId,
            operator,
            seats * scoring.unitOf(taskId, round) * (failed ? FAILED_BPS : SAVED_BPS) / BPS,
            msg.sender,
            failed ? ITaskRegistry.SlashKind.FailedTask : ITaskRegistry.SlashKind.MissedRound
        );
        emit MissedReported(taskId, round, operator, seats, failed, msg.sender, taken);
    }

    /// @inheritdoc IFaults
    function reportSilentJuror(uint256 taskId, address operator) external {
        if (jurorReported[taskId][operator]) revert FaultsJurorReported(taskId, operator);
        uint16 seats = silentJurorSeatsOf(taskId, operator);
        if (seats == 0) revert FaultsNoFault(taskId, operator);
        _slashJuror(taskId, operator, seats, FAILED_BPS, ITaskRegistry.SlashKind.FailedTask);
    }

    /// @inheritdoc IFaults
    function reportJuror(uint256 taskId, address operator, uint256[] calldata words) external {
        if (jurorReported[taskId][operator]) revert FaultsJurorReported(taskId, operator);
        IAppealCommittee committee = _committee();
        if (committee.roundOf(taskId).settledAt == 0) revert FaultsNotSettled(taskId);
        ICommittee.Row memory row = committee.rowOf(taskId, operator);
        bytes32 hash = PackedScores.hashWords(words, 0, words.length);
        if (row.status != ICommittee.RowStatus.Revealed || bytes28(hash) != bytes28(row.commitment)) {
            revert FaultsBadRow(taskId, operator);
        }
        uint256 tolerance = OVERTURNED_H * registry.scoringTermsOf(taskId).h;
        bool far = false;
        for (uint256 i = 0; i < words.length && !far; ++i) {
            far = ContestedWords.isOverturned(words[i], committee.foundOf(taskId, i), tolerance);
        }
        if (!far) revert FaultsNoFault(taskId, operator);
        _slashJuror(taskId, operator, row.seats, OVERTURNED_BPS, ITaskRegistry.SlashKind.Overturned);
    }

    /// @inheritdoc IFaults
    function silentJurorSeatsOf(uint256 taskId, address operator) public view returns (uint16) {
        IAppealCommittee committee = _committee();
        if (jurorReported[taskId][operator] || committee.appeals().phaseOf(taskId).state != IAppeals.AppealState.Failed)
        {
            return 0;
        }
        // A seed is fixed only if its round is over before the deadline, so no row of a failed appeal can still be revealed.
        ICommittee.Round memory round = committee.roundOf(taskId);
        return round.missed ? _silent(committee, taskId, 0, round, operator) : 0;
    }

    /// @inheritdoc IFaults
    function silentSeatsOf(uint256 taskId, uint8 round, address operator) public view returns (uint16) {
        if (registry.outcomeOf(taskId) == ITaskRegistry.Outcome.Running || reported[taskId][round][operator]) return 0;
        ICommittee.Round memory missed = scoring.roundAt(taskId, round);
        return missed.missed ? _silent(scoring, taskId, round, missed, operator) : 0;
    }

    /// @inheritdoc IFaults
    function owes(uint256 taskId, address operator) external view returns (bool) {
        uint8 last = scoring.roundOf(taskId).number; // 0 or 1
        for (uint8 round = 0; round <= last; ++round) {
            if (silentSeatsOf(taskId, round, operator) != 0) return true;
        }
        return silentJurorSeatsOf(taskId, operator) != 0;
    }

    function _committee() private view returns (IAppealCommittee) {
        return IAppealCommittee(registry.appealCommittee());
    }

    function _slashJuror(uint256 taskId, address operator, uint16 seats, uint256 bps, ITaskRegistry.SlashKind kind)
        private
    {
        IAppealCommittee committee = _committee();
        jurorReported[taskId][operator] = true;
        uint256 amount = seats * committee.unitOf(taskId, 0) * bps / BPS;
        uint256 taken = committee.slash(taskId, operator, amount, msg.sender, kind);
        emit JurorReported(taskId, operator, seats, kind == ITaskRegistry.SlashKind.FailedTask, msg.sender, taken);
    }

    /// @dev Seats of an operator without a revealed row in a round whose seed is fixed.
    function _silent(
        ICommittee committee,
        uint256 taskId,
        uint8 round,
        ICommittee.Round memory missed,
        address operator
    ) private view returns (uint16 seats) {
        ICommittee.Row memory row = committee.rowAt(taskId, round, operator);
        if (row.status == ICommittee.RowStatus.Revealed) return 0;
        if (row.status != ICommittee.RowStatus.None) return row.seats;
        seats = committee.seatsAt(taskId, round, operator);
        // A full committee could not accept its row.
        if (
            missed.committedRows >= PackedScores.MAX_ROWS
                || uint256(missed.committedSeats) + seats > PackedScores.MAX_SEATS
        ) return 0;
    }
}
