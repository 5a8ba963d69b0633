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
    /// @notice A second committee will be drawn with a new seed.
    event Reseated(uint256 indexed taskId, uint8 round);
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
    /// all committed rows are revealed.
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
    /// that neither failed nor abstained. After the second round, or if no stake is left, the task fails.
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
    /// @notice Gain of a revealed operator once all pages are settled: max(0, G - 2·loss); in a second committee 1 if that is above 0.
    function gainOf(uint256 taskId, address operator) external view returns (uint256);
    /// @notice Whether a median word is proven by its page's root.
    function verifyMedianWord(uint256 taskId, uint256 wordIndex, uint256 word, bytes32[6] calldata proof)
        external
        view
        returns (bool);
    /// @notice Whether all pages are settled. The task can then only end as paid.
    function isSettled(uint256 taskId) external view returns (bool);
}
