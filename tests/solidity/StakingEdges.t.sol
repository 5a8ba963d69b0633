// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Staking} from "../../contracts/Staking.sol";
import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {StakingFixture} from "./utils/StakingFixture.sol";

/// @notice Every check of Staking at its limit: what reverts, what is just allowed, and the state afterwards.
contract StakingEdgesTest is StakingFixture {
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");

    function refused(bytes4 selector) internal {
        vm.expectPartialRevert(selector);
    }

    /// @dev Read from forge, because the compiler assumes that block.timestamp is constant within a call.
    function present() internal view returns (uint40) {
        return uint40(vm.getBlockTimestamp());
    }

    // ---- set-up

    /// @dev External, because vm.expectRevert applies to the next call, and with dynamic linking `new` is not a call.
    function create(address token_, address treasury_, IStaking.StakingConfig calldata given)
        external
        returns (Staking)
    {
        return new Staking(address(manager), token_, treasury_, given);
    }

    function deployed(IStaking.StakingConfig memory given) internal returns (Staking) {
        return this.create(address(token), treasury, given);
    }

    function refusedConfig(IStaking.StakingConfig memory given, bytes32 name) internal {
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingBadConfig.selector, name));
        deployed(given);
    }

    function test_ConfigurationIsStoredAndBounded() public {
        IStaking.StakingConfig memory given = config();
        given.minSelfBond = 1e12 - 1;
        refusedConfig(given, "minSelfBond");
        given.minSelfBond = uint256(type(uint88).max) + 1;
        refusedConfig(given, "minSelfBond");
        given.minSelfBond = type(uint88).max;
        assertEq(deployed(given).minSelfBond(), type(uint88).max);
        given.minSelfBond = 1e12;
        assertEq(deployed(given).minSelfBond(), 1e12);

        given = config();
        given.maxTaskLife = 0;
        refusedConfig(given, "maxTaskLife");
        given.maxTaskLife = 1;
        assertEq(deployed(given).maxTaskLife(), 1);
        given.maxTaskLife = UNBONDING;
        assertEq(deployed(given).maxTaskLife(), UNBONDING);
        given.maxTaskLife = UNBONDING + 1;
        refusedConfig(given, "unbondingPeriod");

        given = config();
        given.unbondingPeriod = 3650 days + 1;
        refusedConfig(given, "unbondingPeriod");
        given.unbondingPeriod = 3650 days;
        assertEq(deployed(given).unbondingPeriod(), 3650 days);
    }

    function test_ConfigurationPeriodsAndSharesAreBounded() public {
        IStaking.StakingConfig memory given = config();
        given.dripPeriod = 0;
        refusedConfig(given, "dripPeriod");
        given.dripPeriod = 3650 days + 1;
        refusedConfig(given, "dripPeriod");
        given.dripPeriod = 3650 days;
        assertEq(deployed(given).dripPeriod(), 3650 days);
        given.dripPeriod = 1;
        assertEq(deployed(given).dripPeriod(), 1);

        given = config();
        given.commissionNotice = 3650 days + 1;
        refusedConfig(given, "commissionNotice");
        given.commissionNotice = 3650 days;
        assertEq(deployed(given).commissionNotice(), 3650 days);

        given = config();
        given.jailPeriod = 3650 days + 1;
        refusedConfig(given, "jailPeriod");
        given.jailPeriod = 3650 days;
        assertEq(deployed(given).jailPeriod(), 3650 days);

        given = config();
        given.maxCommissionBps = 10_001;
        refusedConfig(given, "maxCommissionBps");
        given.maxCommissionBps = 10_000;
        assertEq(deployed(given).maxCommissionBps(), 10_000);

        given = config();
        given.absenceCapBps = 0;
        refusedConfig(given, "absenceCapBps");
        given.absenceCapBps = 10_001;
        refusedConfig(given, "absenceCapBps");
        given.absenceCapBps = 10_000;
        assertEq(deployed(given).absenceCapBps(), 10_000);
        given.absenceCapBps = 1;
        assertEq(deployed(given).absenceCapBps(), 1);
    }

    function test_RevertIf_TokenOrTreasuryIsZero() public {
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        this.create(address(0), treasury, config());
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        this.create(address(token), address(0), config());
        assertEq(staking.token(), address(token));
        assertEq(staking.treasury(), treasury);
        assertEq(uint256(staking.clock()), block.timestamp);
        assertEq(staking.CLOCK_MODE(), "mode=timestamp");
    }

    function test_RevertIf_CallerMayNotSetDutiesOrPause() public {
        vm.startPrank(alice);
        vm.expectRevert();
        staking.setDuty(alice, true);
        vm.expectRevert();
        staking.setPaused(true);
        vm.stopPrank();
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        staking.setDuty(address(0), true);
        staking.setDuty(duty, false);
        assertFalse(staking.isDuty(duty));
    }

    function test_RevertIf_CallerIsNotADuty() public {
        vm.startPrank(alice);
        bytes memory told = abi.encodeWithSelector(IStaking.StakingNotDuty.selector, alice);
        vm.expectRevert(told);
        staking.earmark(operator, 1, uint48(block.timestamp - 1));
        vm.expectRevert(told);
        staking.releaseEarmark(operator, 0);
        vm.expectRevert(told);
        staking.slash(operator, 0, 0, alice, false);
        vm.expectRevert(told);
        staking.addReward(operator, 1);
        vm.stopPrank();
    }

    function test_PauseStopsDelegationAndEarmarksOnly() public {
        uint256 shares = stake(operator, alice, 10e18);
        skip(1);
        vm.prank(duty);
        staking.earmark(operator, 5e18, uint48(block.timestamp - 1));
        staking.setPaused(true);
        assertTrue(staking.paused());
        vm.expectRevert(IStaking.StakingPaused.selector);
        staking.delegate(operator, 1e18, 0);
        vm.prank(duty);
        vm.expectRevert(IStaking.StakingPaused.selector);
        staking.earmark(operator, 1, uint48(block.timestamp - 1));
        // Duties and withdrawals continue.
        reward(operator, 1e18);
        vm.startPrank(duty);
        staking.slash(operator, 5e18, 1e18, bob, false);
        staking.releaseEarmark(operator, 4e18);
        vm.stopPrank();
        staking.payOwed(treasury);
        vm.startPrank(alice);
        uint256 id = staking.undelegate(operator, shares, 0);
        skip(UNBONDING);
        staking.withdraw(id);
        vm.stopPrank();
        staking.setPaused(false);
        stake(operator, alice, 1e18);
    }

    // ---- operators

    function test_OperatorRegistersOnce() public {
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingAlreadyRegistered.selector, operator));
        staking.registerOperator(bob, bob, 0);
        vm.startPrank(alice);
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        staking.registerOperator(bob, address(0), 0);
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        staking.registerOperator(address(0), bob, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingCommissionTooHigh.selector, 5001, 5000));
        staking.registerOperator(bob, bob, 5001);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSignerTaken.selector, signerOf(operator)));
        staking.registerOperator(signerOf(operator), bob, 0);
        staking.registerOperator(bob, bob, 5000);
        vm.stopPrank();
        IStaking.PoolView memory pool = staking.poolOf(alice);
        assertEq(pool.signer, bob);
        assertEq(pool.rewardAddress, bob);
        assertEq(pool.commissionBps, 5000);
        assertEq(pool.pendingCommissionBps, 0);
        assertEq(pool.commissionFrom, 0);
        assertEq(staking.operatorOf(bob), alice);
        assertEq(staking.signerOf(alice), bob);
        assertEq(staking.rewardAddressOf(alice), bob);
    }

    function test_SignerIsReplacedAtOnce() public {
        address old = signerOf(operator);
        vm.startPrank(operator);
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        staking.setSigner(address(0));
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSignerTaken.selector, old));
        staking.setSigner(old);
        staking.setSigner(bob);
        vm.stopPrank();
        assertEq(staking.signerOf(operator), bob);
        assertEq(staking.operatorOf(bob), operator);
        assertEq(staking.operatorOf(old), address(0));
        // Another operator can use the previous signer.
        vm.prank(alice);
        staking.registerOperator(old, alice, 0);
        assertEq(staking.operatorOf(old), alice);
    }

    function test_OnlyAnOperatorChangesSettings() public {
        bytes memory unknown = abi.encodeWithSelector(IStaking.StakingUnknownOperator.selector, alice);
        vm.startPrank(alice);
        vm.expectRevert(unknown);
        staking.setSigner(bob);
        vm.expectRevert(unknown);
        staking.setRewardAddress(bob);
        vm.expectRevert(unknown);
        staking.setCommission(0);
        vm.expectRevert(unknown);
        staking.unjail();
        vm.expectRevert(unknown);
        staking.applyCommission(alice);
        vm.expectRevert(unknown);
        staking.delegate(alice, 1e18, 0);
        vm.expectRevert(unknown);
        staking.accrue(alice);
        vm.stopPrank();
        vm.prank(operator);
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        staking.setRewardAddress(address(0));
        vm.prank(operator);
        staking.setRewardAddress(bob);
        assertEq(staking.rewardAddressOf(operator), bob);
        assertEq(staking.eligibleStake(alice), 0);
        assertFalse(staking.isEligible(alice));
    }

    function test_CommissionFallsAtOnceAndRisesAfterNotice() public {
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingCommissionTooHigh.selector, 5001, 5000));
        staking.setCommission(5001);
        staking.setCommission(5000);
        uint40 from = present() + NOTICE;
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.commissionBps, COMMISSION);
        assertEq(pool.pendingCommissionBps, 5000);
        assertEq(pool.commissionFrom, from);
        vm.stopPrank();
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingCommissionNotDue.selector, from));
        staking.applyCommission(operator);
        vm.warp(from);
        staking.applyCommission(operator);
        pool = staking.poolOf(operator);
        assertEq(pool.commissionBps, 5000);
        assertEq(pool.pendingCommissionBps, 0);
        assertEq(pool.commissionFrom, 0);
        assertEq(pool.signer, signerOf(operator));
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingCommissionNotDue.selector, 0));
        staking.applyCommission(operator);
        // Lowering needs no notice and cancels an announcement; an equal commission is not an increase.
        vm.startPrank(operator);
        staking.setCommission(4000);
        staking.setCommission(4500);
        staking.setCommission(4000);
        vm.stopPrank();
        pool = staking.poolOf(operator);
        assertEq(pool.commissionBps, 4000);
        assertEq(pool.pendingCommissionBps, 0);
    }

    function jail() internal returns (uint40 until) {
        skip(1);
        vm.startPrank(duty);
        staking.earmark(operator, SELF_BOND, uint48(block.timestamp - 1));
        staking.slash(operator, SELF_BOND, SELF_BOND, address(0), true);
        staking.releaseEarmark(operator, staking.poolOf(operator).earmarked);
        vm.stopPrank();
        return present() + JAIL;
    }

    function test_JailEndsAfterItsPeriodOnRequest() public {
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotJailed.selector, operator));
        staking.unjail();
        uint40 until = jail();
        assertEq(staking.poolOf(operator).jailedUntil, until);
        assertFalse(staking.isEligible(operator));
        (uint40 since, uint256 taken, uint256 cap) = staking.absenceOf(operator);
        assertEq(since, block.timestamp);
        assertEq(taken, 50e18);
        assertEq(cap, 50e18);
        vm.prank(duty);
        refused(IStaking.StakingNotEligible.selector);
        staking.earmark(operator, 1, uint48(block.timestamp - 1));
        vm.warp(until - 1);
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingJailed.selector, operator, until));
        staking.unjail();
        vm.warp(until);
        assertFalse(staking.isEligible(operator)); // time alone does not end jail
        staking.unjail();
        vm.stopPrank();
        assertEq(staking.poolOf(operator).jailedUntil, 0);
        assertEq(staking.eligibleStake(operator), 950e18);
    }

    function test_RevertIf_UnjailedWithoutSelfBond() public {
        uint40 until = jail();
        vm.startPrank(operator);
        staking.undelegate(operator, SELF_BOND * 95 / 100, 0);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotEligible.selector, operator));
        staking.unjail();
        vm.stopPrank();
        stake(operator, operator, MIN_BOND);
        vm.prank(operator);
        staking.unjail();
        assertTrue(staking.isEligible(operator));
    }

    function test_SecondCapJailsAgainOnlyAfterJail() public {
        jail();
        uint40 first = staking.poolOf(operator).jailedUntil;
        // At the cap, further absences of the period take nothing and do not extend jail.
        vm.warp(first - 1);
        vm.startPrank(duty);
        assertEq(staking.slash(operator, 0, 0, address(0), true), 0);
        vm.stopPrank();
        assertEq(staking.poolOf(operator).jailedUntil, first);
        // After jail, the same fault jails again.
        vm.warp(first);
        vm.prank(duty);
        staking.slash(operator, 0, 0, address(0), true);
        assertEq(staking.poolOf(operator).jailedUntil, first + JAIL);
    }

    function test_AbsenceCapResetsEachPeriod() public {
        skip(1);
        uint40 began = present();
        vm.startPrank(duty);
        staking.earmark(operator, 500e18, uint48(block.timestamp - 1));
        assertEq(staking.slash(operator, 40e18, 40e18, address(0), true), 40e18);
        vm.warp(began + UNBONDING - 1);
        assertEq(staking.slash(operator, 40e18, 40e18, address(0), true), 10e18);
        (uint40 since,, uint256 cap) = staking.absenceOf(operator);
        assertEq(since, began);
        assertEq(cap, 50e18);
        vm.warp(began + UNBONDING);
        assertEq(staking.slash(operator, 40e18, 40e18, address(0), true), 40e18);
        uint256 taken;
        (since, taken, cap) = staking.absenceOf(operator);
        vm.stopPrank();
        assertEq(since, began + UNBONDING);
        assertEq(taken, 40e18);
        assertEq(cap, 950e18 * 500 / 10_000);
    }

    // ---- the edge of eligibility

    function test_MinimumSelfBondIsEnough() public {
        vm.startPrank(operator);
        staking.undelegate(operator, SELF_BOND - MIN_BOND, 0);
        assertEq(staking.poolOf(operator).selfBond, MIN_BOND);
        assertEq(staking.eligibleStake(operator), MIN_BOND);
        staking.undelegate(operator, 1, 0);
        vm.stopPrank();
        assertEq(staking.eligibleStake(operator), 0);
        skip(1);
        vm.prank(duty);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotEligible.selector, operator));
        staking.earmark(operator, 1, uint48(block.timestamp - 1));
    }

    // ---- delegators

    function test_DelegateChecksAmountAndSlippage() public {
        require(token.transfer(alice, 10e18));
        vm.startPrank(alice);
        token.approve(address(staking), type(uint256).max);
        vm.expectRevert(IStaking.StakingZeroAmount.selector);
        staking.delegate(operator, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingAmountTooLarge.selector, uint256(type(uint88).max) + 1));
        staking.delegate(operator, uint256(type(uint88).max) + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSlippage.selector, 1e18, 1e18 + 1));
        staking.delegate(operator, 1e18, 1e18 + 1);
        assertEq(staking.delegate(operator, 1e18, 1e18), 1e18);
        assertEq(staking.delegate(operator, 2e18, 0), 2e18);
        vm.stopPrank();
        assertEq(staking.sharesOf(operator, alice), 3e18);
        assertEq(token.balanceOf(alice), 7e18);
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.activeTokens, SELF_BOND + 3e18);
        assertEq(pool.activeShares, SELF_BOND + 3e18);
    }

    /// @dev One wei buys no share if a share costs more.
    function test_RevertIf_AmountBuysNoShare() public {
        reward(operator, 10_000e18);
        skip(DRIP);
        require(token.transfer(alice, 1));
        vm.startPrank(alice);
        token.approve(address(staking), 1);
        vm.expectRevert(IStaking.StakingZeroAmount.selector);
        staking.delegate(operator, 1, 0);
        vm.stopPrank();
    }

    function test_UndelegateChecksSharesAndSlippage() public {
        uint256 shares = stake(operator, alice, 10e18);
        vm.startPrank(alice);
        vm.expectRevert(IStaking.StakingZeroAmount.selector);
        staking.undelegate(operator, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingInsufficientShares.selector, shares, shares + 1));
        staking.undelegate(operator, shares + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSlippage.selector, 4e18, 4e18 + 1));
        staking.undelegate(operator, 4e18, 4e18 + 1);
        uint256 first = staking.undelegate(operator, 4e18, 4e18);
        uint256 second = staking.undelegate(operator, 6e18, 0);
        vm.stopPrank();
        assertEq(second, first + 1);
        (address of_, address owner, uint256 own, uint256 tokens, uint40 until) = staking.unbondingEntry(first);
        assertEq(of_, operator);
        assertEq(owner, alice);
        assertEq(own, 4e18);
        assertEq(tokens, 4e18);
        assertEq(until, block.timestamp + UNBONDING);
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.unbondingTokens, 10e18);
        assertEq(pool.unbondingShares, 10e18);
        assertEq(pool.activeTokens, SELF_BOND);
        assertEq(pool.activeShares, SELF_BOND);
        assertEq(staking.sharesOf(operator, alice), 0);
    }

    function test_RevertIf_SharesAreWorthNothing() public {
        uint256 huge = 200_000_000e18;
        stake(operator, alice, huge);
        skip(1);
        slash(operator, huge + SELF_BOND, false);
        vm.prank(alice);
        vm.expectRevert(IStaking.StakingZeroAmount.selector);
        staking.undelegate(operator, 1, 0);
    }

    function test_WithdrawIsForTheOwnerAndOnce() public {
        uint256 shares = stake(operator, alice, 10e18);
        vm.prank(alice);
        uint256 id = staking.undelegate(operator, shares, 0);
        uint40 until = present() + UNBONDING;
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingUnknownEntry.selector, id + 1));
        staking.withdraw(id + 1);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotEntryOwner.selector, bob, alice));
        staking.withdraw(id);
        vm.startPrank(alice);
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingUnbondingNotOver.selector, until));
        staking.withdraw(id);
        vm.warp(until);
        assertEq(staking.withdraw(id), 10e18);
        assertEq(token.balanceOf(alice), 10e18);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingUnknownEntry.selector, id));
        staking.withdraw(id);
        vm.stopPrank();
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.unbondingTokens, 0);
        assertEq(pool.unbondingShares, 0);
    }

    /// @dev Shares of more than 96 bits are split over two slots of an entry.
    function test_UnbondingEntryStoresMoreThan96BitsOfShares() public {
        uint256 huge = 200_000_000e18;
        stake(operator, alice, huge);
        vm.prank(alice);
        uint256 first = staking.undelegate(operator, huge / 2, 0);
        skip(1);
        // After a slash to a millionth, the next undelegation receives a million times as many unbonding shares.
        slash(operator, staking.eligibleStake(operator), false);
        slashUnbonding();
        uint256 tokens = 50_000_000e18;
        stake(operator, operator, tokens);
        uint256 owned = staking.sharesOf(operator, operator);
        vm.prank(operator);
        uint256 second = staking.undelegate(operator, owned, 0);
        (,, uint256 shares, uint256 worth,) = staking.unbondingEntry(second);
        assertGt(shares, 1 << 96);
        (,, uint256 earlier,,) = staking.unbondingEntry(first);
        assertEq(shares + earlier, staking.poolOf(operator).unbondingShares);
        skip(UNBONDING);
        vm.prank(operator);
        assertEq(staking.withdraw(second), worth);
        assertEq(staking.poolOf(operator).unbondingShares, earlier);
    }

    /// @dev Repeatedly slash half of the pool, while the self-bond suffices for the next earmark.
    function slashUnbonding() internal {
        for (uint256 i; i < 18; ++i) {
            stake(operator, operator, MIN_BOND + 1e18);
            skip(1);
            uint256 most = staking.eligibleStake(operator);
            if (most == 0) break;
            slash(operator, most, false);
        }
    }

    // ---- duties

    function test_EarmarkIsLimitedAndReleased() public {
        skip(1);
        vm.startPrank(duty);
        vm.expectRevert(IStaking.StakingZeroAmount.selector);
        staking.earmark(operator, 0, uint48(block.timestamp - 1));
        staking.earmark(operator, 600e18, uint48(block.timestamp - 1));
        staking.earmark(operator, 400e18, uint48(block.timestamp - 1));
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingStakeTooLow.selector, operator, 0, 1));
        staking.earmark(operator, 1, uint48(block.timestamp - 1));
        assertEq(staking.poolOf(operator).earmarked, SELF_BOND);
        vm.expectRevert(
            abi.encodeWithSelector(IStaking.StakingEarmarkTooLow.selector, operator, SELF_BOND, SELF_BOND + 1)
        );
        staking.releaseEarmark(operator, SELF_BOND + 1);
        staking.releaseEarmark(operator, 300e18);
        assertEq(staking.poolOf(operator).earmarked, 700e18);
        staking.releaseEarmark(operator, 700e18);
        assertEq(staking.poolOf(operator).earmarked, 0);
        vm.stopPrank();
    }

    function test_SlashIsLimitedByItsEarmark() public {
        skip(1);
        vm.startPrank(duty);
        staking.earmark(operator, 100e18, uint48(block.timestamp - 1));
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSlashAboveEarmark.selector, 10e18 + 1, 10e18));
        staking.slash(operator, 10e18, 10e18 + 1, address(0), false);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingEarmarkTooLow.selector, operator, 100e18, 100e18 + 1));
        staking.slash(operator, 100e18 + 1, 1, address(0), false);
        assertEq(staking.slash(operator, 100e18, 60e18, bob, false), 60e18);
        vm.stopPrank();
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.earmarked, 40e18);
        assertEq(pool.activeTokens, SELF_BOND - 60e18);
        // A tenth of the slash, because the self-bond bore all of it.
        assertEq(staking.owedTo(bob), 6e18);
        assertEq(staking.owedTo(treasury), 54e18);
        assertEq(staking.poolOf(operator).jailedUntil, 0);
        (uint40 since,,) = staking.absenceOf(operator);
        assertEq(since, 0); // no absence
        uint48 now_ = present();
        assertEq(staking.stakeAt(operator, now_ - 1), SELF_BOND);
        skip(1);
        assertEq(staking.stakeAt(operator, now_), SELF_BOND - 60e18);
    }

    /// @dev With a small self-bond, the limit is half of its loss, not a tenth of the slash.
    function test_ReporterIsPaidFromTheOperatorsOwnLoss() public {
        stake(operator, alice, 99_000e18);
        skip(1);
        vm.startPrank(duty);
        staking.earmark(operator, 1000e18, uint48(block.timestamp - 1));
        staking.slash(operator, 1000e18, 1000e18, bob, false);
        vm.stopPrank();
        // The operator owns a hundredth, 10 of 1,000, and half of that is 5.
        assertApproxEqAbs(staking.owedTo(bob), 5e18, 1e12);
        assertEq(staking.owedTo(treasury), 1000e18 - staking.owedTo(bob));
        staking.payOwed(bob);
        assertApproxEqAbs(token.balanceOf(bob), 5e18, 1e12);
        assertEq(staking.owedTo(bob), 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNothingOwed.selector, bob));
        staking.payOwed(bob);
    }

    /// @dev A slash of the unbonding side is not the operator's own loss; the limit of a tenth counts both sides.
    function test_ReporterShareCountsTheActiveSideOnly() public {
        uint256 shares = stake(operator, alice, 9000e18);
        vm.prank(alice);
        staking.undelegate(operator, shares, 0);
        skip(1);
        vm.startPrank(duty);
        staking.earmark(operator, 1000e18, uint48(block.timestamp - 1));
        assertEq(staking.slash(operator, 1000e18, 1000e18, bob, false), 1000e18);
        vm.stopPrank();
        // A tenth of the pool is active, all of it the operator's. It loses 100, of which half is paid.
        assertApproxEqAbs(staking.owedTo(bob), 50e18, 1e12);
    }

    function test_CreditsAddUp() public {
        skip(1);
        vm.startPrank(duty);
        staking.earmark(operator, 100e18, uint48(block.timestamp - 1));
        staking.slash(operator, 100e18, 10e18, bob, false);
        staking.slash(operator, 90e18, 10e18, bob, false);
        vm.stopPrank();
        assertEq(staking.owedTo(bob), 2e18);
        assertEq(staking.owedTo(treasury), 18e18);
    }

    function test_ZeroSlashTakesNothing() public {
        vm.startPrank(operator);
        uint256 id = staking.undelegate(operator, SELF_BOND, 0);
        skip(UNBONDING);
        staking.withdraw(id);
        vm.stopPrank();
        vm.prank(duty);
        assertEq(staking.slash(operator, 0, 0, bob, false), 0);
        vm.prank(duty);
        assertEq(staking.slash(operator, 0, 0, bob, true), 0);
    }

    function test_RevertIf_RewardIsInvalid() public {
        vm.startPrank(duty);
        vm.expectRevert(IStaking.StakingZeroAmount.selector);
        staking.addReward(operator, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingAmountTooLarge.selector, uint256(type(uint88).max) + 1));
        staking.addReward(operator, uint256(type(uint88).max) + 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingUnknownOperator.selector, alice));
        staking.addReward(alice, 1);
        vm.stopPrank();
    }

    /// @dev A commission of one wei is paid, and a drip of one wei is accrued.
    function test_OneWeiRewardIsDistributed() public {
        uint256 held = token.balanceOf(address(staking));
        reward(operator, 10);
        assertEq(token.balanceOf(rewardAddress), 1);
        assertEq(staking.poolOf(operator).undripped, 9);
        assertEq(token.balanceOf(address(staking)), held + 9);
        skip(DRIP);
        reward(operator, 1);
        assertEq(staking.poolOf(operator).undripped, 1);
        assertEq(staking.poolOf(operator).activeTokens, SELF_BOND + 9);
        assertEq(token.balanceOf(address(staking)), held + 10);
    }

    /// @dev The whole reward is commission, so nothing drips and the share price is unchanged.
    function test_FullCommissionLeavesNothingToDrip() public {
        IStaking.StakingConfig memory given = config();
        given.maxCommissionBps = 10_000;
        staking = deployed(given);
        staking.setDuty(duty, true);
        vm.prank(operator);
        staking.registerOperator(bob, rewardAddress, 10_000);
        stake(operator, operator, SELF_BOND);
        require(token.transfer(duty, 7e18));
        vm.startPrank(duty);
        token.approve(address(staking), 7e18);
        staking.addReward(operator, 7e18);
        vm.stopPrank();
        assertEq(token.balanceOf(rewardAddress), 7e18);
        assertEq(staking.poolOf(operator).undripped, 0);
        assertEq(staking.poolOf(operator).dripEnd, 0);
    }

    function test_DripIsCheckpointedWhenThePoolIsTouched() public {
        reward(operator, 700e18);
        skip(1 days);
        staking.accrue(operator);
        uint256 now_ = present();
        skip(1);
        assertEq(staking.stakeAt(operator, uint48(now_)), SELF_BOND + 90e18);
        assertEq(staking.stakeAt(operator, uint48(now_ - 1)), SELF_BOND);
        // Views include the drip that is not stored yet.
        skip(1 days - 1);
        assertEq(staking.eligibleStake(operator), SELF_BOND + 180e18);
        assertEq(staking.tokensFor(operator, SELF_BOND), staking.poolOf(operator).selfBond);
        assertApproxEqAbs(staking.tokensFor(operator, SELF_BOND), SELF_BOND + 180e18, 1e12);
        // An earmark does too; it is limited by the checkpoint of that time.
        vm.prank(duty);
        staking.earmark(operator, SELF_BOND + 90e18, uint48(block.timestamp - 1));
        skip(1);
        assertEq(staking.stakeAt(operator, present() - 1), SELF_BOND + 180e18);
    }

    function test_RevertIf_LookupIsNotInThePast() public {
        uint48 now_ = present();
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingFutureLookup.selector, now_, now_));
        staking.stakeAt(operator, now_);
        skip(1);
        assertEq(staking.stakeAt(operator, now_), SELF_BOND);
    }

    function test_RewardAfterADripStartsAFullPeriod() public {
        reward(operator, 10e18);
        skip(DRIP + 3 days);
        reward(operator, 10e18);
        assertEq(staking.poolOf(operator).dripEnd, block.timestamp + DRIP);
        assertEq(staking.poolOf(operator).undripped, 9e18);
        assertEq(staking.poolOf(operator).activeTokens, SELF_BOND + 9e18);
    }
}
