// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppealCommittee} from "./IAppealCommittee.sol";
import {IRewards} from "./IRewards.sol";
import {IScoring} from "./IScoring.sol";
import {IStaking} from "./IStaking.sol";
import {ITaskRegistry} from "./ITaskRegistry.sol";

/// @title Appeals: contests against the median words of a sealed task
/// @notice Sealed evaluation only, where a correct answer exists and anyone can compute it. All contested words of a task (16 entries
/// each) share one round of the AppealCommittee. A score that it finds replaces the contested one if it is above 0 and differs by more
/// than max(tau, 2h). 0 means that the entry could not be had, which is no evidence against its score.
interface IAppeals {
    // ------------------------------------------------------------------ types

    enum AppealState {
        None,
        Open,
        Settled,
        Failed // no quorum, or past the deadline: the old medians stand
    }

    struct Appeal {
        AppealState state;
        uint40 contestEnd; // end of the window in which words can be contested
        uint40 enrolEnd; // end of the window in which validators can enrol
        uint40 deadline; // an appeal that is not settled by then has failed
        uint40 reportEnd; // of a settled appeal: no earmark of the task is released before this time
        uint16 contested; // number of contested words
        uint16 resolved; // number of words whose bond is decided
        uint16 paidSeats; // total seats of the rows that are paid
        uint256 bond; // bond per contested word: award and four tips
        uint256 award; // what the round is paid for a word
        uint256 tip; // of each step
        uint256 tips; // prepaid for the steps before the resolution, and not spent
        uint256 pool; // payment for the round, from the words resolved so far
        uint256 leastStake; // with less enrolled stake the appeal fails
        uint256 leastEnrolment; // least stake of a juror, times the seats of the appeal
    }

    /// @notice What the committee of an appeal reads in each call.
    struct Phase {
        AppealState state;
        uint40 enrolEnd;
        uint40 deadline;
        uint40 reportEnd;
        uint256 leastStake;
    }

    struct Contest {
        address appellant;
        uint16 word; // index of the median word
        bool resolved;
        bool moved;
        uint256 previous; // the median word when it was contested
        uint256 found; // median word of the appeal round; valid when Settled
    }

    // ------------------------------------------------------------------ errors

    error AppealsClosed(uint256 taskId);
    error AppealsContested(uint256 taskId, uint256 word);
    error AppealsIsEntrant(uint256 taskId, address operator);
    error AppealsWasSeated(uint256 taskId, address operator); // in a committee of the task
    error AppealsBadProof(uint256 taskId, uint256 word);
    error AppealsUnknown(uint256 taskId, uint256 contest);
    error AppealsNotSettled(uint256 taskId);
    error AppealsNotFailed(uint256 taskId);
    error AppealsNotOver(uint256 taskId);
    error AppealsNotCommittee(address caller);
    error AppealsBadRow(uint256 taskId, address operator);
    error AppealsNoFault(uint256 taskId, address operator);
    error AppealsZeroAddress();
    error AppealsResolved(uint256 taskId, uint256 contest);
    error AppealsUnresolved(uint256 taskId, uint256 left);
    error AppealsAlreadyClaimed(uint256 taskId, address operator);
    error AppealsAlreadyReported(uint256 taskId, address operator);
    error AppealsNothingToClaim(uint256 taskId, address operator);
    error AppealsNothingOwed(address account);

    // ------------------------------------------------------------------ events

    /// @param deadline deadline of the appeal, see Appeal
    event WordContested(
        uint256 indexed taskId,
        address indexed appellant,
        uint16 contest,
        uint16 word,
        uint256 previous,
        uint256 bond,
        uint40 contestEnd,
        uint40 enrolEnd,
        uint40 deadline
    );
    event AppealSettled(uint256 indexed taskId, uint16 paidSeats, uint40 reportEnd);
    event AppealFailed(uint256 indexed taskId);
    /// @param taken tokens slashed from the operator's pool
    event RowOverturned(
        uint256 indexed taskId, address indexed operator, uint16 contest, address indexed reporter, uint256 taken
    );
    /// @param moved a score of the word was replaced
    /// @param copied none was, and all are so close to the old ones that the round may have copied them: it is not paid for the word
    /// @param toAppellant what is returned of the bond, and the award if the word moved
    /// @param toPool payment for the round for this word
    event ContestResolved(
        uint256 indexed taskId,
        uint16 contest,
        uint16 word,
        bool moved,
        bool copied,
        uint256 toAppellant,
        uint256 toPool,
        uint256 toTreasury
    );
    event AppealTipPaid(uint256 indexed taskId, address indexed to, uint256 amount);
    event AppealRewardClaimed(uint256 indexed taskId, address indexed operator, uint16 seats, uint256 amount);
    event AppealCreditWithdrawn(address indexed account, uint256 amount);

    // ------------------------------------------------------------------ appellants

