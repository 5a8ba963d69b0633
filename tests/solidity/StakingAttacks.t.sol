// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {StakingFixture} from "./utils/StakingFixture.sol";

/// @notice Attacks on stake, each with the attacker's whole balance sheet: what it put in, what it can take out in the end.
contract StakingAttacksTest is StakingFixture {
    address internal mallory = makeAddr("mallory");
    address internal alice = makeAddr("alice");

    function config() internal pure override returns (IStaking.StakingConfig memory given) {
        given = super.config();
        given.leverage = 5;
    }

    /// @dev Everything that an account could take out: tokens, credits, shares, entries of its own pool.
    function wealth(address who, address of_) internal view returns (uint256 sum) {
        sum = token.balanceOf(who) + staking.owedTo(who) + staking.tokensFor(of_, staking.sharesOf(of_, who));
        for (uint256 i; i < staking.entryCount(of_, who); ++i) {
            sum += staking.entryOf(of_, who, i).worth;
        }
    }

    // ---- the absence cap (a tiny pool fixed it for a period)

    function test_TinyPoolDoesNotFixTheAbsenceCap() public {
        register(mallory, mallory);
        stake(mallory, mallory, MIN_BOND);
        skip(1 days);
        slash(mallory, 1e18, true); // one absence, cheap
        stake(mallory, mallory, 1_000_000e18);
        skip(1 days);
        uint256 had = wealth(mallory, mallory);
        earmark(mallory, 950_000e18);
        for (uint256 i; i < 5; ++i) {
            slash(mallory, 9500e18, 9500e18, address(0), true);
        }
        // 5 x 9,500 was 4.9 CVY; now all of it, within 5% of the pool.
        assertApproxEqAbs(had - wealth(mallory, mallory), 47_500e18, 2e12);
    }

    /// @dev Nor does exhausting the cap while it is tiny.
    function test_BurntAllowanceOfATinyPoolIsNoLicence() public {
        register(mallory, mallory);
        stake(mallory, mallory, MIN_BOND);
        skip(1 days);
        uint256 began = vm.getBlockTimestamp();
        slash(mallory, 50e18, true);
        assertEq(staking.poolOf(mallory).jailedUntil, began + UNBONDING);
        stake(mallory, mallory, 1_000_000e18);
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingJailed.selector, mallory, began + UNBONDING));
        staking.unjail();
        // What it had earmarked before is slashed to the cap of the stake that it has now.
        vm.warp(began + UNBONDING);
        vm.prank(mallory);
        staking.unjail();
        skip(1 days);
        uint256 had = wealth(mallory, mallory);
        earmark(mallory, 900_000e18);
        slash(mallory, 900_000e18, 900_000e18, address(0), true);
        assertApproxEqAbs(had - wealth(mallory, mallory), 50_004.75e18, 1e18);
    }

    // ---- dust on a retired operator's pay

    /// @dev An emptied pool takes no dust, and dust that was there takes twice its share of what earned the reward at most.
    function testFuzz_DustTakesNothingOfARetiredOperatorsPay(uint256 dust, uint256 pay) public {
        dust = bound(dust, 1e12, 1e15);
        pay = bound(pay, 1e18, 10_000e18);
        stake(operator, mallory, dust);
        vm.prank(operator);
        staking.undelegate(operator, SELF_BOND, 0);
        require(token.transfer(mallory, dust));
        vm.startPrank(mallory);
        token.approve(address(staking), dust);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotBonded.selector, operator));
        staking.delegate(operator, dust, 0);
        vm.stopPrank();
        uint256 had = wealth(mallory, operator);
        reward(operator, pay, SELF_BOND); // it had enrolled with all of it
        skip(DRIP);
        staking.accrue(operator);
        uint256 gain = wealth(mallory, operator) - had;
        // Less than a millionth; it was 89%.
        assertLe(gain, pay * 2 * (dust + 1e12) / SELF_BOND);
        assertLt(gain, pay / 100_000);
        uint256 paid = token.balanceOf(rewardAddress) + staking.owedTo(rewardAddress);
        assertGe(paid + pay / 100_000, pay);
    }

    /// @dev The same while a drip runs.
    function testFuzz_DustTakesNothingOfARunningDrip(uint256 dust, uint256 pay) public {
        dust = bound(dust, 1e12, 1e15);
        pay = bound(pay, 1e18, 10_000e18);
        stake(operator, mallory, dust);
        reward(operator, pay, SELF_BOND);
        vm.prank(operator);
        staking.undelegate(operator, SELF_BOND, 0);
        uint256 had = wealth(mallory, operator);
        // Often, so that what dripped could back what follows.
        for (uint256 i; i < 50; ++i) {
            skip(DRIP / 50 + 1);
            staking.accrue(operator);
        }
        assertLt(wealth(mallory, operator) - had, pay / 100_000);
    }

    /// @dev An operator that steps out for a block robs nobody: its own shares stay while it has earmarks, and a claim that is made
    /// while it is out still drips to the delegators who backed it.
    function testFuzz_OperatorSteppingOutRobsNoDelegator(uint256 delegated, uint256 pay) public {
        delegated = bound(delegated, SELF_BOND, 4 * SELF_BOND);
        pay = bound(pay, 1e18, 10_000e18);
        stake(operator, alice, delegated);
        skip(1 days);
        earmark(operator, 1e18);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingEarmarked.selector, operator, 1e18));
        staking.undelegate(operator, SELF_BOND, 0);
        release(operator, 1e18);
        vm.prank(operator);
        staking.undelegate(operator, SELF_BOND, 0);
        uint256 had = wealth(alice, operator);
        reward(operator, pay, SELF_BOND + delegated);
        vm.prank(operator);
        staking.cancel(operator, 0);
        skip(DRIP);
        staking.accrue(operator);
        // At least the delegators' part of what commission leaves.
        uint256 theirs = pay * 9 / 10 * delegated / (SELF_BOND + delegated);
        assertGe(wealth(alice, operator) - had + 1e13, theirs);
    }

    // ---- leavers

    /// @dev Stake that left before a task was posted is not slashed for it, and the fault is not cheaper for the pool.
    function test_LeaversDoNotPayForLaterTasks() public {
        stake(operator, alice, 990_000e18);
        stake(operator, operator, 9000e18);
        skip(1 days);
        vm.prank(alice);
        staking.undelegate(operator, 990_000e18, 0);
        earmark(operator, 500e18);
        slash(operator, 500e18, 500e18, address(0), false);
        assertApproxEqAbs(wealth(alice, operator), 990_000e18, 1);
        assertApproxEqAbs(staking.poolOf(operator).activeTokens, 9500e18, 1);
    }

    /// @dev Whoever leaves when a fault shows pays the same as who stays.
    function testFuzz_LeavingAfterTheTaskSavesNothing(uint256 part) public {
        uint256 shares = stake(operator, mallory, 3000e18);
        stake(operator, alice, 3000e18);
        skip(1 days);
        (uint24 gen, uint48 net) = earmark(operator, 4000e18);
        part = bound(part, 1e18, shares);
        vm.prank(mallory);
        staking.undelegate(operator, part, 0);
        IStaking.SlashOrder memory given = order(operator, 4000e18, 2000e18);
        (given.gen, given.net) = (gen, net);
        slash(given);
        assertApproxEqAbs(wealth(mallory, operator), wealth(alice, operator), 1e14);
    }

    /// @dev Undelegating and cancelling in turns hides nothing: the difference counts.
    function testFuzz_CyclesOfLeavingAndCancellingSaveNothing(uint256 cycles) public {
        cycles = bound(cycles, 1, 8);
        uint256 shares = stake(operator, mallory, 3000e18);
        stake(operator, alice, 3000e18);
        vm.prank(mallory);
        staking.undelegate(operator, shares, 0);
        skip(1 days);
        vm.prank(mallory);
        staking.cancel(operator, 0);
        (uint24 gen, uint48 net) = earmark(operator, 4000e18);
        for (uint256 i = 1; i <= cycles; ++i) {
            vm.startPrank(mallory);
            staking.undelegate(operator, staking.sharesOf(operator, mallory), 0);
            if (i != cycles) staking.cancel(operator, i);
            vm.stopPrank();
        }
        IStaking.SlashOrder memory given = order(operator, 4000e18, 2000e18);
        (given.gen, given.net) = (gen, net);
        slash(given);
        assertApproxEqAbs(wealth(mallory, operator), wealth(alice, operator), 1e14);
    }

    /// @dev An accomplice that left before lends its place at most once: what it saves mallory, it loses itself.
    function test_CancellingAnOlderEntryMovesALossAndSavesNone() public {
        address accomplice = makeAddr("accomplice");
        stake(operator, mallory, 3000e18);
        stake(operator, accomplice, 3000e18);
        stake(operator, alice, 3000e18);
        vm.prank(accomplice);
        staking.undelegate(operator, 3000e18, 0);
        skip(1 days);
        (uint24 gen, uint48 net) = earmark(operator, 4000e18);
        vm.prank(accomplice);
        staking.cancel(operator, 0);
        vm.prank(mallory);
        staking.undelegate(operator, 3000e18, 0);
        IStaking.SlashOrder memory given = order(operator, 4000e18, 2000e18);
        (given.gen, given.net) = (gen, net);
        slash(given);
        // Together they lose what the cabal would have lost: 3,000 of 7,000 at risk, or more.
        uint256 lost = 6000e18 - wealth(mallory, operator) - wealth(accomplice, operator);
        assertGe(lost + 1e14, uint256(2000e18) * 3000 / 7000);
    }

    // ---- the reporter's pay

    /// @dev An operator that is reported by an accomplice loses more than the accomplice gets, whatever it does before.
    function testFuzz_SelfReportLoses(uint256 amount, bool ownFirst) public {
        stake(operator, alice, 4000e18);
        skip(1 days);
        amount = bound(amount, 1e6, 5000e18);
        earmark(operator, amount);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingEarmarked.selector, operator, amount));
        staking.undelegate(operator, SELF_BOND, 0);
        uint256 had = wealth(operator, operator) + wealth(mallory, operator);
        IStaking.SlashOrder memory given = order(operator, amount, amount, mallory, false);
        given.ownFirst = ownFirst;
        uint256 taken = slash(given);
        uint256 lost = had - wealth(operator, operator) - wealth(mallory, operator);
        assertGe(lost + 2e12, taken / 10);
    }
}
