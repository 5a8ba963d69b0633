// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {StakingFixture} from "./utils/StakingFixture.sol";

/// @notice Who leaves a pool: bears earlier earmarks and no later ones, may cancel, may move to another pool.
contract StakingLeavingTest is StakingFixture {
    struct Mark {
        uint256 amount;
        uint24 gen;
        uint48 net;
        int256 left; // undelegated less cancelled before, in wei
        uint256 order; // of the step in which it was made
    }

    struct Leaver {
        uint256 index;
        uint256 worth; // split eagerly
        uint256 nominal;
        uint256 order;
        bool gone;
    }

    /// @dev A unit of 2^40 wei for each entry and cancellation that a slash counts: 0.00004 CVY.
    uint256 internal constant ROUNDING = 40 << 40;

    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal second = makeAddr("second operator");
    Mark[] internal marks;
    Leaver[] internal leavers;
    int256 internal leftSoFar;

    function setUp() public override {
        super.setUp();
        register(second, second);
        stake(second, second, SELF_BOND);
        skip(1 days);
    }

    // ---- the property

    /// @dev Random lives: stake leaves and comes back, earmarks are made and slashed in any order. Each entry is worth what it would
    /// be if every slash had been split among all who share it at once, up to the units in which Staking counts what left.
    function testFuzz_LazyRecordsEqualAnEagerSplit(uint256 seed) public {
        stake(operator, alice, 50_000e18);
        skip(1 days);
        uint256 slashes;
        for (uint256 step = 1; step <= 40; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 kind = seed % 10;
            uint256 r = seed >> 16;
            if (kind < 3) leaves(step, r);
            else if (kind < 6) marksStake(step, r);
            else if (kind < 7) cancels(r);
            else if (splits(r)) ++slashes;
            skip(seed % 3 == 0 ? 1 hours : 0);
        }
        for (uint256 i; i < leavers.length; ++i) {
            if (leavers[i].gone) continue;
            uint256 worth = staking.entryOf(operator, alice, leavers[i].index).worth;
            assertApproxEqAbs(worth, leavers[i].worth, (slashes + 1) * ROUNDING);
        }
        skip(UNBONDING);
        for (uint256 i; i < leavers.length; ++i) {
            if (leavers[i].gone) continue;
            uint256 amount = staking.withdraw(operator, alice, leavers[i].index);
            // More than 32 slashes take another call.
            if (staking.entryOf(operator, alice, leavers[i].index).tokens == 0) {
                assertApproxEqAbs(amount, leavers[i].worth, (slashes + 1) * ROUNDING);
            }
        }
    }

    function leaves(uint256 step, uint256 r) internal {
        uint256 shares = staking.sharesOf(operator, alice);
        if (shares < 100e18) return;
        vm.prank(alice);
        uint256 index = staking.undelegate(operator, bound(r, 1e18, shares / 2), 0);
        uint256 tokens = staking.entryOf(operator, alice, index).tokens;
        leavers.push(Leaver(index, tokens, tokens, step, false));
        leftSoFar += int256(tokens);
    }

    function marksStake(uint256 step, uint256 r) internal {
        uint256 free = staking.eligibleStake(operator);
        uint256 held = staking.poolOf(operator).earmarked;
        if (free <= held + 100e18) return;
        uint256 amount = bound(r, 1e18, (free - held) / 4);
        vm.prank(duty);
        try staking.earmark(operator, amount, uint48(vm.getBlockTimestamp() - 1)) returns (uint24 gen, uint48 net) {
            marks.push(Mark(amount, gen, net, leftSoFar, step));
        } catch {}
    }

    function cancels(uint256 r) internal {
        if (leavers.length == 0) return;
        Leaver storage leaver = leavers[r % leavers.length];
        if (leaver.gone || leaver.worth < 1e12) return;
        vm.prank(alice);
        try staking.cancel(operator, leaver.index) returns (uint256 shares) {
            if (shares == 0) return;
            assertApproxEqAbs(staking.tokensFor(operator, shares), leaver.worth, 1e13);
            leaver.gone = true;
            leftSoFar -= int256(leaver.nominal);
        } catch {}
    }

    function splits(uint256 r) internal returns (bool) {
        if (marks.length == 0) return false;
        Mark storage mark = marks[r % marks.length];
        uint256 amount = bound(r >> 8, 0, mark.amount / 3);
        if (amount == 0) return false;
        uint256 active = staking.poolOf(operator).activeTokens;
        uint256 left = leftSoFar > mark.left ? uint256(leftSoFar - mark.left) : 0;
        IStaking.SlashOrder memory given = order(operator, mark.amount, amount);
        (given.gen, given.net) = (mark.gen, mark.net);
        uint256 taken = slash(given);
        assertEq(taken, amount);
        mark.amount -= taken;
        for (uint256 i; i < leavers.length && left != 0; ++i) {
            if (leavers[i].order < mark.order) continue;
            leavers[i].worth -= leavers[i].worth * amount / (active + left);
        }
        assertApproxEqAbs(staking.poolOf(operator).activeTokens, active - amount * active / (active + left), ROUNDING);
        return left != 0;
    }

    // ---- single cases

    function testFuzz_SlashIsSplitBetweenStakeAndWhoLeftSince(uint256 before, uint256 since, uint256 amount) public {
        uint256 shares = stake(operator, alice, 10_000e18);
        skip(1 days);
        before = bound(before, 1e18, shares / 3);
        since = bound(since, 1e18, shares / 3);
        vm.prank(alice);
        staking.undelegate(operator, before, 0);
        amount = bound(amount, 1, 5000e18);
        (uint24 gen, uint48 net) = earmark(operator, amount);
        vm.prank(alice);
        staking.undelegate(operator, since, 0);
        uint256 active = staking.poolOf(operator).activeTokens;
        IStaking.SlashOrder memory given = order(operator, amount, amount);
        (given.gen, given.net) = (gen, net);
        assertEq(slash(given), amount);
        skip(UNBONDING);
        assertEq(staking.withdraw(operator, alice, 0), before);
        uint256 paid = staking.withdraw(operator, alice, 1);
        // The units of 2^40 wei and a wei of rounding.
        assertApproxEqAbs(since - paid, amount * since / (active + since), 1e13);
        assertApproxEqAbs(active - staking.poolOf(operator).activeTokens, amount * active / (active + since), 1e13);
        // All of it reaches the treasury.
        assertApproxEqAbs(staking.owedTo(treasury), amount, 2e13);
    }

    function test_EntryCountsManySlashesInSteps() public {
        stake(operator, alice, 10_000e18);
        skip(1 days);
        (uint24 gen, uint48 net) = earmark(operator, 8000e18);
        vm.prank(alice);
        staking.undelegate(operator, 5000e18, 0);
        uint256 held = 8000e18;
        for (uint256 i; i < 70; ++i) {
            IStaking.SlashOrder memory given = order(operator, held, 10e18);
            (given.gen, given.net) = (gen, net);
            held -= slash(given);
        }
        assertEq(staking.poolOf(operator).records, 70);
        uint256 worth = staking.entryOf(operator, alice, 0).worth;
        assertLt(worth, 5000e18);
        skip(UNBONDING);
        assertEq(staking.withdraw(operator, alice, 0), 0);
        assertEq(staking.entryOf(operator, alice, 0).records, 32);
        assertEq(staking.entryOf(operator, alice, 0).worth, worth);
        vm.prank(alice);
        assertEq(staking.cancel(operator, 0), 0);
        assertEq(staking.entryOf(operator, alice, 0).records, 64);
        assertEq(staking.withdraw(operator, alice, 0), worth);
        assertEq(token.balanceOf(alice), worth);
        assertEq(staking.poolOf(operator).unbondingTokens, 0);
    }

    function test_CancelDelegatesAnewAtAnyTime() public {
        uint256 shares = stake(operator, alice, 100e18);
        vm.startPrank(alice);
        staking.undelegate(operator, shares, 0);
        assertEq(staking.cancel(operator, 0), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingUnknownEntry.selector, operator, alice, 0));
        staking.cancel(operator, 0);
        assertEq(staking.undelegate(operator, shares, 0), 1);
        skip(2 * UNBONDING);
        assertEq(staking.cancel(operator, 1), 100e18);
        vm.stopPrank();
        assertEq(staking.sharesOf(operator, alice), 100e18);
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.unbondingTokens, 0);
        assertEq(pool.net, 0);
        assertEq(pool.activeTokens, SELF_BOND + 100e18);
        // An operator's own entry counts for its bond again.
        vm.startPrank(operator);
        staking.undelegate(operator, SELF_BOND, 0);
        assertFalse(staking.poolOf(operator).bonded);
        staking.cancel(operator, 0);
        vm.stopPrank();
        assertTrue(staking.poolOf(operator).bonded);
    }

    // ---- moving

    function test_MovedStakeIsSlashedInBothPools() public {
        uint256 shares = stake(operator, alice, 1000e18);
        skip(1 days);
        (uint24 gen, uint48 net) = earmark(operator, 1000e18);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSamePool.selector, operator));
        staking.redelegate(operator, operator, shares, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSlippage.selector, shares, shares + 1));
        staking.redelegate(operator, second, shares, shares + 1);
        assertEq(staking.redelegate(operator, second, shares, shares), 0);
        vm.stopPrank();
        assertEq(staking.sharesOf(second, alice), 0);
        assertEq(staking.poolOf(second).activeTokens, SELF_BOND + 1000e18);
        assertEq(staking.movedIn(second), 1000e18);
        assertEq(staking.entryOf(operator, alice, 0).movedTo, second);
        // Half of the stake behind the first earmark, then half of what the second pool has.
        IStaking.SlashOrder memory given = order(operator, 1000e18, 1000e18);
        (given.gen, given.net) = (gen, net);
        assertEq(slash(given), 1000e18);
        assertApproxEqAbs(staking.poolOf(operator).activeTokens, 500e18, 1e13);
        skip(1 days);
        earmark(second, 1000e18);
        slash(second, 1000e18, 1000e18, address(0), false);
        assertEq(staking.movedIn(second), staking.tokensFor(second, shares));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingMovedEntry.selector, operator, alice, 0));
        staking.cancel(operator, 0);
        skip(UNBONDING);
        uint256 owed = staking.owedTo(treasury);
        assertApproxEqAbs(staking.withdraw(operator, alice, 0), shares / 2, 1e13);
        assertApproxEqAbs(staking.owedTo(treasury) - owed, 250e18, 1e13);
        assertApproxEqAbs(staking.tokensFor(second, staking.sharesOf(second, alice)), 250e18, 2e13);
        assertEq(staking.movedIn(second), 0);
        assertEq(staking.poolOf(operator).movedTokens, 0);
    }

    /// @dev What is behind duties stays: a pool cannot be emptied into another at once.
    function test_RevertWhen_MoreMovesThanIsFree() public {
        uint256 shares = stake(operator, alice, 1000e18);
        skip(1 days);
        earmark(operator, 1500e18);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingStakeTooLow.selector, operator, SELF_BOND, 1500e18));
        staking.redelegate(operator, second, shares, 0);
        vm.prank(alice);
        staking.redelegate(operator, second, shares / 2, 0);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingEarmarked.selector, operator, 1500e18));
        staking.redelegate(operator, second, 1e18, 0);
    }
}
