// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {IFaults} from "../../contracts/interfaces/IFaults.sol";
import {IRandomness} from "../../contracts/interfaces/IRandomness.sol";
import {IRewards} from "../../contracts/interfaces/IRewards.sol";
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
        joinJury(6);
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
        uint256 unit = unitOf(taskId, 6 * STAKE);
        uint256 before = token.balanceOf(creator);
        drain(taskId, none, 0);
        // The creator has its bounty and what tips left of the bond; each silent seat paid its part of the bounty.
        assertEq(token.balanceOf(creator), before + 1000e18 + 100e18 - 3 * TIP);
        for (uint256 j = 0; j < 6; ++j) {
            assertApproxEqAbs(token.balanceOf(validators[j]), STAKE - 3 * unit, 1e12);
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
        uint256 before = token.balanceOf(creator);
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
        assertEq(token.balanceOf(creator), before - 6 * TIP, "a creator that did its part loses tips alone");
    }

    // ------------------------------------------------------------------ rounds without a score

    /// @dev All medians 0 twice: half of the bounty returns, the other half, fees and top-ups are forfeited.
    function test_TaskFailsIfBothRoundsAreVoid() external {
        uint256 before = token.balanceOf(creator);
        uint256 taskId = seeded(params18(false));
        token.approve(address(rewards), 50e18);
        rewards.topUp(taskId, 50e18);
        uint256[][] memory rows = new uint256[][](6);
        for (uint256 j = 0; j < 6; ++j) {
            rows[j] = new uint256[](3);
        }
        for (uint8 number = 0; number < 2; ++number) {
            if (number == 1) drawSeed(taskId, keccak256("second seed"));
            address[] memory who = seatedOf(scoring, taskId, validators);
            assertEq(who.length, 6, "nobody leaves for a void round");
            scoreAll(scoring, taskId, who, rows);
            vm.expectEmit(address(scoring));
            emit IScoring.RoundVoid(taskId, number);
            settleAll(taskId, who, rows);
            assertTrue(scoring.roundAt(taskId, number).isVoid);
            assertFalse(scoring.roundAt(taskId, number).missed);
            assertFalse(scoring.isSettled(taskId));
            assertTrue(scoring.hasVoidRound(taskId));
        }
        expectOutcome(taskId, ITaskRegistry.Outcome.Failed);
        uint256 fees = rewards.escrowOf(taskId).fees;
        assertEq(rewards.owedTo(treasury), 500e18 + 50e18 + fees);
        vm.expectPartialRevert(IRewards.RewardsNothingToClaim.selector);
        rewards.claimFee(taskId, trainers[0]);
        for (uint256 j = 0; j < 6; ++j) {
            assertEq(faults.silentSeatsOf(taskId, 0, validators[j]), 0);
            assertFalse(faults.owes(taskId, validators[j]));
        }
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(rewards.escrowOf(taskId).remaining, 0);
        }
        drainWithoutFees(taskId);
        // Three tips for each round: requested, fixed, settled.
        assertEq(token.balanceOf(creator), before - 500e18 - 6 * TIP);
    }

    function drainWithoutFees(uint256 taskId) private {
        for (uint256 j = 0; j < 6; ++j) {
            registry.releaseEarmark(taskId, validators[j]);
        }
        leaveAll();
        assertEq(token.balanceOf(address(rewards)), 0);
        assertLe(token.balanceOf(address(staking)), operators.length * 1e13);
    }

    /// @dev A void round and a missed one, in both orders: the creator gets half, and the silent seats pay for the failed task.
    function test_TaskFailsAfterAVoidAndAMissedRound() external {
        for (uint8 missed = 0; missed < 2; ++missed) {
            uint256 snapshot = vm.snapshotState();
            uint256 taskId = seeded(params18(false));
            uint256 drawn = 6 * STAKE;
            for (uint8 number = 0; number < 2; ++number) {
                if (number == 1) drawSeed(taskId, keccak256("second seed"));
                address[] memory who = seatedOf(scoring, taskId, validators);
                if (number != missed) {
                    uint256[][] memory rows = new uint256[][](who.length);
                    for (uint256 j = 0; j < who.length; ++j) {
                        rows[j] = new uint256[](3);
                    }
                    scoreAll(scoring, taskId, who, rows);
                    settleAll(taskId, who, rows);
                    continue;
                }
                // Half of the seats abstain, and the rest reveals.
                for (uint256 j = 0; j < 3; ++j) {
                    abstain(scoring, taskId, who[j]);
                }
                for (uint256 j = 3; j < 6; ++j) {
                    commit(scoring, taskId, who[j], new uint256[](3));
                }
                vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
                for (uint256 j = 3; j < 6; ++j) {
                    reveal(scoring, taskId, who[j], new uint256[](3));
                }
                scoring.failRound(taskId);
            }
            expectOutcome(taskId, ITaskRegistry.Outcome.Failed);
            assertTrue(scoring.roundAt(taskId, missed).missed);
            assertTrue(scoring.roundAt(taskId, 1 - missed).isVoid);
            vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNotMissed.selector, taskId, 1 - missed));
            faults.reportMissed(taskId, 1 - missed, validators[0]);
            uint256 unit = unitOf(taskId, drawn);
            for (uint256 j = 0; j < 3; ++j) {
                faults.reportMissed(taskId, missed, validators[j]);
                assertEq(poolValue(validators[j]), STAKE - 3 * unit);
                vm.expectRevert(
                    abi.encodeWithSelector(IFaults.FaultsAlreadyReported.selector, taskId, missed, validators[j])
                );
                faults.reportMissed(taskId, missed, validators[j]);
                vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNoFault.selector, taskId, validators[j + 3]));
                faults.reportMissed(taskId, missed, validators[j + 3]);
            }
            drainWithoutFees(taskId);
            vm.revertToState(snapshot);
        }
    }

    /// @dev One score above 0 is enough, even on the last of several pages.
    function test_RoundWithOneScoreIsNotVoid() external {
        uint256 taskId = seeded(params18(false));
        uint256[][] memory rows = new uint256[][](6);
        for (uint256 j = 0; j < 6; ++j) {
            rows[j] = new uint256[](3);
            if (j > 1) rows[j][2] = 1;
        }
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        assertTrue(scoring.isSettled(taskId) && scoring.totalsOf(taskId).scored);
        finalise(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Paid);
        drain(taskId, middleOf(taskId, validators, rows), 10);
    }

    /// @dev The seed of a second committee waits a quarter of the slack, so that a report excludes its operator from the stake.
    function test_SecondSeedIsRequestedAfterAQuarterOfTheSlack() external {
        uint256 taskId = seeded(params18(false));
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        scoring.failRound(taskId);
        uint40 from = scoring.requestFromOf(taskId);
        assertEq(from, vm.getBlockTimestamp() + 6 hours);
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNotReady.selector, taskId));
        scoring.requestSeed(taskId);
        vm.warp(from);
        scoring.requestSeed(taskId);
    }

    /// @dev From `expiresAt` less the appeal window on no page is settled, so that an appeal and its reports end in time.
    function test_RevertWhen_PageIsSettledTooLate() external {
        for (uint256 kind = 0; kind < 2; ++kind) {
            uint256 snapshot = vm.snapshotState();
            ITaskRegistry.TaskParams memory params = params18(kind == 1);
            uint256 taskId = seeded(params);
            uint256[][] memory rows = around(ladder(3), 6);
            scoreAll(scoring, taskId, validators, rows);
            PageCall memory call = pageCall(taskId, 0, validators, rows);
            uint40 end = registry.scheduleOf(taskId).expiresAt - uint40(params.windows.appeal);
            assertEq(registry.settleEndOf(taskId), end);
            vm.warp(end);
            vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowClosed.selector, taskId, bytes32("settle")));
            scoring.settlePage(taskId, 0, call.heads, call.medians, call.words);
            vm.warp(end - 1);
            scoring.settlePage(taskId, 0, call.heads, call.medians, call.words);
            vm.revertToState(snapshot);
        }
    }

    /// @dev Fewer committed entries than the creator asked for: nobody can enrol, nothing is revealed, all is refunded.
    function test_TaskWithTooFewEntriesIsRefunded() external {
        ITaskRegistry.TaskParams memory params = params18(false);
        params.minEntries = 3;
        uint256 before = token.balanceOf(creator);
        uint256 taskId = post(params);
        commitEntry(taskId, trainers[0]);
        commitEntry(taskId, trainers[1]);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryNotClosable.selector, taskId));
        registry.closeTask(taskId);
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryTooFewEntries.selector, taskId, 2, 3));
        this.enrolOutside(taskId, validators[0], STAKE);
        uint256 snapshot = vm.snapshotState();
        vm.warp(registry.scheduleOf(taskId).enrolEnd);
        vm.expectPartialRevert(ITaskRegistry.RegistryTooLittleStake.selector);
        revealEntry(taskId, trainers[0]);
        vm.revertToState(snapshot);
        vm.prank(keeper);
        registry.closeTask(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Refunded);
        drain(taskId, none, 0);
        assertEq(token.balanceOf(creator), before - TIP);
    }

    function enrolOutside(uint256 taskId, address operator, uint256 amount) external {
        enrol(taskId, operator, amount);
    }

    function test_RevertIf_EnrolmentIsBelowTheStakeOfASeat() external {
        uint256 taskId = post(params18(false));
        commitEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        uint256 least = (5000e18 + 17) / uint256(18);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryStakeBelowSeat.selector, least - 1, least));
        this.enrolOutside(taskId, validators[0], least - 1);
        enrol(taskId, validators[0], least);
    }

    /// @dev A target that left the history is requested again, in both rounds and in the appeal.
    function test_LostTargetIsRequestedAgainInEveryRound() external {
        uint256 taskId = post(params18(true));
        fill(taskId, trainers, validators);
        openSet(taskId);
        loseTarget(scoring, taskId);
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        scoring.failRound(taskId); // all were absent
        waitForReports(taskId);
        loseTarget(scoring, taskId);
        // None is reported, so all are drawn again.
        address[] memory who = seatedOf(scoring, taskId, validators);
        assertEq(who.length, 6);
        uint256[][] memory rows = around(ladder(3), 6);
        scoreAll(scoring, taskId, who, rows);
        settleAll(taskId, who, rows);
        uint256[] memory middle = middleOf(taskId, who, rows);
        contest(taskId, 0, middle);
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        loseTarget(committee, taskId);
        finishAppeal(taskId, middle, middle, middle);
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
        enrolJury(taskId);
        assertTrue(appeals.isOpen(taskId));
        vm.warp(scoring.roundOf(taskId).settledAt + 2 hours);
        vm.expectRevert(abi.encodeWithSelector(IScoring.ScoringAppealOpen.selector, taskId, uint40(0)));
        scoring.finalise(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
    }

    /// @dev Run the appeal until the end of the task; the jury's median word is `found`, and `after_` are the scores paid for.
    function finishAppeal(uint256 taskId, uint256[] memory middle, uint256[] memory found, uint256[] memory after_)
        private
    {
        uint256[] memory lanes = new uint256[](16);
        for (uint256 i = 0; i < found.length; ++i) {
            lanes[i] = found[i];
        }
        address[] memory who = seatedOf(committee, taskId, jurors);
        uint256[][] memory rows = new uint256[][](who.length);
        for (uint256 j = 0; j < who.length; ++j) {
            rows[j] = lanes;
        }
        scoreAll(committee, taskId, who, rows);
        settleContests(taskId, who, rows);
        assertEq(uint256(appeals.appealOf(taskId).state), uint256(IAppeals.AppealState.Settled));
        appeals.resolve(taskId, 0, middle.pack().proof(0));
        assertFalse(appeals.isOpen(taskId));
        bool moves = keccak256(abi.encode(middle)) != keccak256(abi.encode(after_));
        assertEq(appeals.contestOf(taskId, 0).moved, moves);
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        if (moves) assertEq(appeals.owedTo(appellant), appeal.bond + appeal.award);
        else assertLt(appeals.owedTo(appellant), appeal.bond);
        ITaskRegistry.ScoringTerms memory terms = registry.scoringTermsOf(taskId);
        assertEq(scoring.totalsOf(taskId).weights, after_.weights(terms.floorScore, terms.power));
        finalise(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Paid);
        uint256 pool = rewards.escrowOf(taskId).trainersPool;
        uint256 sum = claimEntries(taskId, after_);
        assertLe(sum, pool);
        assertGe(sum + after_.length, pool);
        drain(taskId, after_, 20);
    }

    function appealFinds(uint256[] memory found, bool moves) private {
        (uint256 taskId, uint256[] memory middle) = contested();
        seed(committee, taskId, keccak256("appeal seed"));
        uint256[] memory after_ = ladder(3);
        for (uint256 i = 0; i < 3; ++i) {
            uint256 distance = found[i] > middle[i] ? found[i] - middle[i] : middle[i] - found[i];
            after_[i] = moves && found[i] != 0 && distance > 1200 ? found[i] : middle[i];
        }
        finishAppeal(taskId, middle, found, after_);
    }

    /// @dev The same scores, to the last unit, on another part of the set: a copy.
    function test_AppealCopiesTheMedian() external {
        appealFinds(around(ladder(3), 6)[2], false);
    }

    /// @dev Within max(tau, 2h) = 1200 nothing is replaced.
    function test_AppealMovesTheMedianWithinTheTolerance() external {
        uint256[] memory found = ladder(3);
        found[0] += 1100;
        appealFinds(found, false);
    }

    function test_AppealRaisesTheMedian() external {
        uint256[] memory found = ladder(3);
        found[0] += 9000;
        appealFinds(found, true);
    }

    function test_AppealLowersTheMedian() external {
        uint256[] memory found = ladder(3);
        found[2] = 660;
        appealFinds(found, true);
    }

    /// @dev 0 says that the bytes are not to be had, and changes nothing.
    function test_AppealFindsNothing() external {
        appealFinds(new uint256[](3), false);
    }

    /// @dev No entry has weight: half of the trainers' part of the bounty returns to the creator, the rest is forfeited.
    function test_AppealLowersEveryMedianBelowTheFloor() external {
        uint256 before = token.balanceOf(creator);
        uint256[] memory found = new uint256[](3);
        (found[0], found[1], found[2]) = (600, 1, 1);
        appealFinds(found, true);
        assertLe(token.balanceOf(creator), before - 1000e18 + 350e18);
        assertGe(token.balanceOf(creator), before - 1000e18 + 350e18 - 20 * TIP);
    }

    /// @dev The old medians stand and the bond is returned.
    function checkFailed(uint256 taskId, uint256[] memory middle) private {
        assertEq(uint256(appeals.appealOf(taskId).state), uint256(IAppeals.AppealState.Failed));
        bytes32[6] memory proof; // not read
        appeals.resolve(taskId, 0, proof);
        // All but the tips that were spent.
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        assertGe(appeals.owedTo(appellant), appeal.award);
        assertLe(appeals.owedTo(appellant), appeal.bond);
        finalise(taskId);
        expectOutcome(taskId, ITaskRegistry.Outcome.Paid);
        drain(taskId, middle, 20);
        assertGe(token.balanceOf(appellant), 10_000e18 - 4 * TIP);
    }

    function test_AppealFailsWithoutAQuorum() external {
        (uint256 taskId, uint256[] memory middle) = contested();
        seed(committee, taskId, keccak256("appeal seed"));
        // 37 seats over six jurors, of which one reveals.
        commit(committee, taskId, jurors[0], new uint256[](16));
        commit(committee, taskId, jurors[1], new uint256[](16));
        abstain(committee, taskId, jurors[2]);
        vm.warp(committee.roundOf(taskId).scoreCommitEnd);
        reveal(committee, taskId, jurors[0], new uint256[](16));
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
                address[] memory who = seatedOf(committee, taskId, jurors);
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
                waitForReports(taskId);
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
