// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyFixture} from "./utils/CoveyFixture.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice A pause stops entry, and nothing else: while everything is paused, every duty is done and everybody gets out.
contract PauseTest is CoveyFixture {
    using PlainScores for uint256[];

    address[] private trainers;
    address[] private validators;

    function setUp() public override {
        super.setUp();
        trainers = joinMany("trainer", 3);
        validators = joinMany("validator", 4);
    }

    function pause() private {
        staking.setPaused(true);
        registry.setPaused(true);
    }

    /// @dev Everything of an operator: stake, credits and what it was paid. Nothing is left in its pool but rounding.
    function departs(address operator) private {
        uint256 shares = staking.sharesOf(operator, operator);
        vm.prank(operator);
        uint256 entry = staking.undelegate(operator, shares, 0);
        skip(staking.unbondingPeriod());
        uint256 before = token.balanceOf(operator);
        assertGt(staking.withdraw(operator, operator, entry), 0); // by anyone
        assertGt(token.balanceOf(operator), before);
        staking.accrue(operator);
        if (staking.owedTo(operator) != 0) staking.payOwed(operator);
        assertEq(staking.poolOf(operator).activeShares, 0);
    }

    function test_RevertWhen_EntryIsPaused() external {
        uint256 task = post(localParams());
        pause();
        vm.expectRevert(ITaskRegistry.RegistryPaused.selector);
        vm.prank(creator);
        registry.createTask(localParams());
        vm.expectRevert(ITaskRegistry.RegistryPaused.selector);
        registry.commitEntry(task, trainers[0], keccak256("c"), type(uint256).max);
        vm.expectRevert(ITaskRegistry.RegistryPaused.selector);
        registry.enrol(task, validators[0], 1);
        vm.expectRevert(IStaking.StakingPaused.selector);
        staking.delegate(trainers[0], 1e18, 0);
        vm.expectRevert(IStaking.StakingPaused.selector);
        staking.delegateWithPermit(trainers[0], 1e18, 0, type(uint256).max, 27, 0, 0);
        vm.prank(address(registry));
        vm.expectRevert(IStaking.StakingPaused.selector);
        staking.earmark(validators[0], 1e18, uint48(vm.getBlockTimestamp() - 1));
    }

    function test_PausedTaskIsPaidAndStakersCanLeave() external {
        uint256 task = post(localParams());
        ITaskRegistry.Schedule memory schedule = registry.scheduleOf(task);
        for (uint256 i = 0; i < trainers.length; ++i) {
            commitEntry(task, trainers[i]);
        }
        vm.warp(schedule.entryCommitEnd);
        for (uint256 i = 0; i < validators.length; ++i) {
            enrol(task, validators[i], STAKE);
        }
        pause();
        vm.warp(schedule.enrolEnd);
        for (uint256 i = 0; i < trainers.length; ++i) {
            revealEntry(task, trainers[i]);
        }
        vm.warp(schedule.entryRevealEnd);
        drawSeed(task, keccak256("randomness"));
        address[] memory seated = new address[](validators.length);
        uint256 count;
        for (uint256 i = 0; i < validators.length; ++i) {
            if (scoring.seatsOf(task, validators[i]) == 0) continue;
            seated[count++] = validators[i];
        }
        assembly ("memory-safe") {
            mstore(seated, count)
        }
        uint256[][] memory rows = new uint256[][](count);
        for (uint256 j = 0; j < count; ++j) {
            rows[j] = new uint256[](3);
            for (uint256 i = 0; i < 3; ++i) {
                rows[j][i] = 3000 * (i + 1) + 10 * j;
            }
        }
        score(task, seated, rows);
        settleAll(task, seated, rows);
        finalise(task);
        assertEq(outcomeOf(task), uint256(ITaskRegistry.Outcome.Paid));
        PageCall memory page = pageCall(task, 0, seated, rows);
        for (uint256 lane = 0; lane < 3; ++lane) {
            assertGt(rewards.claimEntry(task, uint32(lane), page.medians[0], page.medians.proof(0)), 0);
        }
        for (uint256 j = 0; j < count; ++j) {
            if (rewards.scoringReward(task, seated[j]) != 0) rewards.claimScoring(task, seated[j]);
        }
        for (uint256 i = 0; i < validators.length; ++i) {
            registry.releaseEarmark(task, validators[i]);
        }
        assertGt(rewards.withdraw(creator), 0);
        assertGt(rewards.withdraw(keeper), 0);
        for (uint256 i = 0; i < operators.length; ++i) {
            departs(operators[i]);
        }
        assertTrue(staking.paused() && registry.paused());
    }

    function test_PausedTasksCanEndAndFeesAreRefunded() external {
        uint256 cancelled = post(localParams());
        uint256 starved = post(localParams());
        uint256 empty = post(localParams());
        uint256 expired = post(localParams());
        commitEntry(starved, trainers[0]);
        commitEntry(expired, trainers[0]);
        vm.warp(registry.scheduleOf(expired).entryCommitEnd);
        enrol(expired, validators[0], STAKE);
        pause();
        vm.prank(creator);
        registry.cancelTask(cancelled);
        registry.closeTask(empty);
        vm.warp(registry.scheduleOf(expired).enrolEnd);
        registry.closeTask(starved);
        revealEntry(expired, trainers[0]);
        vm.warp(registry.scheduleOf(expired).expiresAt);
        registry.expire(expired);
        assertEq(outcomeOf(expired), uint256(ITaskRegistry.Outcome.Failed));
        rewards.claimFee(starved, trainers[0]);
        rewards.claimFee(expired, trainers[0]);
        rewards.withdraw(trainers[0]);
        rewards.withdraw(creator);
        registry.releaseEarmark(expired, validators[0]);
        for (uint256 i = 0; i < operators.length; ++i) {
            departs(operators[i]);
        }
    }

    function test_OperatorCanChangeSettingsWhilePaused() external {
        address operator = validators[0];
        staking.setDuty(address(this), true);
        skip(1);
        (uint24 gen, uint48 net) = staking.earmark(operator, STAKE, uint48(vm.getBlockTimestamp() - 1));
        pause();
        (address signer, uint256 key) = makeAddrAndKey("new signer");
        bytes memory consent = consentOf(key, operator);
        vm.startPrank(operator);
        staking.setSigner(signer, consent);
        staking.setRewardAddress(makeAddr("new reward address"));
        staking.setCommission(2000);
        vm.stopPrank();
        skip(staking.commissionNotice());
        staking.applyCommission(operator);
        token.approve(address(staking), 100e18);
        staking.addReward(operator, 100e18, 0);
        // A fault is slashed, to the cap of absences, and the jail opens after its time.
        staking.slash(
            IStaking.SlashOrder({
                operator: operator,
                earmarked: STAKE,
                amount: STAKE,
                gen: gen,
                net: net,
                reporter: keeper,
                capped: true,
                ownFirst: false,
                jails: false
            })
        );
        staking.releaseEarmark(operator, staking.poolOf(operator).earmarked);
        assertFalse(staking.isEligible(operator));
        vm.warp(staking.poolOf(operator).jailedUntil);
        vm.prank(operator);
        staking.unjail();
        assertTrue(staking.isEligible(operator));
        assertGt(staking.payOwed(keeper), 0);
        assertGt(staking.payOwed(treasury), 0);
    }
}
