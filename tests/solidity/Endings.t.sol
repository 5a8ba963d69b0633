// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {IRandomness} from "../../contracts/interfaces/IRandomness.sol";
import {IScoring} from "../../contracts/interfaces/IScoring.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyScenario} from "./utils/CoveyScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Every way in which a task can stall, each run until the task ends and every token is paid out.
contract EndingsTest is CoveyScenario {
    using PlainScores for uint256[];

    uint256[] private none;

    function setUp() public override {
        super.setUp();
        joinAll(3, 6);
    }

    function expectOutcome(uint256 taskId, ITaskRegistry.Outcome outcome) private view {
        assertEq(outcomeOf(taskId), uint256(outcome));
    }

    /// @dev K seats over six validators with equal stake, K / 6 each.
    function params18(bool isSealed) private view returns (ITaskRegistry.TaskParams memory params) {
        params = isSealed ? sealedParams() : localParams();
        params.targetSeats = 18;
    }

    // ------------------------------------------------------------------ before the seed

    function test_TaskWithTooLittleEnrolmentIsRefunded() external {
        for (uint256 late = 0; late < 2; ++late) {
            uint256 snapshot = vm.snapshotState();
            uint256 taskId = post(localParams());
            commitEntry(taskId, trainers[0]);
            vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
            enrol(taskId, validators[0], 999e18);
            vm.warp(registry.scheduleOf(taskId).enrolEnd);
            vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNotReady.selector, taskId));
            scoring.requestSeed(taskId);
            if (late == 0) {
                registry.closeTask(taskId);
            } else {
                vm.warp(registry.scheduleOf(taskId).expiresAt);
                registry.expire(taskId);
            }
            expectOutcome(taskId, ITaskRegistry.Outcome.Refunded);
            drain(taskId, none, 0);
            vm.revertToState(snapshot);
        }
    }

    function test_TaskWithUnopenedSealedSetFails() external {
        uint256 before = token.balanceOf(creator);
        uint256 taskId = post(sealedParams());
        fill(taskId, trainers, validators);
        vm.warp(registry.scheduleOf(taskId).openEnd);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryWindowClosed.selector, taskId, bytes32("open")));
        openSet(taskId);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNotReady.selector, taskId));
        scoring.requestSeed(taskId);
        registry.closeTask(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Failed);
        drain(taskId, none, 0);
        assertEq(token.balanceOf(creator), before - 500e18 - 100e18);
    }

    // ------------------------------------------------------------------ committees

    function test_TaskFailsAtOnceIfAllAbstain() external {
        uint256 taskId = seeded(params18(false));
        for (uint256 j = 0; j < 6; ++j) {
            abstain(scoring, taskId, validators[j]);
        }
        uint40 end = scoring.roundOf(taskId).scoreCommitEnd;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowOpen.selector, taskId, end));
        scoring.failRound(taskId);
        vm.warp(end);
        scoring.failRound(taskId);
        // No stake is left for a second committee.
        expectOutcome(taskId, ITaskRegistry.Outcome.Failed);
        assertEq(scoring.roundOf(taskId).number, 0);
        drain(taskId, none, 0);
        for (uint256 j = 0; j < 6; ++j) {
            assertEq(token.balanceOf(validators[j]), STAKE, "an abstention costs nothing");
        }
    }

    /// @dev Of six, two abstain, one is absent and one does not reveal. The second committee of the other two is paid flat.
    function test_SecondCommitteeIsPaidFlat() external {
        uint256 taskId = seeded(params18(false));
        uint256[] memory truth = ladder(3);
        abstain(scoring, taskId, validators[0]);
        abstain(scoring, taskId, validators[1]);
        for (uint256 j = 3; j < 6; ++j) {
            commit(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        vm.prank(reporter);
        scoring.reportAbsent(taskId, 0, validators[2]);
        reveal(scoring, taskId, validators[4], truth);
        reveal(scoring, taskId, validators[5], truth);
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        vm.expectPartialRevert(ICommittee.ScoringQuorum.selector);
        scoring.settlePage(taskId, 0, none, none, none);
        uint40 expiresAt = registry.scheduleOf(taskId).expiresAt;
        scoring.failRound(taskId);
        assertEq(scoring.roundOf(taskId).number, 1);
        assertEq(registry.scheduleOf(taskId).expiresAt, expiresAt + 3 days, "as long again");

        drawSeed(taskId, keccak256("second seed"));
        for (uint256 j = 0; j < 4; ++j) {
            assertEq(scoring.seatsOf(taskId, validators[j]), 0, "left or failed");
        }
        // S is still three shares, because the fourth is not reported, so each of the two has a third of the seats.
        assertEq(scoring.seatsOf(taskId, validators[4]), 6);
        assertEq(scoring.seatsOf(taskId, validators[5]), 6);
        address[] memory who = new address[](2);
        (who[0], who[1]) = (validators[5], validators[4]);
        uint256[][] memory rows = new uint256[][](2);
        rows[0] = ladder(3);
        rows[1] = ladder(3);
        rows[1][2] += 1400; // within half of the spread; a first committee would pay less for it
        scoreAll(scoring, taskId, who, rows);
        settleAll(taskId, who, rows);
        assertEq(scoring.gainOf(taskId, who[0]), 1);
        assertEq(scoring.gainOf(taskId, who[1]), 1);
        assertEq(scoring.totalsOf(taskId).gainSeats, 12);
        finalise(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Paid);
        assertEq(rewards.scoringReward(taskId, who[0]), rewards.scoringReward(taskId, who[1]));
        assertEq(rewards.scoringReward(taskId, validators[3]), 0);
        drain(taskId, middleOf(taskId, who, rows), 10);
    }

    function test_TaskFailsIfTheQuorumIsMissedTwice() external {
        uint256 taskId = seeded(params18(false));
        uint256[] memory truth = ladder(3);
        for (uint256 j = 0; j < 6; ++j) {
            commit(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        // Half is not more than half.
        for (uint256 j = 0; j < 3; ++j) {
            reveal(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        scoring.failRound(taskId);
        drawSeed(taskId, keccak256("second seed"));
        address[] memory who = seatedOf(scoring, taskId, validators);
        assertEq(who.length, 3);
        commit(scoring, taskId, who[0], truth);
        abstain(scoring, taskId, who[1]);
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        scoring.failRound(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Failed);
        drain(taskId, none, 0);
    }

    /// @dev A target that left the history is requested again, in both rounds and in the appeal.
    function test_LostTargetIsRequestedAgainInEveryRound() external {
        uint256 taskId = post(params18(true));
        fill(taskId, trainers, validators);
        openSet(taskId);
        loseTarget(scoring, taskId);
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        scoring.failRound(taskId); // all were absent
        loseTarget(scoring, taskId);
        // None is reported, so all are drawn again.
        address[] memory who = seatedOf(scoring, taskId, validators);
        assertEq(who.length, 6);
        uint256[][] memory rows = around(ladder(3), 6);
        scoreAll(scoring, taskId, who, rows);
        settleAll(taskId, who, rows);
        uint256[] memory middle = middleOf(taskId, who, rows);
        contest(taskId, 0, middle);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        loseTarget(committee, taskId);
        finishAppeal(taskId, middle, middle, false);
    }

    function loseTarget(ICommittee c, uint256 taskId) private {
        c.requestSeed(taskId);
        uint64 target = c.roundOf(taskId).target;
        bytes memory header = mine(target, keccak256("lost"));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringSeedPending.selector, taskId, target));
        c.requestSeed(taskId);
        vm.roll(target + 257);
        vm.expectRevert(abi.encodeWithSelector(IRandomness.RandomnessTargetLost.selector, target));
        c.fixSeed(taskId, header);
        seed(c, taskId, keccak256(abi.encode("found", address(c), c.roundOf(taskId).number)));
    }

    // ------------------------------------------------------------------ appeals

    /// @dev Run a sealed task of three entries until its only word is contested and enrolment for the appeal is over.
    function contested() private returns (uint256 taskId, uint256[] memory middle) {
        taskId = seeded(params18(true));
        uint256[][] memory rows = around(ladder(3), 6);
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        middle = middleOf(taskId, validators, rows);
        contest(taskId, 0, middle);
        assertTrue(appeals.isOpen(taskId));
        vm.warp(scoring.roundOf(taskId).settledAt + 2 hours);
        vm.expectRevert(abi.encodeWithSelector(IScoring.ScoringAppealOpen.selector, taskId, uint40(0)));
        scoring.finalise(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
    }

    /// @dev Run the appeal until the end of the task; the committee's median word is `truth`.
    function finishAppeal(uint256 taskId, uint256[] memory middle, uint256[] memory truth, bool moves) private {
        uint256[] memory lanes = new uint256[](16);
        for (uint256 i = 0; i < truth.length; ++i) {
            lanes[i] = truth[i];
        }
        address[] memory who = seatedOf(committee, taskId, validators);
        uint256[][] memory rows = new uint256[][](who.length);
        for (uint256 j = 0; j < who.length; ++j) {
            rows[j] = lanes;
        }
        scoreAll(committee, taskId, who, rows);
        settleContests(taskId, who, rows);
        assertEq(uint256(appeals.appealOf(taskId).state), uint256(IAppeals.AppealState.Settled));
        uint256 bondLeft = rewards.escrowOf(taskId).bond;
        appeals.resolve(taskId, 0, middle.pack().proof(0));
        assertFalse(appeals.isOpen(taskId));
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        assertEq(appeals.contestOf(taskId, 0).moved, moves);
        // If a median moved: the bond, and the same amount from the rest of the creator's bond. Otherwise nothing.
        uint256 premium = bondLeft < appeal.bond ? bondLeft : appeal.bond;
        assertEq(appeals.owedTo(appellant), moves ? appeal.bond + premium : 0);
        assertEq(appeal.pool, appeal.bond, "the round earns the same whatever it finds");
        ITaskRegistry.ScoringTerms memory terms = registry.scoringTermsOf(taskId);
        assertEq(scoring.totalsOf(taskId).weights, truth.weights(terms.floorScore, terms.power));
        finalise(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Paid);
        uint256 pool = rewards.escrowOf(taskId).trainersPool;
        uint256 sum = claimEntries(taskId, truth);
        assertLe(sum, pool);
        assertGe(sum + truth.length, pool);
        drain(taskId, truth, 20);
    }

    function appealFinds(uint256[] memory truth, bool moves) private {
        (uint256 taskId, uint256[] memory middle) = contested();
        seed(committee, taskId, keccak256("appeal seed"));
        finishAppeal(taskId, middle, truth, moves);
    }

    function test_AppealKeepsTheMedian() external {
        appealFinds(around(ladder(3), 6)[2], false);
    }

    /// @dev The median moves by at most max(tau, 2h) = 1200. It is replaced, but the bond pays the round.
    function test_AppealMovesTheMedianWithinTheTolerance() external {
        uint256[] memory truth = ladder(3);
        truth[0] += 1100;
        appealFinds(truth, false);
    }

    function test_AppealRaisesTheMedian() external {
        uint256[] memory truth = ladder(3);
        truth[0] += 9000;
        appealFinds(truth, true);
    }

    function test_AppealLowersTheMedian() external {
        uint256[] memory truth = ladder(3);
        truth[2] = 660;
        appealFinds(truth, true);
    }

    /// @dev No entry has weight, so the trainers' pool returns to the creator.
    function test_AppealLowersTheMedianToZero() external {
        uint256 before = token.balanceOf(creator);
        appealFinds(new uint256[](3), true);
        // Tips and the appellant's premium used the whole bond.
        assertEq(token.balanceOf(creator), before - 300e18 - 100e18);
    }

    /// @dev The old medians stand and the bond is returned.
    function checkFailed(uint256 taskId, uint256[] memory middle) private {
        assertEq(uint256(appeals.appealOf(taskId).state), uint256(IAppeals.AppealState.Failed));
        bytes32[6] memory proof; // not read
        appeals.resolve(taskId, 0, proof);
        assertEq(appeals.owedTo(appellant), appeals.appealOf(taskId).bond);
        finalise(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Paid);
        drain(taskId, middle, 20);
        assertEq(token.balanceOf(appellant), 10_000e18);
    }

    function test_AppealFailsWithoutAQuorum() external {
        (uint256 taskId, uint256[] memory middle) = contested();
        seed(committee, taskId, keccak256("appeal seed"));
        // 37 seats over six validators, of which one reveals.
        commit(committee, taskId, validators[0], new uint256[](16));
        commit(committee, taskId, validators[1], new uint256[](16));
        abstain(committee, taskId, validators[2]);
        vm.warp(committee.roundOf(taskId).scoreCommitEnd);
        reveal(committee, taskId, validators[0], new uint256[](16));
        uint40 end = committee.roundOf(taskId).scoreRevealEnd;
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowOpen.selector, taskId, end));
        appeals.failAppeal(taskId);
        vm.warp(end);
        vm.expectPartialRevert(ICommittee.ScoringQuorum.selector);
        committee.settleContests(taskId, 0, none, none, none);
        appeals.failAppeal(taskId);
        checkFailed(taskId, middle);
    }

    /// @dev At every stage: no seed, seed requested, seed fixed, all rows revealed.
    function test_AppealFailsAtItsDeadline() external {
        for (uint256 steps = 0; steps < 4; ++steps) {
            uint256 snapshot = vm.snapshotState();
            (uint256 taskId, uint256[] memory middle) = contested();
            if (steps == 1) committee.requestSeed(taskId);
            if (steps > 1) seed(committee, taskId, keccak256("appeal seed"));
            if (steps == 3) {
                address[] memory who = seatedOf(committee, taskId, validators);
                scoreAll(committee, taskId, who, around(new uint256[](16), who.length));
                vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNotFailed.selector, taskId));
                appeals.failAppeal(taskId);
            }
            uint40 deadline = appeals.appealOf(taskId).deadline;
            vm.warp(deadline);
            vm.expectRevert(abi.encodeWithSignature("CommitteeNotOpen(uint256)", taskId));
            committee.settleContests(taskId, 0, none, none, none);
            vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistrySettled.selector, taskId));
            registry.expire(taskId);
            appeals.failAppeal(taskId);
            checkFailed(taskId, middle);
            vm.revertToState(snapshot);
        }
    }

    // ------------------------------------------------------------------ expire

    /// @dev At every stage of both committees: from `expiresAt` on anyone can end the task, and all tokens are paid out.
    /// forge-config: default.fuzz.runs = 64
    /// forge-config: ci.fuzz.runs = 300
    function testFuzz_TaskCanBeExpiredAtEveryStage(uint256 stage, bool isSealed, uint256 random) external {
        stage = bound(stage, 0, 11);
        uint256 taskId = post(params18(isSealed));
        ITaskRegistry.Schedule memory schedule = registry.scheduleOf(taskId);
        if (stage > 0) commitEntry(taskId, trainers[0]);
        if (stage > 1) {
            vm.warp(schedule.entryCommitEnd);
            for (uint256 j = 0; j < 6; ++j) {
                enrol(taskId, validators[j], 1000e18 + (random >> j) % (STAKE - 1000e18));
            }
        }
        if (stage > 2) {
            vm.warp(schedule.enrolEnd);
            revealEntry(taskId, trainers[0]);
            vm.warp(schedule.entryRevealEnd);
        }
        if (stage > 3 && isSealed) openSet(taskId);
        bool ready = stage > 3;
        if (stage == 4) scoring.requestSeed(taskId);
        if (stage > 4) seed(scoring, taskId, bytes32(random));
        if (stage > 5) halfScore(taskId, random);
        if (stage > 7) {
            vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
            (bool ok,) = address(scoring).call(abi.encodeCall(scoring.failRound, (taskId)));
            if (ok && outcomeOf(taskId) == 0) {
                if (stage == 9) scoring.requestSeed(taskId);
                if (stage > 9) seed(scoring, taskId, bytes32(random ^ 1));
                if (stage > 10) halfScore(taskId, random >> 100);
            }
        }
        if (outcomeOf(taskId) == 0) {
            uint40 expiresAt = registry.scheduleOf(taskId).expiresAt;
            vm.warp(expiresAt - 1);
            vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryNotExpired.selector, taskId, expiresAt));
            registry.expire(taskId);
            vm.warp(expiresAt);
            registry.expire(taskId);
        }
        expectOutcome(taskId, stage < 3 ? ITaskRegistry.Outcome.Refunded : ITaskRegistry.Outcome.Failed);
        assertTrue(ready || stage <= 3);
        drain(taskId, none, 0);
    }

    /// @dev Each seated validator commits, abstains or is absent; some of the committed reveal.
    function halfScore(uint256 taskId, uint256 random) private {
        address[] memory who = seatedOf(scoring, taskId, validators);
        uint256[] memory row = new uint256[](1);
        for (uint256 j = 0; j < who.length; ++j) {
            uint256 choice = (random >> (4 * j)) & 3;
            if (choice == 0) abstain(scoring, taskId, who[j]);
            if (choice > 1) commit(scoring, taskId, who[j], row);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 0; j < who.length; ++j) {
            if ((random >> (4 * j)) & 7 == 7) reveal(scoring, taskId, who[j], row);
        }
    }
}
