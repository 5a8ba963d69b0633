// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IScoring} from "./IScoring.sol";
import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title Faults: what silence in a missed round costs
/// @notice A seat is silent in a missed round if it has no revealed row: its operator was absent, abstained, or did not reveal. Reports
/// are possible once the task has ended, when it is known what the silence caused. See ICommittee for the faults of a single row, which
/// come in addition.
interface IFaults {
    error FaultsNotEnded(uint256 taskId);
    error FaultsNotMissed(uint256 taskId, uint8 round);
    error FaultsNoFault(uint256 taskId, address operator);
    error FaultsAlreadyReported(uint256 taskId, uint8 round, address operator);
    error FaultsNotSettled(uint256 taskId); // no appeal of the task is
    error FaultsBadRow(uint256 taskId, address operator);
    error FaultsJurorReported(uint256 taskId, address operator);
    error FaultsZeroAddress();

    /// @param failed whether the task failed
    /// @param taken tokens slashed from the operator's pool
    event MissedReported(
        uint256 indexed taskId,
        uint8 round,
        address indexed operator,
        uint16 seats,
        bool failed,
        address indexed reporter,
        uint256 taken
    );

    /// @param failed whether the appeal was missed; else the row was overturned
    event JurorReported(
        uint256 indexed taskId,
        address indexed operator,
        uint16 seats,
        bool failed,
        address indexed reporter,
        uint256 taken
    );

    /// @notice Report an operator with silent seats in a missed round of an ended task. Slashes its seats' whole unit if the task
    /// failed, from the operator's own shares first; else a quarter of it, within the absence cap. Jails the operator. Anyone can call,
    /// and earns a share of the slash.
    function reportMissed(uint256 taskId, uint8 round, address operator) external;

    /// @notice Report a juror with silent seats in an appeal that missed its quorum. Slashes their whole unit as for a failed task.
    function reportSilentJuror(uint256 taskId, address operator) external;

    /// @notice Report a juror's row of a settled appeal with a score more than 8h from the median that the appeal found, where neither is
    /// 0; both are of the same part of the set. Slashes half of its seats' unit, until the appeal's `reportEnd` at least.
    /// @param words the row, as revealed
    function reportJuror(uint256 taskId, address operator, uint256[] calldata words) external;

    /// @notice Seats for which a juror can be reported as silent; 0 if there is nothing to report.
    function silentJurorSeatsOf(uint256 taskId, address operator) external view returns (uint16);
    /// @notice Whether a juror was reported, as silent or as overturned.
    function jurorReported(uint256 taskId, address operator) external view returns (bool);

    /// @notice Seats for which an operator can be reported in a round of an ended task; 0 if there is nothing to report.
    function silentSeatsOf(uint256 taskId, uint8 round, address operator) external view returns (uint16);
    /// @notice Whether a report is due for the operator's silence in any round of an ended task, or in an appeal. Its earmarks are held
    /// until then.
    function owes(uint256 taskId, address operator) external view returns (bool);
    /// @notice Whether an operator was reported in a round.
    function reported(uint256 taskId, uint8 round, address operator) external view returns (bool);
    /// @notice The registry of the tasks.
    function registry() external view returns (ITaskRegistry);
    /// @notice The committees whose rounds are reported.
    function scoring() external view returns (IScoring);
}
