// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {StakingFixture} from "./utils/StakingFixture.sol";

contract StakingTest is StakingFixture {
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");

    // ---- shares

    function testFuzz_DelegateAndUndelegateGainsNothing(uint256 amount, uint256 earned, uint256 slashed) public {
        amount = bound(amount, 1e6, 50_000_000e18);
        earned = bound(earned, 1, 1_000_000e18);
        slashed = bound(slashed, 1, SELF_BOND - MIN_BOND - 1e18);
        skip(1);
        slash(operator, slashed, false);
        if (staking.isEligible(operator)) {
            reward(operator, earned);
            skip(DRIP + 1);
        }
        uint256 shares = stake(operator, alice, amount);
        uint256 worth = staking.tokensFor(operator, shares);
        assertLe(worth, amount);
        // One share and one token of rounding, and the virtual tokens that a slashed side does not have.
        assertApproxEqAbs(worth, amount, 2 + price(operator) / 1e18 + 1e12);
        vm.prank(alice);
        uint256 id = staking.undelegate(operator, shares, worth);
        skip(UNBONDING);
        vm.prank(alice);
        assertLe(staking.withdraw(operator, alice, id), amount);
    }

    /// @dev An attacker stakes a tiny amount, waits until a reward makes shares expensive, and profits if the next delegator loses by rounding.
    function testFuzz_InflationAttackGainsNothing(uint256 trifle, uint256 earned, uint256 amount) public {
        trifle = bound(trifle, 1, 1e15);
        earned = bound(earned, 1e18, 1_000_000e18);
        amount = bound(amount, 1e15, 1_000_000e18);
        address target = makeAddr("target");
        register(target, target);
        stake(target, target, MIN_BOND + trifle);
        reward(target, earned);
        skip(DRIP);
        staking.accrue(target);
        uint256 shares = stake(target, alice, amount);
        // Rounding can take one share, whose value the virtual shares keep below earned / 1e12.
        assertApproxEqAbs(staking.tokensFor(target, shares), amount, 2 + earned / 1e12);
    }

    function test_NewPoolHasPriceOne() public {
        address target = makeAddr("target");
        register(target, target);
        assertEq(stake(target, target, 123e18), 123e18);
        assertEq(staking.tokensFor(target, 123e18), 123e18);
    }

    // ---- slashing

    function testFuzz_UnbondingAfterASlashIsNotSlashed(uint256 delegated, uint256 taken) public {
        delegated = bound(delegated, 1e18, 100_000e18);
        stake(operator, alice, delegated);
        uint256 shares = stake(operator, bob, delegated);
        vm.prank(alice);
        staking.undelegate(operator, shares / 2, 0);
        skip(1 days);
        taken = bound(taken, 1, staking.poolOf(operator).activeTokens * 9 / 10);
        slash(operator, taken, false);
        uint256 worth = staking.tokensFor(operator, shares);
        vm.prank(bob);
        uint256 id = staking.undelegate(operator, shares, worth);
        skip(UNBONDING);
        vm.prank(bob);
        assertApproxEqAbs(staking.withdraw(operator, bob, id), worth, 2e12);
    }

    function test_DelegatorsCanLeaveAfterATotalLoss() public {
        uint256 shares = stake(operator, alice, 500e18);
        vm.prank(alice);
        uint256 early = staking.undelegate(operator, shares / 2, 0);
        skip(1 days);
        slash(operator, staking.eligibleStake(operator), false);
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.activeTokens, pool.activeShares >> 36); // the floor
        assertFalse(staking.isEligible(operator));
        assertFalse(pool.bonded);
        skip(UNBONDING);
        // It left before the earmark.
        assertEq(staking.withdraw(operator, alice, early), 250e18);
        vm.startPrank(alice);
        uint256 id = staking.undelegate(operator, shares / 2, 0);
        skip(UNBONDING);
        assertGt(staking.withdraw(operator, alice, id), 0);
        vm.stopPrank();
    }

    function test_RuinedPoolAcceptsNoStakeAndAllowsWithdrawal() public {
        uint256 huge = 200_000_000e18;
        stake(operator, operator, huge);
        skip(1 days);
        slash(operator, huge + SELF_BOND, false);
        assertEq(staking.poolOf(operator).activeTokens, (huge + SELF_BOND) >> 36); // the floor
        require(token.transfer(operator, 1e18));
        vm.startPrank(operator);
        token.approve(address(staking), 1e18);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingPoolRuined.selector, operator));
        staking.delegate(operator, 1e18, 0);
        uint256 id = staking.undelegate(operator, huge, 0);
        vm.stopPrank();
        assertFalse(staking.isEligible(operator));
        skip(UNBONDING);
        assertLe(staking.withdraw(operator, operator, id), (huge + SELF_BOND) >> 35);
    }

    function testFuzz_ReporterReceivesAtMostHalfOfTheSelfBondLoss(uint256 delegated, uint256 amount) public {
        delegated = bound(delegated, 1, 200_000e18);
        stake(operator, alice, delegated);
        skip(1 days);
        amount = bound(amount, 1, staking.eligibleStake(operator));
        uint256 self = staking.poolOf(operator).selfBond;
        earmark(operator, amount);
        uint256 taken = slash(operator, amount, amount, bob, false);
        uint256 lost = self - staking.poolOf(operator).selfBond;
        assertLe(staking.owedTo(bob), lost / 2 + 1);
        assertLe(staking.owedTo(bob), taken / 10);
        assertEq(staking.owedTo(bob) + staking.owedTo(treasury), taken);
    }

    function testFuzz_AbsencesTakeAtMostTheCapPerPeriodAndJail(uint256[8] calldata amounts) public {
        stake(operator, alice, 1000e18);
        skip(1 days);
        uint256 pool = SELF_BOND + 1000e18;
        earmark(operator, pool);
        uint256 sum;
        uint256 jailedUntil;
        uint256 first = vm.getBlockTimestamp();
        for (uint256 i; i < 8; ++i) {
            uint256 amount = bound(amounts[i], 1, 40e18);
            uint256 left = pool * 500 / 10_000 - sum;
            uint256 expected = amount < left ? amount : left;
            if (amount >= left) jailedUntil = first + UNBONDING;
            assertEq(slash(operator, amount, amount, address(0), true), expected);
            sum += expected;
            assertEq(staking.poolOf(operator).jailedUntil, jailedUntil);
            skip(1 hours);
        }
        // A new period has a new cap.
        vm.warp(first + UNBONDING);
        assertEq(slash(operator, 1e18, 1e18, address(0), true), 1e18);
    }

    // ---- drip

    function testFuzz_DripIsLinearAndComplete(uint256 amount, uint256 elapsed, uint256 steps) public {
        amount = bound(amount, 1e6, 1_000_000e18);
        elapsed = bound(elapsed, 0, DRIP);
        steps = bound(steps, 1, 5);
        reward(operator, amount);
        uint256 commission = amount * COMMISSION / 10_000;
        assertEq(token.balanceOf(rewardAddress), commission);
        for (uint256 i; i < steps; ++i) {
            skip(elapsed / steps);
            staking.accrue(operator);
        }
        uint256 dripped = staking.poolOf(operator).activeTokens - SELF_BOND;
        assertApproxEqAbs(dripped, (amount - commission) * (elapsed / steps * steps) / DRIP, steps);
        skip(DRIP);
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.activeTokens, SELF_BOND + amount - commission);
        assertEq(pool.undripped, 0);
    }

    function testFuzz_DustDoesNotDelayADrip(uint256 amount, uint256 dust, uint256 times) public {
        amount = bound(amount, 1e18, 1_000_000e18);
        dust = bound(dust, 1, 1e9);
        times = bound(times, 1, 20);
        reward(operator, amount);
        uint40 end = staking.poolOf(operator).dripEnd;
        for (uint256 i; i < times; ++i) {
            skip(6 hours);
            reward(operator, dust);
            assertEq(staking.poolOf(operator).dripEnd, end); // unchanged
        }
    }

    function testFuzz_EndOfTwoDripsIsTheirWeightedMean(uint256 first, uint256 second, uint256 elapsed) public {
        first = bound(first, 1e6, 1_000_000e18);
        second = bound(second, 1, 1_000_000e18);
        elapsed = bound(elapsed, 0, DRIP - 1);
        reward(operator, first);
        skip(elapsed);
        uint256 rest = DRIP - elapsed;
        staking.accrue(operator);
        uint256 undripped = staking.poolOf(operator).undripped;
        reward(operator, second);
        uint256 added = second - second * COMMISSION / 10_000;
        uint256 end = staking.poolOf(operator).dripEnd;
        assertEq(end, block.timestamp + (undripped * rest + added * DRIP) / (undripped + added));
        assertGe(end, block.timestamp + rest);
        assertLe(end, block.timestamp + DRIP);
    }

    function test_DelegatingJustBeforeAClaimGainsNothing() public {
        uint256 shares = stake(operator, alice, 1000e18);
        reward(operator, 1000e18);
        vm.prank(alice);
        uint256 id = staking.undelegate(operator, shares, 0);
        skip(UNBONDING);
        vm.prank(alice);
        assertEq(staking.withdraw(operator, alice, id), 1000e18);
    }

    function test_RewardsOfAnEmptyPoolGoToTheRewardAddress() public {
        reward(operator, 70e18);
        vm.prank(operator);
        staking.undelegate(operator, SELF_BOND, 0);
        skip(1 days);
        staking.accrue(operator);
        assertApproxEqAbs(staking.owedTo(rewardAddress), 9e18, 1);
        assertEq(staking.payOwed(rewardAddress), token.balanceOf(rewardAddress) - 7e18);
        reward(operator, 5e18);
        assertEq(staking.poolOf(operator).undripped, 63e18 - (token.balanceOf(rewardAddress) - 12e18));
        assertApproxEqAbs(token.balanceOf(rewardAddress), 7e18 + 9e18 + 5e18, 1);
    }

    /// @dev With fewer real shares than virtual ones, most of a drip would go to the virtual shares and be lost.
    function testFuzz_PoolOfDustCountsAsEmpty(uint256 dust) public {
        dust = bound(dust, 1, 1e12 - 1);
        address target = makeAddr("target");
        address rewards = makeAddr("its reward address");
        register(target, rewards);
        stake(target, target, dust);
        reward(target, 10e18);
        assertEq(token.balanceOf(rewards), 10e18);
        assertEq(staking.poolOf(target).undripped, 0);
        // With one share more, the pool receives the reward.
        stake(target, target, 1e12 - dust);
        reward(target, 10e18);
        assertEq(token.balanceOf(rewards), 11e18);
        assertEq(staking.poolOf(target).undripped, 9e18);
    }

    // ---- history of stake

    /// @dev Never above the stake at the time, but for rounding up to 2^40 wei, and the exact stake if it did not change since.
    function testFuzz_StakeSinceIsAtMostTheStakeThen(uint256[] calldata moves) public {
        uint256 n = moves.length > 24 ? 24 : moves.length;
        uint256[] memory stakes = new uint256[](n + 1);
        uint256[] memory times = new uint256[](n + 1);
        stakes[0] = SELF_BOND;
        times[0] = vm.getBlockTimestamp();
        for (uint256 i; i < n; ++i) {
            // From the same second to some quanta, of which a task's life has 14.
            skip(moves[i] & 1 == 0 ? moves[i] & 0xffff : (moves[i] & 0x3ffff));
            uint256 shares = staking.sharesOf(operator, alice);
            if (moves[i] & 8 == 0 && shares != 0) {
                vm.prank(alice);
                staking.undelegate(operator, shares, 0);
            } else {
                stake(operator, alice, bound(moves[i] >> 20, 1e12, 1e24));
            }
            stakes[i + 1] = staking.poolOf(operator).activeTokens;
            times[i + 1] = vm.getBlockTimestamp();
        }
        skip(1 hours);
        uint256 present = vm.getBlockTimestamp();
        for (uint256 i; i <= n; ++i) {
            uint256 end = i == n ? present : times[i + 1];
            for (uint256 k; k < 3 && end > times[i]; ++k) {
                uint256 t = k == 0 ? times[i] : k == 1 ? end - 1 : (times[i] + end) / 2;
                uint256 since = staking.stakeSince(operator, uint48(t));
                if (i == n) assertEq(since, stakes[n]);
                else assertLt(since, stakes[i] + (1 << 40));
            }
        }
    }

    /// @dev Stake that was there before the quantum of the first change counts in full for a task's whole life.
    function testFuzz_StakeThatStaysCountsForATasksLife(uint256 seed) public {
        stake(operator, alice, 5000e18);
        skip(1 days);
        uint48 asOf = uint48(vm.getBlockTimestamp() - 1);
        for (uint256 i; i < 9; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            skip(seed % 1 days);
            stake(operator, bob, 1e18 + seed % 1000e18);
            uint256 since = staking.stakeSince(operator, asOf);
            assertGe(since, 6000e18);
            assertLt(since, 6000e18 + (1 << 40));
        }
        skip(12 days);
        assertEq(staking.stakeSince(operator, asOf), 0); // longer ago than any task
    }

    function testFuzz_EarmarkIsLimitedByPastAndCurrentStakeAndLeverage(uint256 then, uint256 gone, uint256 amount)
        public
    {
        then = bound(then, 1e12, 300_000e18);
        uint256 shares = stake(operator, alice, then);
        skip(1 days);
        uint48 asOf = uint48(vm.getBlockTimestamp() - 1);
        gone = bound(gone, 0, shares);
        if (gone != 0) {
            vm.prank(alice);
            staking.undelegate(operator, gone, 0);
        }
        stake(operator, bob, 1_000_000e18);
        uint256 free = staking.stakeSince(operator, asOf);
        assertLt(free, SELF_BOND + then - gone + (1 << 40));
        assertGe(free, SELF_BOND + then - gone);
        uint256 limit = 255 * staking.poolOf(operator).selfBond;
        if (free > limit) free = limit;
        amount = bound(amount, 1, 2 * free);
        vm.startPrank(duty);
        if (amount > free) {
            vm.expectRevert(abi.encodeWithSelector(IStaking.StakingStakeTooLow.selector, operator, free, amount));
            staking.earmark(operator, amount, asOf);
        } else {
            staking.earmark(operator, amount, asOf);
            // The same stake cannot back a second duty.
            vm.expectRevert(
                abi.encodeWithSelector(IStaking.StakingStakeTooLow.selector, operator, free - amount, free - amount + 1)
            );
            staking.earmark(operator, free - amount + 1, asOf);
        }
        vm.stopPrank();
    }

    // ---- permit

    function test_PermitUsedBySomeoneElseIsNoError() public {
        (address owner, uint256 key) = makeAddrAndKey("permit owner");
        require(token.transfer(owner, 10e18));
        uint256 deadline = block.timestamp + 1;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, permitDigest(owner, 10e18, deadline));
        uint256 before = vm.snapshotState();
        vm.prank(owner);
        assertEq(staking.delegateWithPermit(operator, 10e18, 0, deadline, v, r, s), 10e18);
        vm.revertToState(before);
        // The same, after someone copied the permit from the mempool and used it.
        vm.prank(bob);
        token.permit(owner, address(staking), 10e18, deadline, v, r, s);
        vm.prank(owner);
        assertEq(staking.delegateWithPermit(operator, 10e18, 0, deadline, v, r, s), 10e18);
        // Without an allowance a bad permit reverts.
        require(token.transfer(owner, 10e18));
        vm.prank(owner);
        vm.expectRevert();
        staking.delegateWithPermit(operator, 10e18, 0, deadline, v, r, s);
    }

    function permitDigest(address owner, uint256 amount, uint256 deadline) private view returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(staking),
                amount,
                token.nonces(owner),
                deadline
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash));
    }
}
