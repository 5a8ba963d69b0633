// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyScenario} from "./utils/CoveyScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Reports of faults: who can report, once each, at which cost; no report against a validator that did its duty.
contract FaultsTest is CoveyScenario {
    using PlainScores for uint256[];

    uint256[] private truth;
    bool[6] private open; // unreported faults

    function setUp() public override {
        super.setUp();
        joinAll(3, 6);
        truth = ladder(3);
    }

    function params18(bool isSealed) private view returns (ITaskRegistry.TaskParams memory params) {
        params = isSealed ? sealedParams() : localParams();
        params.targetSeats = 18;
    }

    /// @dev All validators but validator 0 reveal.
    function allButTheFirst(uint256 taskId, bool commits) private {
        for (uint256 j = commits ? 0 : 1; j < 6; ++j) {
            commit(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 1; j < 6; ++j) {
            reveal(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
    }

    function delegateTo(address operator, uint256 amount) private {
        address delegator = makeAddr("delegator");
        require(token.transfer(delegator, amount));
        vm.startPrank(delegator);
        token.approve(address(staking), amount);
        staking.delegate(operator, amount, 0);
        vm.stopPrank();
    }

    // ------------------------------------------------------------------ amounts

    function test_AbsenceCostsOnePercent() external {
        uint256 taskId = seeded(params18(false));
        address operator = validators[0];
        uint40 end = scoring.roundOf(taskId).scoreCommitEnd;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowOpen.selector, taskId, end));
        scoring.reportAbsent(taskId, 0, operator);
        vm.warp(end);
        vm.prank(reporter);
        scoring.reportAbsent(taskId, 0, operator);
        assertEq(poolValue(operator), STAKE - STAKE / 100);
        assertEq(registry.heldOf(taskId, operator), STAKE - STAKE / 100);
        // All stake is the operator's own, so the limit of a tenth applies.
        assertApproxEqAbs(staking.owedTo(reporter), STAKE / 1000, 1e12);
        assertEq(staking.owedTo(reporter) + staking.owedTo(treasury), STAKE / 100);
        assertEq(uint256(scoring.rowOf(taskId, operator).status), uint256(ICommittee.RowStatus.Absent));
        // Once per row, by any kind of report.
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoFault.selector, taskId, operator));
        scoring.reportAbsent(taskId, 0, operator);
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoFault.selector, taskId, operator));
        scoring.reportUnrevealed(taskId, 0, operator);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoSeed.selector, taskId));
        scoring.reportAbsent(taskId, 1, operator); // there is no second round
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoSeat.selector, taskId, trainers[0]));
        scoring.reportAbsent(taskId, 0, trainers[0]);
    }

    function test_UnrevealedRowCostsFivePercent() external {
        uint256 taskId = seeded(params18(false));
        address operator = validators[0];
        allButTheFirst(taskId, true);
        uint40 end = scoring.roundOf(taskId).scoreRevealEnd;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowOpen.selector, taskId, end));
        scoring.reportUnrevealed(taskId, 0, operator);
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoFault.selector, taskId, operator));
        scoring.reportAbsent(taskId, 0, operator);
        vm.prank(reporter);
        scoring.reportUnrevealed(taskId, 0, operator);
        assertEq(poolValue(operator), STAKE - STAKE / 20);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoFault.selector, taskId, operator));
        scoring.reportUnrevealed(taskId, 0, operator);
        // Five percent is the cap of a period, so the operator is jailed.
        assertFalse(staking.isEligible(operator));
        assertEq(staking.poolOf(operator).jailedUntil, vm.getBlockTimestamp() + 2 days);
    }

    /// @dev Two of six validators score far off. The appeal confirms the median of the others.
    function overturned() private returns (uint256 taskId, uint256[][] memory rows) {
        taskId = seeded(params18(true));
        rows = around(truth, 6);
        rows[0][1] += 2401 + 2; // more than 8h = 2400 from every honest row, and from the median
        rows[1][1] = 0; // a score of 0 is not overturned
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        contest(taskId, 0, middleOf(taskId, validators, rows));
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        seed(committee, taskId, keccak256("appeal seed"));
        uint256[] memory lanes = new uint256[](16);
        for (uint256 i = 0; i < 3; ++i) {
            lanes[i] = truth[i] + 2;
        }
        uint256[][] memory again = new uint256[][](6);
        for (uint256 j = 0; j < 6; ++j) {
            again[j] = lanes;
        }
        scoreAll(committee, taskId, validators, again);
        settleContests(taskId, validators, again);
    }

    function test_OverturnedRowCostsTenPercent() external {
        (uint256 taskId, uint256[][] memory rows) = overturned();
        vm.prank(reporter);
        appeals.reportOverturned(taskId, validators[0], 0, rows[0].pack());
        assertEq(poolValue(validators[0]), STAKE - STAKE / 10);
        assertApproxEqAbs(staking.owedTo(reporter), STAKE / 100, 1e12);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsAlreadyReported.selector, taskId, validators[0]));
        appeals.reportOverturned(taskId, validators[0], 0, rows[0].pack());
        for (uint256 j = 1; j < 6; ++j) {
            uint256[] memory words = rows[j].pack();
            vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNoFault.selector, taskId, validators[j]));
            appeals.reportOverturned(taskId, validators[j], 0, words);
            // The row of another operator is no proof.
            words = rows[0].pack();
            vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsBadRow.selector, taskId, validators[j]));
            appeals.reportOverturned(taskId, validators[j], 0, words);
        }
        // Not capped: no jail.
        assertTrue(staking.isEligible(validators[0]));
    }

    function test_OverturnedRowCanBeReportedUntilTheReportEnd() external {
        (uint256 taskId, uint256[][] memory rows) = overturned();
        appeals.resolve(taskId, 0, middleOf(taskId, validators, rows).pack().proof(0));
        finalise(taskId);
        uint40 end = appeals.appealOf(taskId).reportEnd;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryFaultOpen.selector, taskId, validators[0]));
        registry.releaseEarmark(taskId, validators[0]);
        uint256 snapshot = vm.snapshotState();
        appeals.reportOverturned(taskId, validators[0], 0, rows[0].pack());
        assertEq(registry.heldOf(taskId, validators[0]), STAKE - STAKE / 10);
        vm.warp(end);
        registry.releaseEarmark(taskId, validators[0]);
        assertEq(staking.poolOf(validators[0]).earmarked, 0);
        // A row that is not reported in time cannot be slashed.
        vm.revertToState(snapshot);
        vm.warp(end);
        registry.releaseEarmark(taskId, validators[0]);
        uint256[] memory words = rows[0].pack();
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryNothingToRelease.selector, taskId, validators[0]));
        appeals.reportOverturned(taskId, validators[0], 0, words);
    }

    // ------------------------------------------------------------------ an appeal's committee

    /// @dev Both the earmark behind the task and the one behind the appeal are slashed: 1% if absent, 5% if unrevealed.
    function test_FaultsInAnAppealCommitteeSlashBothEarmarks() external {
        uint256 taskId = post(params18(true));
        ITaskRegistry.Schedule memory schedule = registry.scheduleOf(taskId);
        for (uint256 i = 0; i < 3; ++i) {
            commitEntry(taskId, trainers[i]);
        }
        vm.warp(schedule.entryCommitEnd);
        for (uint256 j = 0; j < 6; ++j) {
            enrol(taskId, validators[j], 4000e18);
        }
        vm.warp(schedule.enrolEnd);
        for (uint256 i = 0; i < 3; ++i) {
            revealEntry(taskId, trainers[i]);
        }
        vm.warp(schedule.entryRevealEnd);
        openSet(taskId);
        drawSeed(taskId, keccak256("seed"));
        uint256[][] memory rows = around(truth, 6);
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        uint256[] memory middle = middleOf(taskId, validators, rows);
        contest(taskId, 0, middle);
        for (uint256 j = 0; j < 6; ++j) {
            vm.prank(signerOf(validators[j]));
            committee.enrol(taskId, validators[j], 2000e18);
        }
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        seed(committee, taskId, keccak256("appeal seed"));
        uint256[] memory lanes = new uint256[](16);
        lanes[0] = 2000;
        for (uint256 j = 1; j < 6; ++j) {
            commit(committee, taskId, validators[j], lanes);
        }
        vm.warp(committee.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 2; j < 4; ++j) {
            reveal(committee, taskId, validators[j], lanes);
        }
        assertTrue(appeals.holds(taskId, validators[0]));
        committee.reportAbsent(taskId, 0, validators[0]);
        assertEq(poolValue(validators[0]), STAKE - 60e18);
        vm.warp(committee.roundOf(taskId).scoreRevealEnd);
        committee.reportUnrevealed(taskId, 0, validators[1]);
        assertEq(poolValue(validators[1]), STAKE - 300e18);
        appeals.failAppeal(taskId);
        bytes32[6] memory proof;
        appeals.resolve(taskId, 0, proof);
        finalise(taskId);
        // An unreported fault holds both earmarks.
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryFaultOpen.selector, taskId, validators[4]));
        registry.releaseEarmark(taskId, validators[4]);
        vm.expectRevert(abi.encodeWithSignature("CommitteeFaultOpen(uint256,address)", taskId, validators[4]));
        committee.release(taskId, validators[4]);
        committee.release(taskId, validators[0]);
        registry.releaseEarmark(taskId, validators[0]);
        assertEq(staking.poolOf(validators[0]).earmarked, 0);
        drain(taskId, middle, 20);
    }

    // ------------------------------------------------------------------ bounds

    /// @dev Half of the operator's own loss, if its own part is small.
    function test_ReporterShareIsLimitedByTheOperatorsOwnLoss() external {
        delegateTo(validators[0], 90_000e18);
        uint256 taskId = seeded(params18(false));
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        vm.prank(reporter);
        scoring.reportAbsent(taskId, 0, validators[0]);
        // A tenth of the pool is its own. Of 100 it loses 10, of which the reporter receives 5.
        assertApproxEqAbs(staking.owedTo(reporter), 5e18, 1e12);
        assertEq(staking.owedTo(reporter) + staking.owedTo(treasury), 100e18);
    }

    /// @dev An outage across many tasks costs at most the cap and jails. The next period has a new cap.
    function test_AbsenceCapHoldsAcrossTasksAndJails() external {
        address operator = join("down", 60_000e18);
        uint256[] memory ids = new uint256[](6);
        vm.warp(block.timestamp + 12);
        for (uint256 k = 0; k < 6; ++k) {
            vm.prank(creator);
            ids[k] = registry.createTask(params18(false));
            commitEntry(ids[k], trainers[0]);
        }
        vm.warp(registry.scheduleOf(ids[0]).entryCommitEnd);
        for (uint256 k = 0; k < 6; ++k) {
            enrol(ids[k], operator, STAKE);
        }
        vm.warp(registry.scheduleOf(ids[0]).enrolEnd);
        for (uint256 k = 0; k < 6; ++k) {
            revealEntry(ids[k], trainers[0]);
        }
        vm.warp(registry.scheduleOf(ids[0]).entryRevealEnd);
        for (uint256 k = 0; k < 6; ++k) {
            drawSeed(ids[k], bytes32(k));
            commit(scoring, ids[k], operator, new uint256[](1));
        }
        vm.warp(scoring.roundOf(ids[5]).scoreRevealEnd);
        // 5% of 10,000 each. The sixth reaches 3,000 of a pool of 60,000, which is the cap; a seventh takes nothing.
        uint256 lost = 0;
        for (uint256 k = 0; k < 6; ++k) {
            assertTrue(staking.isEligible(operator));
            scoring.reportUnrevealed(ids[k], 0, operator);
            lost += 500e18;
            assertEq(poolValue(operator), 60_000e18 - lost);
        }
        assertFalse(staking.isEligible(operator));
        scoring.failRound(ids[0]);
        assertEq(outcomeOf(ids[0]), uint256(ITaskRegistry.Outcome.Failed), "nobody is left");
        (, uint256 taken, uint256 cap) = staking.absenceOf(operator);
        assertEq(taken, cap);
        vm.prank(operator);
        vm.expectPartialRevert(IStaking.StakingJailed.selector);
        staking.unjail();
        vm.warp(block.timestamp + 2 days);
        vm.prank(operator);
        staking.unjail();
        assertTrue(staking.isEligible(operator));
    }

    function test_FaultBeyondTheAbsenceCapTakesNothing() external {
        validators[0] = join("big", 20_000e18);
        address operator = validators[0];
        uint256 taskId = seeded(params18(false));
        allButTheFirst(taskId, true);
        staking.setDuty(address(this), true);
        // 900 of a cap of 1,000 are used by another task.
        staking.earmark(operator, 5000e18, uint48(block.timestamp - 1));
        staking.slash(operator, 5000e18, 900e18, address(0), true);
        uint256 before = poolValue(operator);
        vm.prank(reporter);
        scoring.reportUnrevealed(taskId, 0, operator);
        assertEq(before - poolValue(operator), 100e18);
        assertFalse(staking.isEligible(operator));
        assertEq(registry.heldOf(taskId, operator), STAKE - 100e18);
    }

    // ------------------------------------------------------------------ holding

    function test_EarmarkIsHeldWhileAFaultCanBeReported() external {
        uint256 taskId = seeded(params18(false));
        allButTheFirst(taskId, true);
        settleAll(taskId, rest(), rowsOf(5));
        finalise(taskId);
        assertTrue(scoring.owesFault(taskId, validators[0]));
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryFaultOpen.selector, taskId, validators[0]));
        registry.releaseEarmark(taskId, validators[0]);
        registry.releaseEarmark(taskId, validators[1]);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryNothingToRelease.selector, taskId, validators[1]));
        registry.releaseEarmark(taskId, validators[1]);
        // Long after the end, and after the owner has undelegated.
        uint256 shares = staking.sharesOf(validators[0], validators[0]);
        vm.prank(validators[0]);
        uint256 entry = staking.undelegate(validators[0], shares, 0);
        vm.warp(block.timestamp + 27 days);
        vm.prank(reporter);
        scoring.reportUnrevealed(taskId, 0, validators[0]);
        assertEq(poolValue(validators[0]), STAKE - STAKE / 20);
        assertEq(staking.owedTo(reporter), 0, "none of it was active: no bounty on what unbonds");
        registry.releaseEarmark(taskId, validators[0]);
        vm.warp(block.timestamp + 1 days);
        vm.prank(validators[0]);
        assertApproxEqAbs(staking.withdraw(entry), STAKE - STAKE / 20, 1e12);
    }

    function rest() private view returns (address[] memory who) {
        who = new address[](5);
        for (uint256 j = 0; j < 5; ++j) {
            who[j] = validators[j + 1];
        }
    }

    function rowsOf(uint256 count) private view returns (uint256[][] memory rows) {
        rows = new uint256[][](count);
        for (uint256 j = 0; j < count; ++j) {
            rows[j] = truth;
        }
    }

    // ------------------------------------------------------------------ who did its duty

    /// @dev Six validators act differently, over one or two rounds. A report against one that did its duty reverts at any time; a report
    /// against one that did not succeeds once.
    /// forge-config: default.fuzz.runs = 64
    /// forge-config: ci.fuzz.runs = 300
    function testFuzz_RevertIf_ReportedValidatorDidItsDuty(uint256 random, uint256 stakes) external {
        uint256 taskId = post(params18(false));
        ITaskRegistry.Schedule memory schedule = registry.scheduleOf(taskId);
        commitEntry(taskId, trainers[0]);
        vm.warp(schedule.entryCommitEnd);
        for (uint256 j = 0; j < 6; ++j) {
            enrol(taskId, validators[j], 200e18 + (stakes >> (40 * j)) % 9000e18);
        }
        vm.warp(schedule.enrolEnd);
        revealEntry(taskId, trainers[0]);
        vm.warp(schedule.entryRevealEnd);
        for (uint8 number = 0; number < 2; ++number) {
            if (registry.scoringTermsOf(taskId).totalEarmarked == 0 || outcomeOf(taskId) != 0) return;
            drawSeed(taskId, keccak256(abi.encode(random, number)));
            playRound(taskId, number, random >> (100 * number));
            (bool ok,) = address(scoring).call(abi.encodeCall(scoring.failRound, (taskId)));
            if (!ok || scoring.roundOf(taskId).number == number) return;
        }
    }

    function playRound(uint256 taskId, uint8 number, uint256 random) private {
        bool[6] memory absent;
        bool[6] memory unrevealed;
        uint256[] memory row = new uint256[](1);
        for (uint256 j = 0; j < 6; ++j) {
            if (scoring.seatsOf(taskId, validators[j]) == 0) continue;
            uint256 choice = (random >> (8 * j)) & 3;
            if (choice == 0) {
                absent[j] = true;
            } else if (choice == 1) {
                abstain(scoring, taskId, validators[j]);
            } else {
                commit(scoring, taskId, validators[j], row);
                unrevealed[j] = choice == 2;
            }
        }
        for (uint256 j = 0; j < 6; ++j) {
            assertFalse(report(taskId, number, validators[j], true), "commits are open");
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 0; j < 6; ++j) {
            bool committed = scoring.rowOf(taskId, validators[j]).status == ICommittee.RowStatus.Committed;
            if (committed && !unrevealed[j]) reveal(scoring, taskId, validators[j], row);
            assertFalse(report(taskId, number, validators[j], false), "reveals are open");
        }
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        for (uint256 j = 0; j < 6; ++j) {
            uint256 before = poolValue(validators[j]);
            // Some are reported later, or never.
            if ((random >> (8 * j)) & 16 == 0) {
                assertEq(scoring.owesFault(taskId, validators[j]), absent[j] || unrevealed[j] || open[j]);
                assertEq(report(taskId, number, validators[j], true), absent[j]);
                assertEq(report(taskId, number, validators[j], false), unrevealed[j]);
                assertEq(poolValue(validators[j]) < before, absent[j] || unrevealed[j]);
                before = poolValue(validators[j]);
                assertFalse(report(taskId, number, validators[j], true), "twice");
                assertFalse(report(taskId, number, validators[j], false), "twice");
            }
            assertEq(poolValue(validators[j]), before);
            open[j] = scoring.owesFault(taskId, validators[j]);
        }
    }

    function report(uint256 taskId, uint8 number, address operator, bool asAbsent) private returns (bool ok) {
        (ok,) = address(scoring)
            .call(
                asAbsent
                    ? abi.encodeCall(scoring.reportAbsent, (taskId, number, operator))
                    : abi.encodeCall(scoring.reportUnrevealed, (taskId, number, operator))
            );
    }
}
