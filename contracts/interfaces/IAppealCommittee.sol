// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "./IAppeals.sol";
import {ICommittee} from "./ICommittee.sol";

/// @title AppealCommittee: scores the contested words of a task again
/// @notice A row holds the contested words in order of contest: word i is the word of the i-th contest. The committee has about twice
/// the seats of the task's committee, drawn from the stake behind the task and the stake enrolled for the appeal. See ICommittee for
/// seeds, seats, rows and faults; `round` is always 0.
interface IAppealCommittee is ICommittee {
    error CommitteeNotOpen(uint256 taskId);
    error CommitteeIsEntrant(uint256 taskId, address operator);
    error CommitteeAlreadyEnrolled(uint256 taskId, address operator);
    error CommitteeNotOver(uint256 taskId);
    error CommitteeNothingToRelease(uint256 taskId, address operator);
    error CommitteeFaultOpen(uint256 taskId, address operator);

    event AppealEnrolled(uint256 indexed taskId, address indexed operator, uint256 amount, uint256 enrolled);
    /// @param found median words of the page's contests, in order
    event ContestsSettled(uint256 indexed taskId, uint16 page, uint256[] found);
    event AppealEarmarkFreed(uint256 indexed taskId, address indexed operator, uint256 amount);

    /// @notice Enrol additional stake for the appeal's committee. Possible from the first contest until `enrolEnd`. The caller is the
    /// operator's signer.
    function enrol(uint256 taskId, address operator, uint256 amount) external;

    /// @notice Settle one page of contested words; the arguments are those of IScoring.settlePage. Anyone can call, and earns a tip.
    function settleContests(
        uint256 taskId,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata found,
        uint256[] calldata words
    ) external;

    /// @notice Release the rest of an operator's earmark after the appeal. Anyone can call.
    function release(uint256 taskId, address operator) external;

    /// @notice The contract that opens appeals and receives their results.
    function appeals() external view returns (IAppeals);
    /// @notice Stake that an operator enrolled for the appeal.
    function earmarkOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice Total stake enrolled for the appeal.
    function enrolledOf(uint256 taskId) external view returns (uint256);
    /// @notice Median word of a contest; valid once the appeal is settled.
    function foundOf(uint256 taskId, uint256 index) external view returns (uint256);
    /// @notice Seats that an operator is paid for once the appeal is settled: its seats if each of its scores is within 8h of the median.
    function paidSeatsOf(uint256 taskId, address operator) external view returns (uint16);
    /// @notice Whether the quorum was missed. Reverts while rows can still be revealed.
    function isQuorumMissed(uint256 taskId) external view returns (bool);
}
