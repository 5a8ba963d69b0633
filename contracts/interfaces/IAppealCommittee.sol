// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ICommittee} from "./ICommittee.sol";

/// @title AppealCommittee: scores the contested words of a task again
/// @notice What it scores is the contested words in order of contest: word i of a row stands for the word of the i-th contest. It has
/// about twice the seats of the task's committee, drawn from the stake behind the task and what enrols for the appeal. See ICommittee
/// for seeds, seats, rows and faults; `round` is always 0.
interface IAppealCommittee is ICommittee {
    error CommitteeNotOpen(uint256 taskId);
    error CommitteeIsEntrant(uint256 taskId, address operator);
    error CommitteeAlreadyEnrolled(uint256 taskId, address operator);
    error CommitteeNotOver(uint256 taskId);
    error CommitteeNothingToRelease(uint256 taskId, address operator);
    error CommitteeFaultOpen(uint256 taskId, address operator);

    event AppealEnrolled(uint256 indexed taskId, address indexed operator, uint256 amount, uint256 enrolled);
    /// @param found median words of the contests, from the page's first on
    event ContestsSettled(uint256 indexed taskId, uint16 page, uint256[] found);
    event AppealEarmarkFreed(uint256 indexed taskId, address indexed operator, uint256 amount);

    /// @notice Back the appeal's committee with stake beside what is behind the task already, from the first contest on. The caller is
    /// the operator's signer.
    function enrol(uint256 taskId, address operator, uint256 amount) external;

    /// @notice Settle one page of contested words; arguments as in IScoring.settlePage. Anyone; earns a tip.
    function settleContests(
        uint256 taskId,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata found,
        uint256[] calldata words
    ) external;

    /// @notice Free what faults have left of an operator's earmark behind an appeal that is over. Anyone.
    function release(uint256 taskId, address operator) external;

    /// @notice The stake that an operator enrolled for the appeal.
    function earmarkOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice All stake that enrolled for the appeal.
    function enrolledOf(uint256 taskId) external view returns (uint256);
    /// @notice The word that was found for a contest; meaningful once the appeal is settled.
    function foundOf(uint256 taskId, uint256 index) external view returns (uint256);
    /// @notice Seats for which an operator is paid once the appeal is settled: its own if each of its scores is within 8h of the median.
    function paidSeatsOf(uint256 taskId, address operator) external view returns (uint16);
    /// @notice Whether the quorum was missed. Reverts while rows can still be revealed.
    function isQuorumMissed(uint256 taskId) external view returns (bool);
}
