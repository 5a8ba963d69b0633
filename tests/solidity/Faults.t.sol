// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Faults} from "../../contracts/Faults.sol";
import {IAppeals} from "../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {IFaults} from "../../contracts/interfaces/IFaults.sol";
import {IRewards} from "../../contracts/interfaces/IRewards.sol";
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
        joinJury(6);
        truth = ladder(3);
    }

    /// @dev A share of the unit of three seats, of six equal validators.
    function fault(uint256 taskId, uint256 bps) private view returns (uint256) {
        return 3 * unitOf(taskId, 6 * STAKE) * bps / 10_000;
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

    function test_AbsenceCostsATwentiethOfTheUnitOfEachSeat() external {
        uint256 taskId = seeded(params18(false));
        address operator = validators[0];
        uint40 end = scoring.roundOf(taskId).scoreCommitEnd;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowOpen.selector, taskId, end));
        scoring.reportAbsent(taskId, 0, operator);
        vm.warp(end);
        vm.prank(reporter);
        scoring.reportAbsent(taskId, 0, operator);
        uint256 cost = fault(taskId, 500);
        assertApproxEqAbs(cost, 1000e18 * 3 / uint256(18) / 20, 18);
        assertEq(poolValue(operator), STAKE - cost);
        assertEq(registry.heldOf(taskId, operator), STAKE - cost);
        // All stake is the operator's own, so the limit of a tenth applies.
        assertApproxEqAbs(staking.owedTo(reporter), cost / 10, 1e12);
        assertEq(staking.owedTo(reporter) + staking.owedTo(treasury), cost);
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

    function test_UnrevealedRowCostsAQuarterOfTheUnitOfEachSeat() external {
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
        assertEq(poolValue(operator), STAKE - fault(taskId, 2500));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoFault.selector, taskId, operator));
        scoring.reportUnrevealed(taskId, 0, operator);
        assertTrue(staking.isEligible(operator), "one lapse jails nobody");
        // The quorum was reached, so nobody can be reported for silence.
        settleAll(taskId, rest(), rowsOf(5));
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNotEnded.selector, taskId));
        faults.reportMissed(taskId, 0, operator);
        finalise(taskId);
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNotMissed.selector, taskId, 0));
        faults.reportMissed(taskId, 0, operator);
        assertEq(faults.silentSeatsOf(taskId, 0, operator), 0);
    }

    /// @dev Top-ups raise what a committee decides on, and so what a fault costs, up to a fifth of the stake behind it.
    function test_UnitFollowsTheBountyAndIsAtMostAFifthOfASeatsStake() external {
        ITaskRegistry.TaskParams memory params = params18(false);
        uint256 taskId = post(params);
        fill(taskId, trainers, validators);
        token.approve(address(rewards), 11_000e18);
        rewards.topUp(taskId, 11_000e18); // 12,000 is a fifth of 60,000
        vm.expectPartialRevert(IRewards.RewardsBountyTooLarge.selector);
        rewards.topUp(taskId, 1);
        drawSeed(taskId, keccak256("seed"));
        assertEq(scoring.unitOf(taskId, 0), 12_000e18 / uint256(18));
        assertEq(scoring.unitOf(taskId, 1), 0);
        // Governance doubles the multiple: what the unit counts of the bounty is halved.
        ITaskRegistry.RegistryConfig memory config = bounds.config();
        config.stakeMultipleBps = 100_000;
        bounds.setConfig(config);
        assertEq(scoring.unitOf(taskId, 0), 6000e18 / uint256(18));
    }

    // ------------------------------------------------------------------ silence in a missed round

    /// @dev Three of six are silent: one abstains, one is absent, one does not reveal. With `saved` the second committee of the others, and
    /// of the absent one, settles; else nobody of them commits.
    function missedRound(bool saved) private returns (uint256 taskId) {
        taskId = seeded(params18(false));
        abstain(scoring, taskId, validators[0]);
        for (uint256 j = 2; j < 6; ++j) {
            commit(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 3; j < 6; ++j) {
            reveal(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        scoring.failRound(taskId);
        assertTrue(scoring.roundAt(taskId, 0).missed);
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNotEnded.selector, taskId));
        faults.reportMissed(taskId, 0, validators[0]);
        assertEq(faults.silentSeatsOf(taskId, 0, validators[0]), 0, "what it caused is not known yet");
        drawSeed(taskId, keccak256("second seed"));
        address[] memory who = seatedOf(scoring, taskId, validators);
        assertEq(who.length, 4);
        if (!saved) {
            vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
            scoring.failRound(taskId);
            assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Failed));
            return taskId;
        }
        uint256[][] memory rows = rowsOf(4);
        scoreAll(scoring, taskId, who, rows);
        settleAll(taskId, who, rows);
        finalise(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Paid));
    }

    function test_SilenceInASavedTaskCostsAQuarterOfTheUnit() external {
        uint256 taskId = missedRound(true);
        uint256 cost = fault(taskId, 2500);
        for (uint256 j = 0; j < 6; ++j) {
            bool silent = j < 3;
            assertEq(faults.silentSeatsOf(taskId, 0, validators[j]), silent ? 3 : 0);
            assertEq(faults.owes(taskId, validators[j]), silent);
            if (!silent) {
                vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNoFault.selector, taskId, validators[j]));
                faults.reportMissed(taskId, 0, validators[j]);
                continue;
            }
            vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryFaultOpen.selector, taskId, validators[j]));
            registry.releaseEarmark(taskId, validators[j]);
            vm.expectEmit(address(faults));
            emit IFaults.MissedReported(taskId, 0, validators[j], 3, false, reporter, cost);
            vm.prank(reporter);
            faults.reportMissed(taskId, 0, validators[j]);
            assertEq(poolValue(validators[j]), STAKE - cost);
            assertEq(staking.poolOf(validators[j]).jailedUntil, vm.getBlockTimestamp() + 2 days);
            assertFalse(faults.owes(taskId, validators[j]));
            assertTrue(faults.reported(taskId, 0, validators[j]));
            vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsAlreadyReported.selector, taskId, 0, validators[j]));
            faults.reportMissed(taskId, 0, validators[j]);
        }
        // The rows of the round are faults of their own.
        scoring.reportAbsent(taskId, 0, validators[1]);
        assertEq(poolValue(validators[1]), STAKE - cost - fault(taskId, 500));
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNotMissed.selector, taskId, 1));
        faults.reportMissed(taskId, 1, validators[3]);
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNotMissed.selector, taskId, 2));
        faults.reportMissed(taskId, 2, validators[3]);
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNoFault.selector, taskId, trainers[0]));
        faults.reportMissed(taskId, 0, trainers[0]);
    }

    /// @dev Not capped, and from the operator's own shares first: delegators keep what they have.
    function test_SilenceInAFailedTaskCostsTheWholeUnitOfOwnShares() external {
        delegateTo(validators[0], 90_000e18);
        uint256 taskId = missedRound(false);
        uint256 cost = fault(taskId, 10_000);
        uint256 own = staking.poolOf(validators[0]).selfBond;
        uint256 shares = staking.sharesOf(validators[0], makeAddr("delegator"));
        uint256 others = staking.tokensFor(validators[0], shares);
        faults.reportMissed(taskId, 0, validators[0]);
        assertApproxEqAbs(staking.poolOf(validators[0]).selfBond, own - cost, 1e13);
        assertApproxEqAbs(staking.tokensFor(validators[0], shares), others, 1e13);
        // The absent one was drawn again, and absent again: both rounds count, the second by its smaller stake.
        uint256 seats = scoring.seatsAt(taskId, 1, validators[1]);
        assertGt(seats, 0);
        uint256 before = poolValue(validators[1]);
        faults.reportMissed(taskId, 0, validators[1]);
        assertEq(poolValue(validators[1]), before - cost);
        faults.reportMissed(taskId, 1, validators[1]);
        // Two of six had left before the seed: the one that abstained and, unreported, none.
        assertEq(poolValue(validators[1]), before - cost - seats * unitOf(taskId, 5 * STAKE));
    }

    /// @dev Silence is judged when the task has ended, also if nobody failed the round before it expired.
    function test_SilenceInAnExpiredTaskIsAFailedTask() external {
        uint256 taskId = seeded(params18(false));
        vm.warp(registry.scheduleOf(taskId).expiresAt);
        registry.expire(taskId);
        for (uint256 j = 0; j < 6; ++j) {
            faults.reportMissed(taskId, 0, validators[j]);
            assertEq(poolValue(validators[j]), STAKE - fault(taskId, 10_000));
        }
    }

    /// @dev Quorum without settlement before the expiry: nobody was silent.
    function test_RevertIf_SilenceIsReportedInARoundWithQuorum() external {
        uint256 taskId = seeded(params18(false));
        allButTheFirst(taskId, true);
        vm.warp(registry.scheduleOf(taskId).expiresAt);
        registry.expire(taskId);
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNotMissed.selector, taskId, 0));
        faults.reportMissed(taskId, 0, validators[0]);
    }

    function test_RevertIf_CallerMayNotSlash() external {
        uint256 taskId = seeded(params18(false));
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryNotScoring.selector, address(this)));
        registry.slashEarmark(taskId, validators[0], 1, reporter, ITaskRegistry.SlashKind.FailedTask);
    }

    function test_RevertIf_FaultsHasNoRegistryOrScoring() external {
        vm.expectRevert(IFaults.FaultsZeroAddress.selector);
        this.create(address(0), address(1));
        vm.expectRevert(IFaults.FaultsZeroAddress.selector);
        this.create(address(1), address(0));
    }

    /// @dev External, so that vm.expectRevert sees the revert of the constructor.
    function create(address registry_, address scoring_) external {
        new Faults(registry_, scoring_);
    }

    // ------------------------------------------------------------------ overturned rows

    /// @dev Two of six validators score far off. The appeal confirms the median of the others.
    function overturned() private returns (uint256 taskId, uint256[][] memory rows) {
        taskId = seeded(params18(true));
        rows = around(truth, 6);
        rows[0][1] += 2401 + 100; // more than 2 max(tau, 2h) = 2400 from the median that the appeal finds
        rows[1][1] = 0; // a score of 0 is not overturned
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        contest(taskId, 0, middleOf(taskId, validators, rows));
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        seed(committee, taskId, keccak256("appeal seed"));
        uint256[] memory lanes = new uint256[](16);
        for (uint256 i = 0; i < 3; ++i) {
            lanes[i] = truth[i] + 100; // another part of the set
        }
        uint256[][] memory again = new uint256[][](6);
        for (uint256 j = 0; j < 6; ++j) {
            again[j] = lanes;
        }
        scoreAll(committee, taskId, jurors, again);
        settleContests(taskId, jurors, again);
    }

    function test_OverturnedRowCostsHalfOfTheUnitOfEachSeat() external {
        (uint256 taskId, uint256[][] memory rows) = overturned();
        vm.prank(reporter);
        appeals.reportOverturned(taskId, validators[0], 0, rows[0].pack());
        assertEq(poolValue(validators[0]), STAKE - fault(taskId, 5000));
        assertApproxEqAbs(staking.owedTo(reporter), fault(taskId, 500), 1e12);
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
        assertEq(registry.heldOf(taskId, validators[0]), STAKE - fault(taskId, 5000));
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

    // ------------------------------------------------------------------ bounds

    /// @dev Half of the operator's own loss, if its own part is small.
    function test_ReporterShareIsLimitedByTheOperatorsOwnLoss() external {
        delegateTo(validators[0], 90_000e18);
        uint256 taskId = seeded(params18(false));
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        vm.prank(reporter);
        scoring.reportAbsent(taskId, 0, validators[0]);
        // A tenth of the pool is its own, so it bears a tenth of the loss, of which the reporter receives half.
        uint256 cost = fault(taskId, 500);
        assertApproxEqAbs(staking.owedTo(reporter), cost / 20, 1e12);
        assertEq(staking.owedTo(reporter) + staking.owedTo(treasury), cost);
    }

    /// @dev An outage across many tasks costs at most the cap and jails. The next period has a new cap.
    function test_AbsenceCapHoldsAcrossTasksAndJails() external {
        address operator = join("down", 60_000e18);
        uint256[] memory ids = new uint256[](6);
        ITaskRegistry.TaskParams memory params = params18(false);
        (params.bounty, params.minStake) = (2000e18, 10_000e18);
        vm.warp(block.timestamp + 12);
        for (uint256 k = 0; k < 6; ++k) {
            vm.prank(creator);
            ids[k] = registry.createTask(params);
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
        // A quarter of 2,000 each. The sixth reaches 3,000 of a pool of 60,000, which is the cap, but for rounding. So the pool
        // loses a little before.
        vm.prank(address(registry));
        staking.slash(IStaking.SlashOrder(operator, STAKE, 1e9, 0, 0, address(0), false, false, false));
        uint256 lost = 0;
        for (uint256 k = 0; k < 6; ++k) {
            assertTrue(staking.isEligible(operator));
            scoring.reportUnrevealed(ids[k], 0, operator);
            lost += 500e18;
            assertApproxEqAbs(poolValue(operator), 60_000e18 - lost, 2e9);
        }
        assertFalse(staking.isEligible(operator));
        scoring.failRound(ids[0]);
        assertEq(outcomeOf(ids[0]), uint256(ITaskRegistry.Outcome.Failed), "nobody is left");
        (, uint256 taken, uint256 cap) = staking.absenceOf(operator);
        assertApproxEqAbs(taken, cap, 1e12);
        vm.prank(operator);
        vm.expectPartialRevert(IStaking.StakingJailed.selector);
        staking.unjail();
        // An exhausted cap is no licence: jailed for the rest of the period.
        vm.warp(staking.poolOf(operator).jailedUntil);
        assertGt(vm.getBlockTimestamp(), uint256(registry.scheduleOf(ids[0]).expiresAt) + 20 days);
        vm.prank(operator);
        staking.unjail();
        assertTrue(staking.isEligible(operator));
    }

    function test_FaultBeyondTheAbsenceCapTakesNothing() external {
        validators[0] = join("big", 20_000e18);
        address operator = validators[0];
        ITaskRegistry.TaskParams memory params = params18(false);
        (params.bounty, params.minStake) = (6000e18, 30_000e18); // an unrevealed row costs 250
        uint256 taskId = seeded(params);
        allButTheFirst(taskId, true);
        staking.setDuty(address(this), true);
        // 900 of a cap of 1,000 are used by another task.
        (uint24 gen, uint48 net) = staking.earmark(operator, 5000e18, uint48(block.timestamp - 1));
        staking.slash(
            IStaking.SlashOrder({
                operator: operator,
                earmarked: 5000e18,
                amount: 900e18,
                gen: gen,
                net: net,
                reporter: address(0),
                capped: true,
                ownFirst: false,
                jails: false
            })
        );
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
        // Long after the end, too: the owner cannot leave before.
        uint256 shares = staking.sharesOf(validators[0], validators[0]);
        vm.prank(validators[0]);
        vm.expectPartialRevert(IStaking.StakingEarmarked.selector);
        staking.undelegate(validators[0], shares, 0);
        vm.warp(block.timestamp + 27 days);
        uint256 cost = fault(taskId, 2500);
        vm.prank(reporter);
        scoring.reportUnrevealed(taskId, 0, validators[0]);
        assertEq(poolValue(validators[0]), STAKE - cost);
        assertApproxEqAbs(staking.owedTo(reporter), cost / 10, 1e12);
        registry.releaseEarmark(taskId, validators[0]);
        vm.prank(validators[0]);
        uint256 entry = staking.undelegate(validators[0], shares, 0);
        vm.warp(block.timestamp + 28 days);
        assertApproxEqAbs(staking.withdraw(validators[0], validators[0], entry), STAKE - cost, 1e12);
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
            enrol(taskId, validators[j], 900e18 + (stakes >> (40 * j)) % 9000e18);
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
