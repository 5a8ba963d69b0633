// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "./IAppeals.sol";
import {ICommittee} from "./ICommittee.sol";
import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title AppealCommittee: scores the contested words of a task again
/// @notice A row holds the contested words in order of contest: word i is the word of the i-th contest. The committee has about twice
/// the seats of the task's committee, drawn from the stake of the operators that enrol for the appeal: what they enrol, and what they
/// have earmarked for the task. Who had a seat in a committee of the task cannot enrol. See ICommittee for seeds, seats, rows and faults;
/// `round` is always 0. Each step earns a tip from what the appellants prepaid.
interface IAppealCommittee is ICommittee {
    error CommitteeNotOpen(uint256 taskId);
    error CommitteeAlreadyEnrolled(uint256 taskId, address operator);
    error CommitteeNotEligible(address operator);
    error CommitteeStakeBelowSeat(uint256 stake, uint256 minimum);
    error CommitteeNotFaults(address caller);
    error CommitteeNotOver(uint256 taskId);
    error CommitteeNothingToRelease(uint256 taskId, address operator);
    error CommitteeFaultOpen(uint256 taskId, address operator);

    /// @param amount earmarked for the appeal
    /// @param stake what draws the operator: `amount` and its earmark behind the task
    /// @param enrolled total of `stake` so far
    event AppealEnrolled(
        uint256 indexed taskId, address indexed operator, uint256 amount, uint256 stake, uint256 enrolled
    );
    /// @param found median words of the page's contests, in order
    event ContestsSettled(uint256 indexed taskId, uint16 page, uint256[] found);
    event AppealEarmarkFreed(uint256 indexed taskId, address indexed operator, uint256 amount);

    /// @notice Enrol for the appeal's committee with `amount` of free stake, and with what the operator has earmarked for the task;
    /// `amount` may be 0 if that is enough for a seat: together at least ceil(minStake / seats). Possible from the first contest until
    /// `enrolEnd`. The caller is the operator's signer.
    function enrol(uint256 taskId, address operator, uint256 amount) external;

    /// @notice Settle one page of contested words; the arguments are those of IScoring.settlePage. Anyone can call, and earns a tip.
    function settleContests(
        uint256 taskId,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata found,
        uint256[] calldata words
    ) external;

    /// @notice Release the rest of an operator's earmark after the appeal and its time for reports. Anyone can call.
    function release(uint256 taskId, address operator) external;

    /// @notice Slash an operator's earmarks, of the appeal first. Faults only; see IFaults.
    function slash(uint256 taskId, address operator, uint256 amount, address reporter, ITaskRegistry.SlashKind kind)
        external
        returns (uint256 taken);

    // ------------------------------------------------------------------ views

    /// @notice The contract that opens appeals and receives their results.
    function appeals() external view returns (IAppeals);
    /// @notice Stake that an operator earmarked for the appeal, in addition to its earmark behind the task.
    function earmarkOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice Stake that draws an operator: its earmarks for the appeal and behind the task; 0 if it did not enrol.
    function stakeOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice Total of `stakeOf`. With less than IAppeals.Appeal.leastStake the appeal fails.
    function enrolledOf(uint256 taskId) external view returns (uint256);
    /// @notice Median word of a contest; valid once the appeal is settled.
    function foundOf(uint256 taskId, uint256 index) external view returns (uint256);
    /// @notice Seats that an operator is paid for once the appeal is settled: its seats if each of its scores is within h of the median.
    function paidSeatsOf(uint256 taskId, address operator) external view returns (uint16);
    /// @notice Whether the appeal cannot settle: too little stake enrolled, or the quorum was missed. Reverts while it is open.
    function isLost(uint256 taskId) external view returns (bool);
}
