// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "./IAppeals.sol";
import {ICommittee} from "./ICommittee.sol";

/// @title Scoring: the committees of a task and the settlement of their scores
/// @notice See ICommittee for seeds, seats, rows and faults.
interface IScoring is ICommittee {
    // ------------------------------------------------------------------ types

    /// @notice Totals over all settled pages.
    struct Totals {
        uint256 weights; // sum of max(0, m - floor)^p
        uint256 gainSeats; // sum over rows of seats * gain; in a second committee: seats of the rows that gained
        uint64 spread; // G, summed over pages
        bool scored; // whether any median is above 0
    }

    // ------------------------------------------------------------------ errors

    error ScoringNotSettled(uint256 taskId);
    error ScoringAppealOpen(uint256 taskId, uint40 until); // 0: until every contested word is resolved
    error ScoringEnded(uint256 taskId);
    error ScoringNotAppeals(address caller);
    error ScoringBadProof(uint256 taskId, uint256 word);

    // ------------------------------------------------------------------ events

    event PageSettled(
        uint256 indexed taskId,
        uint8 round,
        uint16 page,
        bytes32 root,
        uint256 weights,
        uint64 spread,
        uint256[] medians
    );
    /// @param losses summed losses, eight per word: the row with reveal index i at bits 32·(i mod 8) of word i / 8
    event RoundSettled(uint256 indexed taskId, uint8 round, Totals totals, uint256[] losses, uint40 payableAt);
    event RoundFailed(uint256 indexed taskId, uint8 round, uint32 revealedSeats, uint32 committedSeats);
    /// @notice Every median of a settled round is 0. The round pays nobody and no operator leaves for it.
    event RoundVoid(uint256 indexed taskId, uint8 round);
    /// @notice A second committee will be drawn with a new seed, which can be requested from `requestFrom` on.
    event Reseated(uint256 indexed taskId, uint8 round, uint40 requestFrom);
    /// @notice An appeal replaced a word in a page's tree. `weights` is the new sum over all pages.
    event MedianReplaced(
        uint256 indexed taskId,
        uint8 round,
        uint16 word,
        uint256 previous,
        uint256 replacement,
        bytes32 root,
        uint256 weights
    );

    // ------------------------------------------------------------------ settlement (anyone; earns a tip)

    /// @notice Settle the next page, which is `settledPages`. Possible after the reveal window, or as soon as commits are closed and
    /// all committed rows are revealed, and before `expiresAt` less the appeal window. If every median of the round is 0, the last page
    /// makes the round void: a second committee is drawn, or the task fails.
    /// @param rows heads of the revealed rows in order of reveal: uint256(operator) | seats << 160
    /// @param medians claimed seat-weighted lower medians, one word for each word of the page
    /// @param words all rows' words of this page, row after row (row-major), rows.length * medians.length words
    function settlePage(
        uint256 taskId,
        uint256 page,
        uint256[] calldata rows,
        uint256[] calldata medians,
        uint256[] calldata words
    ) external;

    /// @notice Make the task payable, once all pages are settled, the appeal window is over and all contests are resolved.
    function finalise(uint256 taskId) external;

    /// @notice End a round that missed its quorum. After the first round, a second committee is drawn from the stake of the operators
    /// that neither failed nor abstained; its seed can be requested a quarter of `settle` later, so that reports come before. After the
    /// second round, or if no stake is left, the task fails.
    function failRound(uint256 taskId) external;

    // ------------------------------------------------------------------ appeals

    /// @notice Replace a median word by the result of an appeal. Appeals only.
    function replaceWord(
        uint256 taskId,
        uint256 wordIndex,
        uint256 previous,
        uint256 replacement,
        bytes32[6] calldata proof
    ) external;

    // ------------------------------------------------------------------ views

    /// @notice The contract that may replace median words.
    function appeals() external view returns (IAppeals);
    /// @notice Totals over the settled pages.
    function totalsOf(uint256 taskId) external view returns (Totals memory);
    /// @notice Positional Merkle root over the page's median words, depth 6; zero until settled. A leaf is keccak256(word), missing
    /// leaves are 32 zero bytes, a node is keccak256(left ‖ right); bit k of the word's index in its page is set where level k is a right child.
    function pageRootOf(uint256 taskId, uint256 page) external view returns (bytes32);
    /// @notice Gain of a revealed operator once all pages are settled: max(0, G - 2·loss). In a second committee 1 if that is above 0, and
    /// in one of a sealed task 1 if G is above 0 and the loss is 0.
    function gainOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice What a validator is paid by: the seats and the gain of its revealed row, 0 and 0 without one.
    function shareOf(uint256 taskId, address operator) external view returns (uint16 seats, uint256 gain);
    /// @notice Whether a round of the task was void.
    function hasVoidRound(uint256 taskId) external view returns (bool);
    /// @notice Time from which the seed of a second committee can be requested; 0 for a first one.
    function requestFromOf(uint256 taskId) external view returns (uint40);
    /// @notice Whether a median word is proven by its page's root.
    function verifyMedianWord(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        view
        returns (bool);
    /// @notice Whether all pages are settled. The task can then only end as paid.
    function isSettled(uint256 taskId) external view returns (bool);
}
