// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Appeals: words of a sealed task's medians are contested and scored again
/// @notice Sealed evaluation only: there a right answer exists, and anyone can compute it. All contested words of a task (16 entries
/// each) share one round of the AppealCommittee. What it finds takes the place of the medians.
interface IAppeals {
    // ------------------------------------------------------------------ types

    enum AppealState {
        None,
        Open,
        Settled,
        Failed // no quorum, or too late: the old medians stand
    }

    struct Appeal {
        AppealState state;
        uint40 contestEnd; // words can be contested until here
        uint40 enrolEnd; // validators can enrol until here
        uint40 deadline; // settled by here, or failed
        uint40 reportEnd; // of a settled appeal: no earmark of the task is released before
        uint16 contested; // words
        uint16 resolved; // words whose bond is decided
        uint16 paidSeats; // seats of the rows that are paid
        uint88 bond; // of each contested word
        uint88 pool; // what the round is paid, of the words resolved so far
    }

    struct Contest {
        address appellant;
        uint16 word; // index of the median word
        bool resolved;
        bool moved;
        uint256 previous; // the median word when it was contested
        uint256 found; // what the round found; meaningful when Settled
    }

    // ------------------------------------------------------------------ errors

    error AppealsClosed(uint256 taskId);
    error AppealsContested(uint256 taskId, uint256 word);
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

    /// @param deadline of the appeal, see Appeal
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
    /// @param taken what the slash took from the operator's pool
    event RowOverturned(
        uint256 indexed taskId, address indexed operator, uint16 contest, address indexed reporter, uint256 taken
    );
    /// @param toAppellant bond and premium
    /// @param toPool what the round is paid for this word
    event ContestResolved(
        uint256 indexed taskId, uint16 contest, uint16 word, bool moved, uint256 toAppellant, uint256 toPool
    );
    event AppealRewardClaimed(uint256 indexed taskId, address indexed operator, uint16 seats, uint256 amount);
    event AppealCreditWithdrawn(address indexed account, uint256 amount);

    // ------------------------------------------------------------------ appellants

    /// @notice Contest a median word of a settled task within its appeal window. Pulls `bondOf(taskId)` from the caller.
    /// @param wordIndex index of the word among all median words of the task
    /// @param word the median word, and its proof in its page
    function contest(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        returns (uint256 index);

    // ------------------------------------------------------------------ settlement (anyone; earns a tip)

    /// @notice The quorum was missed, or the deadline has passed: the old medians stand.
    function failAppeal(uint256 taskId) external;

    /// @notice After the appeal is settled or failed: put the word that was found in place and decide the bond of one contest.
    /// @param proof of the contest's previous word in its page as it is now; not read when nothing is replaced
    function resolve(uint256 taskId, uint256 index, bytes32[6] calldata proof) external;

    /// @notice The last page of contested words is settled. AppealCommittee only.
    function settled(uint256 taskId, uint16 paidSeats) external;

    // ------------------------------------------------------------------ faults (anyone; earns a share of the slash)

    /// @notice Prove that a row of the settled task has a score of a contested word more than 8h from the median that the appeal
    /// found, neither of the two being 0: slashes 10% of its earmark. Once a row.
    /// @param words the row, as revealed
    function reportOverturned(uint256 taskId, address operator, uint256 index, uint256[] calldata words) external;

    // ------------------------------------------------------------------ claims (anyone; paid to whom it belongs)

    /// @notice Pay a validator's flat share of the round into its staking pool.
    function claimAppeal(uint256 taskId, address operator) external returns (uint256 amount);
    /// @notice Pay out what an account is owed: bonds and premiums.
    function withdraw(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------ views

    function appealOf(uint256 taskId) external view returns (Appeal memory);
    function contestOf(uint256 taskId, uint256 index) external view returns (Contest memory);
    /// @notice The contest of a word, counted from 1; 0: the word is not contested.
    function contestAt(uint256 taskId, uint256 wordIndex) external view returns (uint256);
    /// @notice What contesting a word of the task costs: 1 / (2 · words) of what its bounty gives validators.
    function bondOf(uint256 taskId) external view returns (uint256);
    function owedTo(address account) external view returns (uint256);
    function claimed(uint256 taskId, address operator) external view returns (bool);
    function overturned(uint256 taskId, address operator) external view returns (bool);
    /// @notice Whether a contested word is unresolved: the task cannot be finalised.
    function isOpen(uint256 taskId) external view returns (bool);
    /// @notice Whether the operator's earmark behind the task must stay for the appeal's sake.
    function holds(uint256 taskId, address operator) external view returns (bool);
}
