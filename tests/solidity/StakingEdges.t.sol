// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Staking} from "../../contracts/Staking.sol";
import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {Consent} from "./utils/Consent.sol";
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
        given.commissionNotice = 0;
        refusedConfig(given, "commissionNotice");
        given = config();
        given.leverage = 0;
        refusedConfig(given, "leverage");
        given.leverage = 1;
        assertEq(deployed(given).leverage(), 1);

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
        staking.setDuty(alice, false); // never was one
        assertEq(staking.dutyUntil(alice), 0);
        assertTrue(staking.isDuty(duty));
        staking.setDuty(duty, false);
        assertFalse(staking.isDuty(duty));
    }

    function test_RevertIf_CallerIsNotADuty() public {
        IStaking.SlashOrder memory given = order(operator, 0, 0);
        vm.startPrank(alice);
        bytes memory told = abi.encodeWithSelector(IStaking.StakingNotDuty.selector, alice);
        vm.expectRevert(told);
        staking.earmark(operator, 1, uint48(block.timestamp - 1));
        vm.expectRevert(told);
        staking.releaseEarmark(operator, 0);
        vm.expectRevert(told);
        staking.slash(given);
        vm.stopPrank();
    }

    /// @dev A dismissed duty makes no earmark, slashes for a task's life more, and releases for an unbonding period after that.
    function test_DismissedDutyFinishesItsTasks() public {
        skip(1 days);
        earmark(operator, 500e18);
        staking.setDuty(duty, false);
        uint40 until = present() + 10 days;
        assertEq(staking.dutyUntil(duty), until);
        bytes memory told = abi.encodeWithSelector(IStaking.StakingNotDuty.selector, duty);
        vm.prank(duty);
        vm.expectRevert(told);
        staking.earmark(operator, 1, uint48(block.timestamp - 1));
        vm.warp(until - 1);
        staking.setDuty(duty, false); // again: no more time
        assertEq(staking.dutyUntil(duty), until);
        assertEq(slash(operator, 500e18, 100e18, address(0), false), 100e18);
        vm.warp(until);
        IStaking.SlashOrder memory given = order(operator, 400e18, 1e18);
        vm.prank(duty);
        vm.expectRevert(told);
        staking.slash(given);
        vm.warp(until + UNBONDING - 1);
        release(operator, 300e18);
        vm.warp(until + UNBONDING);
        vm.prank(duty);
        vm.expectRevert(told);
        staking.releaseEarmark(operator, 100e18);
        // Rewards need no duty.
        reward(operator, 10e18);
        staking.setDuty(duty, true);
        release(operator, 100e18);
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
        staking.slash(order(operator, 5e18, 1e18, bob, false));
        staking.releaseEarmark(operator, 4e18);
        vm.stopPrank();
        staking.payOwed(treasury);
        vm.startPrank(alice);
        uint256 id = staking.undelegate(operator, shares, 0);
        skip(UNBONDING);
        staking.withdraw(operator, alice, id);
        vm.stopPrank();
        staking.setPaused(false);
        stake(operator, alice, 1e18);
    }

    // ---- operators

    function test_OperatorRegistersOnce() public {
        (address hot, uint256 key) = makeAddrAndKey("hot key");
        bytes memory consent = Consent.of_(staking, key, alice);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingAlreadyRegistered.selector, operator));
        staking.registerOperator(hot, bob, 0, consent);
        vm.startPrank(alice);
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        staking.registerOperator(hot, address(0), 0, consent);
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        staking.registerOperator(address(0), bob, 0, consent);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingCommissionTooHigh.selector, 5001, 5000));
        staking.registerOperator(hot, bob, 5001, consent);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSignerTaken.selector, signerOf(operator)));
        staking.registerOperator(signerOf(operator), bob, 0, consent);
        assertEq(staking.operatorCount(), 1);
        staking.registerOperator(hot, bob, 5000, consent);
        vm.stopPrank();
        IStaking.PoolView memory pool = staking.poolOf(alice);
        assertEq(pool.signer, hot);
        assertEq(pool.rewardAddress, bob);
        assertEq(pool.commissionBps, 5000);
        assertEq(pool.pendingCommissionBps, 0);
        assertEq(pool.commissionFrom, 0);
        assertFalse(pool.bonded);
        assertEq(staking.operatorOf(hot), alice);
        assertEq(staking.signerOf(alice), hot);
        assertEq(staking.rewardAddressOf(alice), bob);
        assertEq(staking.operatorCount(), 2);
        assertEq(staking.operatorAt(0), operator);
        assertEq(staking.operatorAt(1), alice);
        vm.expectRevert();
        staking.operatorAt(2);
    }

    /// @dev Another's key, another operator, another nonce, chain or contract, a broken or a malleable signature.
    function test_SignerMustConsent() public {
        (address hot, uint256 key) = makeAddrAndKey("hot key");
        bytes memory refusal = abi.encodeWithSelector(IStaking.StakingNoConsent.selector, hot, alice);
        bytes memory good = Consent.of_(staking, key, alice);
        bytes[] memory bad = new bytes[](8);
        bad[0] = Consent.of_(staking, key + 1, alice);
        bad[1] = Consent.of_(staking, key, bob);
        bad[2] = Consent.of_(deployed(config()), key, alice);
        (uint8 v, bytes32 r, bytes32 t) = vm.sign(key, Consent.digest(staking, alice, 1));
        bad[3] = abi.encodePacked(r, t, v);
        bad[4] = "";
        (v, r, t) = vm.sign(key, Consent.digest(staking, alice, 0));
        bad[5] = abi.encodePacked(r, t);
        uint256 order_ = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bad[6] = abi.encodePacked(r, bytes32(order_ - uint256(t)), v ^ 7); // 27 and 28 differ by their lowest bits
        bad[7] = abi.encodePacked(r, t, uint8(29));
        for (uint256 i; i < bad.length; ++i) {
            vm.prank(alice);
            vm.expectRevert(refusal);
            staking.registerOperator(hot, alice, 0, bad[i]);
        }
        vm.chainId(5);
        vm.prank(alice);
        vm.expectRevert(refusal);
        staking.registerOperator(hot, alice, 0, good);
        vm.chainId(31_337);
        vm.prank(alice);
        staking.registerOperator(hot, alice, 0, good);
    }

    function test_SignerIsReplacedAtOnce() public {
        (address hot, uint256 key) = makeAddrAndKey("hot key");
        address old = signerOf(operator);
        bytes memory first = Consent.of_(staking, key, operator);
        assertEq(staking.consentNonceOf(operator), 1);
        vm.startPrank(operator);
        vm.expectRevert(IStaking.StakingZeroAddress.selector);
        staking.setSigner(address(0), first);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSignerTaken.selector, old));
        staking.setSigner(old, first);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNoConsent.selector, bob, operator));
        staking.setSigner(bob, first);
        staking.setSigner(hot, first);
        vm.stopPrank();
        assertEq(staking.signerOf(operator), hot);
        assertEq(staking.operatorOf(hot), operator);
        assertEq(staking.operatorOf(old), address(0));
        // A consent serves once: who left as signer is not named again by it.
        bytes memory back = Consent.of_(staking, Consent.keyOf(operator), operator);
        vm.startPrank(operator);
        staking.setSigner(old, back);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNoConsent.selector, hot, operator));
        staking.setSigner(hot, first);
        vm.stopPrank();
        // Another operator can use the previous signer.
        bytes memory other = Consent.of_(staking, key, alice);
        vm.prank(alice);
        staking.registerOperator(hot, alice, 0, other);
        assertEq(staking.operatorOf(hot), alice);
    }

    function test_OnlyAnOperatorChangesSettings() public {
        bytes memory unknown = abi.encodeWithSelector(IStaking.StakingUnknownOperator.selector, alice);
        vm.startPrank(alice);
        vm.expectRevert(unknown);
        staking.setSigner(bob, "");
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
        // An announcement lapses one notice after it is due.
        vm.prank(operator);
        staking.setCommission(4000);
        vm.prank(operator);
        staking.setCommission(4200);
        from = present() + NOTICE;
        vm.warp(from + NOTICE);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingCommissionLapsed.selector, from + NOTICE));
        staking.applyCommission(operator);
        vm.warp(from + NOTICE - 1);
        staking.applyCommission(operator);
        vm.prank(operator);
        staking.setCommission(4200);
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
        skip(1 days);
        slash(operator, SELF_BOND, true);
        return present() + UNBONDING;
    }

    function test_JailEndsAfterItsPeriodOnRequest() public {
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotJailed.selector, operator));
        staking.unjail();
        uint40 until = jail();
        assertEq(staking.poolOf(operator).jailedUntil, until);
        assertFalse(staking.isEligible(operator));
        (uint40 since, uint256 taken, uint256 cap) = staking.absenceOf(operator);
        assertEq(since, present());
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

    /// @dev An exhausted cap is no licence: each fault beyond it jails, to the end of the period and for a jail period at least.
    function test_FaultBeyondTheCapJailsAgain() public {
        skip(1 days);
        earmark(operator, 500e18);
        uint40 began = present();
        assertEq(slash(operator, 50e18, 50e18, address(0), true), 50e18);
        uint40 first = began + UNBONDING;
        assertEq(staking.poolOf(operator).jailedUntil, first);
        vm.warp(first - 1 hours);
        assertEq(slash(operator, 0, 0, address(0), true), 0); // nothing was asked
        assertEq(staking.poolOf(operator).jailedUntil, first);
        assertEq(slash(operator, 1, 1, address(0), true), 0);
        assertEq(staking.poolOf(operator).jailedUntil, first - 1 hours + JAIL);
    }

    function test_JailingOrderJailsForTheJailPeriod() public {
        skip(1 days);
        earmark(operator, 500e18);
        IStaking.SlashOrder memory given = order(operator, 500e18, 1e18);
        given.jails = true;
        assertEq(slash(given), 1e18);
        assertEq(staking.poolOf(operator).jailedUntil, present() + JAIL);
        // A longer jail stays.
        assertEq(slash(operator, 400e18, 400e18, address(0), true), 999e18 * 5 / 100);
        uint40 until = staking.poolOf(operator).jailedUntil;
        given.earmarked = 100e18;
        assertEq(slash(given), 1e18);
        assertEq(staking.poolOf(operator).jailedUntil, until);
    }

    function test_AbsenceCapFollowsThePoolAndResetsEachPeriod() public {
        skip(1 days);
        uint40 began = present();
        earmark(operator, 500e18);
        vm.expectEmit();
        emit IStaking.AbsencePeriod(operator, began, began + UNBONDING);
        assertEq(slash(operator, 40e18, 40e18, address(0), true), 40e18);
        vm.warp(began + UNBONDING - 1);
        stake(operator, alice, 600e18);
        (uint40 since, uint256 taken, uint256 cap) = staking.absenceOf(operator);
        assertEq(since, began);
        assertEq(taken, 40e18);
        assertEq(cap, 80e18);
        assertEq(slash(operator, 90e18, 90e18, address(0), true), 40e18);
        vm.warp(began + UNBONDING);
        (, taken,) = staking.absenceOf(operator);
        assertEq(taken, 0);
        assertEq(slash(operator, 40e18, 40e18, address(0), true), 40e18);
        (since, taken, cap) = staking.absenceOf(operator);
        assertEq(since, began + UNBONDING);
        assertEq(taken, 40e18);
        assertEq(cap, 1520e18 * 500 / 10_000);
    }

    // ---- the edge of eligibility

    /// @dev Earmarks are at most `leverage` times the self-bond, however much others delegate.
    function test_LeverageBoundsEarmarks() public {
        IStaking.StakingConfig memory given = config();
        given.leverage = 5;
        staking = deployed(given);
        staking.setDuty(duty, true);
        register(operator, operator);
        stake(operator, operator, 100e18);
        stake(operator, alice, 1000e18);
        skip(1 days);
        earmark(operator, 300e18);
        vm.startPrank(duty);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingStakeTooLow.selector, operator, 200e18, 200e18 + 1));
        staking.earmark(operator, 200e18 + 1, uint48(block.timestamp - 1));
        staking.earmark(operator, 200e18, uint48(block.timestamp - 1));
        vm.stopPrank();
    }

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
        assertEq(staking.undelegate(operator, 4e18, 4e18), 0);
        assertEq(staking.undelegate(operator, 6e18, 0), 1);
        vm.stopPrank();
        assertEq(staking.entryCount(operator, alice), 2);
        IStaking.EntryView memory entry = staking.entryOf(operator, alice, 0);
        assertEq(entry.tokens, 4e18);
        assertEq(entry.worth, 4e18);
        assertEq(entry.until, block.timestamp + UNBONDING);
        assertEq(entry.movedTo, address(0));
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.unbondingTokens, 10e18);
        assertEq(pool.activeTokens, SELF_BOND);
        assertEq(pool.activeShares, SELF_BOND);
        assertEq(staking.sharesOf(operator, alice), 0);
    }

    function test_RevertIf_SharesAreWorthNothing() public {
        stake(operator, operator, 200_000_000e18);
        skip(1 days);
        slash(operator, 200_000_000e18 + SELF_BOND, false);
        vm.prank(operator);
        vm.expectRevert(IStaking.StakingZeroAmount.selector);
        staking.undelegate(operator, 1, 0);
    }

    /// @dev Anyone may send it; the owner is paid.
    function test_WithdrawPaysTheOwnerOnce() public {
        uint256 shares = stake(operator, alice, 10e18);
        vm.prank(alice);
        uint256 id = staking.undelegate(operator, shares, 0);
        uint40 until = present() + UNBONDING;
        bytes memory unknown = abi.encodeWithSelector(IStaking.StakingUnknownEntry.selector, operator, alice, id + 1);
        vm.expectRevert(unknown);
        staking.withdraw(operator, alice, id + 1);
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingUnbondingNotOver.selector, until));
        staking.withdraw(operator, alice, id);
        vm.warp(until);
        vm.prank(bob);
        assertEq(staking.withdraw(operator, alice, id), 10e18);
        assertEq(token.balanceOf(alice), 10e18);
        assertEq(token.balanceOf(bob), 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingUnknownEntry.selector, operator, alice, id));
        staking.withdraw(operator, alice, id);
        assertEq(staking.entryOf(operator, alice, id).tokens, 0);
        assertEq(staking.poolOf(operator).unbondingTokens, 0);
    }

    /// @dev Own shares stay while the operator has earmarks, and others delegate only while they suffice.
    function test_OwnSharesStayWhileEarmarked() public {
        uint256 shares = stake(operator, alice, 100e18);
        skip(1 days);
        earmark(operator, 1e18);
        bytes memory told = abi.encodeWithSelector(IStaking.StakingEarmarked.selector, operator, 1e18);
        vm.prank(operator);
        vm.expectRevert(told);
        staking.undelegate(operator, 1e18, 0);
        vm.prank(alice);
        staking.undelegate(operator, shares, 0);
        release(operator, 1e18);
        vm.prank(operator);
        staking.undelegate(operator, SELF_BOND - MIN_BOND + 1, 0);
        assertFalse(staking.poolOf(operator).bonded);
        require(token.transfer(alice, 1e18));
        vm.startPrank(alice);
        token.approve(address(staking), 1e18);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotBonded.selector, operator));
        staking.delegate(operator, 1e18, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotBonded.selector, operator));
        staking.cancel(operator, 0);
        vm.stopPrank();
        // The operator itself restores it; so do drips, once the pool is accrued.
        reward(operator, 100e18);
        skip(DRIP);
        assertFalse(staking.poolOf(operator).bonded);
        staking.accrue(operator);
        assertTrue(staking.poolOf(operator).bonded);
        vm.prank(alice);
        staking.delegate(operator, 1e18, 0);
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
        skip(1 days);
        earmark(operator, 100e18);
        IStaking.SlashOrder memory given = order(operator, 10e18, 10e18 + 1);
        vm.startPrank(duty);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingSlashAboveEarmark.selector, 10e18 + 1, 10e18));
        staking.slash(given);
        (given.earmarked, given.amount) = (100e18 + 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingEarmarkTooLow.selector, operator, 100e18, 100e18 + 1));
        staking.slash(given);
        vm.stopPrank();
        assertEq(slash(operator, 100e18, 60e18, bob, false), 60e18);
        IStaking.PoolView memory pool = staking.poolOf(operator);
        assertEq(pool.earmarked, 40e18);
        assertEq(pool.activeTokens, SELF_BOND - 60e18);
        // A tenth of the slash, because the self-bond bore all of it.
        assertEq(staking.owedTo(bob), 6e18);
        assertEq(staking.owedTo(treasury), 54e18);
        assertEq(staking.poolOf(operator).jailedUntil, 0);
        (uint40 since,,) = staking.absenceOf(operator);
        assertEq(since, 0); // no absence
        assertApproxEqAbs(staking.stakeSince(operator, present() - 1), SELF_BOND - 60e18, 1 << 40);
        uint48 now_ = present();
        skip(1);
        assertEq(staking.stakeSince(operator, now_), SELF_BOND - 60e18);
    }

    /// @dev The own shares are burnt first: a slash within them costs others nothing.
    function testFuzz_OwnFirstSparesDelegators(uint256 delegated, uint256 amount) public {
        delegated = bound(delegated, 1e18, 100_000e18);
        uint256 shares = stake(operator, alice, delegated);
        reward(operator, 500e18); // a price other than 1
        skip(DRIP);
        staking.accrue(operator);
        skip(1 days);
        amount = bound(amount, 1, staking.eligibleStake(operator));
        IStaking.PoolView memory before = staking.poolOf(operator);
        uint256 theirs = staking.tokensFor(operator, shares);
        earmark(operator, amount);
        IStaking.SlashOrder memory given = order(operator, amount, amount);
        (given.ownFirst, given.jails, given.reporter) = (true, true, bob);
        assertLe(slash(given), amount);
        IStaking.PoolView memory pool = staking.poolOf(operator);
        uint256 kept = staking.tokensFor(operator, shares);
        if (amount <= before.selfBond) {
            assertGe(kept + 1, theirs);
            assertApproxEqAbs(pool.selfBond, before.selfBond - amount, 2e12);
        } else {
            assertEq(staking.sharesOf(operator, operator), 0);
            // The rest from the others, down to the floor.
            assertApproxEqAbs(kept, before.activeTokens - amount, 2e12 + (shares >> 36));
        }
        assertFalse(staking.isEligible(operator));
        // A tenth of the slash at most, half of the own loss at most.
        uint256 lost = amount < before.selfBond ? amount : before.selfBond;
        assertLe(staking.owedTo(bob), lost / 2);
        assertLe(staking.owedTo(bob), amount / 10);
        assertEq(staking.owedTo(bob) + staking.owedTo(treasury), before.activeTokens - pool.activeTokens);
    }

    /// @dev With a small self-bond, the limit is half of its loss, not a tenth of the slash.
    function test_ReporterIsPaidFromTheOperatorsOwnLoss() public {
        stake(operator, alice, 99_000e18);
        skip(1 days);
        vm.startPrank(duty);
        staking.earmark(operator, 1000e18, uint48(block.timestamp - 1));
        staking.slash(order(operator, 1000e18, 1000e18, bob, false));
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

    /// @dev What entries lose is not the operator's own loss; the limit of a tenth counts both.
    function test_ReporterShareCountsActiveStakeOnly() public {
        uint256 shares = stake(operator, alice, 9000e18);
        skip(1 days);
        (uint24 gen, uint48 net) = earmark(operator, 1000e18);
        vm.prank(alice);
        staking.undelegate(operator, shares, 0);
        IStaking.SlashOrder memory given = order(operator, 1000e18, 1000e18, bob, false);
        (given.gen, given.net) = (gen, net);
        assertEq(slash(given), 1000e18);
        // A tenth of the stake is active, all of it the operator's. It loses 100, of which half is paid.
        assertApproxEqAbs(staking.owedTo(bob), 50e18, 1e12);
        assertApproxEqAbs(staking.owedTo(treasury), 50e18, 1e12);
        // The rest is credited when the entry ends.
        skip(UNBONDING);
        assertApproxEqAbs(staking.withdraw(operator, alice, 0), 8100e18, 1e12);
        assertApproxEqAbs(staking.owedTo(treasury), 950e18, 2e12);
    }

    function test_CreditsAddUp() public {
        skip(1);
        vm.startPrank(duty);
        staking.earmark(operator, 100e18, uint48(block.timestamp - 1));
        staking.slash(order(operator, 100e18, 10e18, bob, false));
        staking.slash(order(operator, 90e18, 10e18, bob, false));
        vm.stopPrank();
        assertEq(staking.owedTo(bob), 2e18);
        assertEq(staking.owedTo(treasury), 18e18);
    }

    function test_ZeroSlashTakesNothing() public {
        vm.startPrank(operator);
        uint256 id = staking.undelegate(operator, SELF_BOND, 0);
        skip(UNBONDING);
        staking.withdraw(operator, operator, id);
        vm.stopPrank();
        assertEq(slash(operator, 0, 0, bob, false), 0);
        assertEq(slash(operator, 0, 0, bob, true), 0);
    }

    function test_RevertIf_RewardIsInvalid() public {
        vm.startPrank(duty);
        vm.expectRevert(IStaking.StakingZeroAmount.selector);
        staking.addReward(operator, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingAmountTooLarge.selector, uint256(type(uint88).max) + 1));
        staking.addReward(operator, uint256(type(uint88).max) + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingUnknownOperator.selector, alice));
        staking.addReward(alice, 1, 0);
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
        bytes memory consent = Consent.of_(staking, Consent.keyOf(operator), operator);
        vm.prank(operator);
        staking.registerOperator(signerOf(operator), rewardAddress, 10_000, consent);
        stake(operator, operator, SELF_BOND);
        require(token.transfer(duty, 7e18));
        vm.startPrank(duty);
        token.approve(address(staking), 7e18);
        staking.addReward(operator, 7e18, 0);
        vm.stopPrank();
        assertEq(token.balanceOf(rewardAddress), 7e18);
        assertEq(staking.poolOf(operator).undripped, 0);
        assertEq(staking.poolOf(operator).dripEnd, 0);
    }

    function test_DripCountsWhenThePoolIsTouched() public {
        skip(1 days);
        reward(operator, 700e18);
        skip(1 days);
        staking.accrue(operator);
        uint40 now_ = present();
        skip(1);
        assertEq(staking.stakeSince(operator, now_), SELF_BOND + 90e18);
        assertApproxEqAbs(staking.stakeSince(operator, now_ - 1), SELF_BOND, 1 << 40);
        // Views include the drip that is not stored yet.
        skip(1 days - 1);
        assertEq(staking.eligibleStake(operator), SELF_BOND + 180e18);
        assertEq(staking.tokensFor(operator, SELF_BOND), staking.poolOf(operator).selfBond);
        assertApproxEqAbs(staking.tokensFor(operator, SELF_BOND), SELF_BOND + 180e18, 1e12);
        // An earmark does too; it is limited by the stake of that time.
        earmark(operator, SELF_BOND + 90e18);
        skip(1);
        assertEq(staking.stakeSince(operator, present() - 1), SELF_BOND + 180e18);
    }

    /// @dev With a backing, the part min(1, 2 active / backing) drips, and a drip is divided again as it accrues.
    function test_RewardIsDividedByTheStakeThatEarnedIt() public {
        reward(operator, 100e18, 2 * SELF_BOND);
        assertEq(staking.poolOf(operator).undripped, 90e18);
        reward(operator, 100e18, 4 * SELF_BOND);
        assertEq(staking.poolOf(operator).undripped, 135e18);
        assertEq(token.balanceOf(rewardAddress), 65e18);
        assertEq(staking.poolOf(operator).dripBacking, SELF_BOND >> 40 << 40);
        // A fifth of the backing is left: two fifths drip.
        vm.prank(operator);
        staking.undelegate(operator, SELF_BOND * 4 / 5, 0);
        skip(DRIP);
        staking.accrue(operator);
        assertApproxEqAbs(staking.poolOf(operator).activeTokens, SELF_BOND / 5 + 54e18, 1e12);
        assertApproxEqAbs(staking.owedTo(rewardAddress), 81e18, 1e12);
        assertEq(staking.poolOf(operator).undripped, 0);
    }

    function test_RevertIf_LookupIsNotInThePast() public {
        uint48 now_ = present();
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingFutureLookup.selector, now_, now_));
        staking.stakeSince(operator, now_);
        skip(1);
        assertEq(staking.stakeSince(operator, now_), SELF_BOND);
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
