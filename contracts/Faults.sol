// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICommittee} from "./interfaces/ICommittee.sol";
import {IFaults} from "./interfaces/IFaults.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";
import {PackedScores} from "./libraries/PackedScores.sol";

/// @title Faults: what silence in a missed round costs
contract Faults is IFaults {
    /// @notice Slash of a silent seat, 1/10000 of its unit: the task was saved by a second committee, or it failed.
    uint256 public constant SAVED_BPS = 2500;
    uint256 public constant FAILED_BPS = 10_000;
    uint256 private constant BPS = 10_000;

    /// @inheritdoc IFaults
    ITaskRegistry public immutable override registry;
    /// @inheritdoc IFaults
    IScoring public immutable override scoring;

    /// @inheritdoc IFaults
    mapping(uint256 taskId => mapping(uint8 round => mapping(address operator => bool))) public reported;

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
        uint16 seats = _silent(taskId, round, missed, operator);
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
    function silentSeatsOf(uint256 taskId, uint8 round, address operator) public view returns (uint16) {
        if (registry.outcomeOf(taskId) == ITaskRegistry.Outcome.Running || reported[taskId][round][operator]) return 0;
        ICommittee.Round memory missed = scoring.roundAt(taskId, round);
        return missed.missed ? _silent(taskId, round, missed, operator) : 0;
    }

    /// @inheritdoc IFaults
    function owes(uint256 taskId, address operator) external view returns (bool) {
        uint8 last = scoring.roundOf(taskId).number; // 0 or 1
        for (uint8 round = 0; round <= last; ++round) {
            if (silentSeatsOf(taskId, round, operator) != 0) return true;
        }
        return false;
    }

    /// @dev Seats of an operator without a revealed row in a round whose seed is fixed.
    function _silent(uint256 taskId, uint8 round, ICommittee.Round memory missed, address operator)
        private
        view
        returns (uint16 seats)
    {
        ICommittee.Row memory row = scoring.rowAt(taskId, round, operator);
        if (row.status == ICommittee.RowStatus.Revealed) return 0;
        if (row.status != ICommittee.RowStatus.None) return row.seats;
        seats = scoring.seatsAt(taskId, round, operator);
        // A full committee could not accept its row.
        if (
            missed.committedRows >= PackedScores.MAX_ROWS
                || uint256(missed.committedSeats) + seats > PackedScores.MAX_SEATS
        ) return 0;
    }
}
