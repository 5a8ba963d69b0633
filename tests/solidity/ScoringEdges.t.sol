// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scoring} from "../../contracts/Scoring.sol";
import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {IScoring} from "../../contracts/interfaces/IScoring.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyScenario} from "./utils/CoveyScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Every check of Scoring at its edge: a contract without one of them fails here.
contract ScoringEdgesTest is CoveyScenario {
    using PlainScores for uint256[];

    uint256[] private truth;

    function setUp() public override {
        super.setUp();
        joinAll(3, 6);
        truth = ladder(3);
    }

    /// @dev K seats over six validators with equal stake, K / 6 each.
    function params18() private pure returns (ITaskRegistry.TaskParams memory params) {
        params = localParams();
        params.targetSeats = 18;
    }

    function revealedTask() private returns (uint256 taskId) {
        taskId = seeded(params18());
        scoreAll(scoring, taskId, validators, around(truth, 6));
    }

    function settledTask() private returns (uint256 taskId) {
        taskId = revealedTask();
        settleAll(taskId, validators, around(truth, 6));
    }

    function expectEnded(uint256 taskId) private {
        vm.expectRevert(abi.encodeWithSelector(IScoring.ScoringEnded.selector, taskId));
    }

    function test_RevertWhen_TaskHasEnded() external {
        uint256 snapshot = vm.snapshotState();
        uint256 taskId = revealedTask();
        PageCall memory call = pageCall(taskId, 0, validators, around(truth, 6));
        vm.warp(registry.scheduleOf(taskId).expiresAt);
        registry.expire(taskId);
        expectEnded(taskId);
        scoring.settlePage(taskId, 0, call.heads, call.medians, call.words);
        vm.revertToState(snapshot);

        taskId = seeded(params18());
        vm.warp(registry.scheduleOf(taskId).expiresAt);
        registry.expire(taskId);
        expectEnded(taskId);
        scoring.failRound(taskId);
        vm.revertToState(snapshot);

        taskId = settledTask();
        finalise(taskId);
        expectEnded(taskId);
        scoring.finalise(taskId);
    }

    function test_RevertWhen_PageIsSettledBeforeReveals() external {
        uint256 taskId = seeded(params18());
        uint256[][] memory rows = around(truth, 6);
        for (uint256 j = 0; j < 6; ++j) {
            commitScores(taskId, validators[j], rows[j].pack());
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        address[] memory five = new address[](5);
        uint256[][] memory shown = new uint256[][](5);
        for (uint256 j = 0; j < 5; ++j) {
            revealScores(taskId, validators[j], rows[j].pack());
            (five[j], shown[j]) = (validators[j], rows[j]);
        }
        // A quorum is there, and the sixth row may still come.
        PageCall memory call = pageCall(taskId, 0, five, shown);
        uint40 end = scoring.roundOf(taskId).scoreRevealEnd;
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowOpen.selector, taskId, end));
        scoring.settlePage(taskId, 0, call.heads, call.medians, call.words);
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowOpen.selector, taskId, end));
        scoring.settlePage(taskId, 0, call.heads, call.medians, call.words);
        vm.warp(end);
        assertTrue(scoring.accumulatorOf(taskId, 0) != 0 && scoring.pageRootOf(taskId, 0) == 0);
        scoring.settlePage(taskId, 0, call.heads, call.medians, call.words);
        assertTrue(scoring.accumulatorOf(taskId, 0) == 0 && scoring.pageRootOf(taskId, 0) != 0);
    }

    function test_RevertIf_RoundWithQuorumIsFailed() external {
        uint256 taskId = revealedTask();
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringQuorumReached.selector, taskId));
        scoring.failRound(taskId);
    }

    function test_EachStepIsTipped() external {
        uint256 snapshot = vm.snapshotState();
        uint256 taskId = revealedTask();
        assertEq(rewards.owedTo(keeper), 2 * TIP, "seed requested, fixed");
        settleAll(taskId, validators, around(truth, 6));
        assertEq(rewards.owedTo(keeper), 3 * TIP, "settled");
        finalise(taskId);
        assertEq(rewards.owedTo(keeper), 4 * TIP, "finalised");
        vm.revertToState(snapshot);
        taskId = seeded(params18());
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        vm.prank(keeper);
        scoring.failRound(taskId);
        assertEq(rewards.owedTo(keeper), 3 * TIP, "seed requested, fixed, round failed");
    }

    function test_ReplaceWordChecksCallerAndPreviousWord() external {
        uint256 taskId = settledTask();
        uint256[] memory words = middleOf(taskId, validators, around(truth, 6)).pack();
        bytes32[6] memory proof = words.proof(0);
        vm.expectRevert(abi.encodeWithSelector(IScoring.ScoringNotAppeals.selector, address(this)));
        scoring.replaceWord(taskId, 0, words[0], words[0] + 1, proof);
        vm.prank(address(appeals));
        vm.expectRevert(abi.encodeWithSelector(IScoring.ScoringBadProof.selector, taskId, 0));
        scoring.replaceWord(taskId, 0, words[0] + 1, words[0], proof);
        uint256 before = scoring.totalsOf(taskId).weights;
        vm.prank(address(appeals));
        scoring.replaceWord(taskId, 0, words[0], 0, proof);
        assertEq(scoring.totalsOf(taskId).weights, 0);
        assertTrue(scoring.verifyMedianWord(taskId, 0, 0, proof));
        assertFalse(scoring.verifyMedianWord(taskId, 0, words[0], proof));
        vm.prank(address(appeals));
        scoring.replaceWord(taskId, 0, 0, words[0], proof);
        assertEq(scoring.totalsOf(taskId).weights, before);
    }

    function test_GainIsKnownForRevealedRowsOfASettledTask() external {
        uint256 taskId = seeded(params18());
        vm.expectRevert(abi.encodeWithSelector(IScoring.ScoringNotSettled.selector, taskId));
        scoring.gainOf(taskId, validators[0]);
        abstain(scoring, taskId, validators[5]);
        address[] memory five = new address[](5);
        for (uint256 j = 0; j < 5; ++j) {
            five[j] = validators[j];
        }
        scoreAll(scoring, taskId, five, around(truth, 5));
        settleAll(taskId, five, around(truth, 5));
        assertGt(scoring.gainOf(taskId, validators[0]), 0);
        assertEq(scoring.gainOf(taskId, validators[5]), 0, "abstained");
        assertEq(scoring.gainOf(taskId, trainers[0]), 0, "no validator");
    }

    /// @dev Of six, one abstains, one commits and does not reveal, one reveals, three are absent; one of those is reported.
    function test_FailedAndAbstainingValidatorsHaveNoSeatInTheSecondCommittee() external {
        uint256 taskId = seeded(params18());
        uint256[][] memory rows = around(truth, 6);
        abstain(scoring, taskId, validators[0]);
        commitScores(taskId, validators[1], rows[1].pack());
        commitScores(taskId, validators[2], rows[2].pack());
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        revealScores(taskId, validators[2], rows[2].pack());
        scoring.reportAbsent(taskId, 0, validators[3]);
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        scoring.failRound(taskId);
        drawSeed(taskId, keccak256("second seed"));
        assertEq(scoring.seatsOf(taskId, validators[0]), 0, "abstained");
        assertEq(scoring.seatsOf(taskId, validators[1]), 0, "did not reveal, and is not even reported");
        assertEq(scoring.seatsOf(taskId, validators[3]), 0, "reported absent");
        // S is less what abstained and what was reported: four of six stakes.
        assertGe(scoring.seatsOf(taskId, validators[2]), 4, "revealed");
        assertGe(scoring.seatsOf(taskId, validators[4]), 4, "absent, not reported");
        // Of the first round nothing is lost.
        assertEq(scoring.seatsAt(taskId, 0, validators[0]), 3);
        assertEq(uint256(scoring.rowAt(taskId, 0, validators[2]).status), uint256(ICommittee.RowStatus.Revealed));
        // A row of the second round counts in the second alone.
        commitScores(taskId, validators[2], rows[2].pack());
        assertEq(uint256(scoring.rowOf(taskId, validators[2]).status), uint256(ICommittee.RowStatus.Committed));
    }

    /// @dev An absence that is reported once the second committee's stake is frozen takes no seat there, so no fault of it either.
    function test_LateReportOfAnAbsenceKeepsTheSeatInTheSecondCommittee() external {
        uint256 taskId = seeded(params18());
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        scoring.failRound(taskId); // all were absent
        drawSeed(taskId, keccak256("second seed"));
        uint16 seats = scoring.seatsOf(taskId, validators[0]);
        assertGt(seats, 0);
        scoring.reportAbsent(taskId, 0, validators[0]);
        assertEq(uint256(scoring.rowAt(taskId, 0, validators[0]).status), uint256(ICommittee.RowStatus.Absent));
        assertEq(scoring.seatsOf(taskId, validators[0]), seats);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoFault.selector, taskId, validators[0]));
        scoring.reportAbsent(taskId, 0, validators[0]);
        assertTrue(scoring.owesFault(taskId, validators[0]), "its duty in the second committee");
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        scoring.failRound(taskId);
        assertEq(faults.silentSeatsOf(taskId, 0, validators[0]), 3);
        assertEq(faults.silentSeatsOf(taskId, 1, validators[0]), seats);
    }

    function test_RevertIf_ZeroAddress() external {
        for (uint256 i = 0; i < 5; ++i) {
            address[5] memory given = [address(1), address(2), address(3), address(4), address(5)];
            given[i] = address(0);
            vm.expectRevert(ICommittee.ScoringZeroAddress.selector);
            this.create(given);
        }
    }

    /// @dev External, so that vm.expectRevert sees the revert of the constructor.
    function create(address[5] calldata given) external {
        new Scoring(given[0], given[1], given[2], given[3], given[4]);
    }
}