    /// @notice Contest a median word of a settled task within its appeal window. Transfers `bondOf(taskId)` from the caller.
    /// @param wordIndex index of the word among all median words of the task
    /// @param word the median word
    /// @param proof proof of the word in its page, see IScoring.verifyMedianWord
    function contest(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        returns (uint256 index);

    /// @notice `contest` with an ERC-2612 permit of `amount` for this contract. If the permit was already used, the existing allowance
    /// counts.
    /// @param amount at least the bond
    function contestWithPermit(
        uint256 taskId,
        uint256 wordIndex,
        uint256 word,
        bytes32[6] calldata proof,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 index);

    // ------------------------------------------------------------------ settlement (anyone; earns a tip)

    /// @notice Fail an appeal with too little enrolled stake, without a quorum, or past its deadline. The old medians stand.
    function failAppeal(uint256 taskId) external;

    /// @notice Apply the result of a settled or failed appeal to one contest: replace the scores that moved and decide the bond. If a
    /// score moved, the validators' pool pays the award twice, to the round and to the appellant, and the creator's bond the tips. Else
    /// the bond pays the round, and tips that were not spent go to the treasury. If the appeal failed or the result looks like a copy,
    /// the appellant receives all but the tips that were spent.
    /// @param proof proof of the contest's previous word in the current page; not read if no word is replaced
    function resolve(uint256 taskId, uint256 index, bytes32[6] calldata proof) external;

    /// @notice Record that the last page of contested words is settled. AppealCommittee only.
    function settled(uint256 taskId, uint16 paidSeats) external;
    /// @notice Pay the tip of a step from what appellants prepaid, as far as it lasts. AppealCommittee only.
    function tip(uint256 taskId, address to) external;

    // ------------------------------------------------------------------ faults (anyone; earns a share of the slash)

    /// @notice Report a row of the settled task with a score in a contested word that differs from the appeal's median by more than
    /// 2 max(tau, 2h), where neither is 0. Slashes half of its seats' unit, once per row. See IFaults.reportJuror for rows of the
    /// appeal.
    /// @param words the row, as revealed
    function reportOverturned(uint256 taskId, address operator, uint256 index, uint256[] calldata words) external;

    // ------------------------------------------------------------------ claims (anyone; paid to the entitled account)

    /// @notice Pay a validator's flat share of the round into its staking pool.
    function claimAppeal(uint256 taskId, address operator) external returns (uint256 amount);
    /// @notice Pay out an account's credit of bonds, awards and tips.
    function withdraw(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------ views

    /// @notice The registry of the tasks.
    function registry() external view returns (ITaskRegistry);
    /// @notice The staking pools that appeal rewards are paid into.
    function staking() external view returns (IStaking);
    /// @notice The contract whose median words are contested.
    function scoring() external view returns (IScoring);
    /// @notice The escrow that pays for an appeal whose median moved.
    function rewards() external view returns (IRewards);
    /// @notice The committee that scores contested words.
    function committee() external view returns (IAppealCommittee);
    /// @notice State of a task's appeal.
    function appealOf(uint256 taskId) external view returns (Appeal memory);
    /// @notice The part of `appealOf` that its committee needs.
    function phaseOf(uint256 taskId) external view returns (Phase memory);
    /// @notice Terms of the committee, but for its stake: those of the task with twice its seats plus one, at most 1023, sixteen lanes a
    /// contested word, and the appeal's deadline.
    function committeeTermsOf(uint256 taskId) external view returns (ITaskRegistry.ScoringTerms memory);
    /// @notice What faults of jurors are measured by: the bounty for each seat of the appeal.
    function unitOf(uint256 taskId) external view returns (uint256);
    /// @notice Reverts unless the operator can enrol now: entrants cannot, and who had a seat in a committee of the task.
    /// @return behind its earmark behind the task, which counts for the appeal
    /// @return least stake that it must have enrolled with it
    /// @return createdAt creation of the task; the operator must have had the stake then
    function admissionOf(uint256 taskId, address operator)
        external
        view
        returns (uint256 behind, uint256 least, uint48 createdAt);
    /// @notice The contest plus 1 of the task's last word if it is contested and not full, and the lanes that it uses.
    function lastWordOf(uint256 taskId) external view returns (uint256 contested, uint256 lanes);
    /// @notice A contest of a task, by its index.
    function contestOf(uint256 taskId, uint256 index) external view returns (Contest memory);
    /// @notice Index of a word's contest plus 1; 0: the word is not contested.
    function contestAt(uint256 taskId, uint256 wordIndex) external view returns (uint256);
    /// @notice Bond for contesting one word: ceil(V / (2 · words)) and four tips, with V the validators' pool. Fixed at the first contest.
    function bondOf(uint256 taskId) external view returns (uint256);
    /// @notice Credit of an account that `withdraw` has not paid yet.
    function owedTo(address account) external view returns (uint256);
    /// @notice Whether a validator has claimed its share of the round.
    function claimed(uint256 taskId, address operator) external view returns (bool);
    /// @notice Whether a row was reported as overturned.
    function overturned(uint256 taskId, address operator) external view returns (bool);
    /// @notice Whether a contest is unresolved. The task cannot be finalised until then.
    function isOpen(uint256 taskId) external view returns (bool);
    /// @notice Whether the appeal prevents the release of an operator's earmark behind the task.
    function holds(uint256 taskId, address operator) external view returns (bool);
}
