// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

import {CoveyToken} from "../../../contracts/CoveyToken.sol";
import {Staking} from "../../../contracts/Staking.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {Consent} from "./Consent.sol";
import {Test} from "./Test.sol";

/// @notice A token, Staking with this contract as governor and one duty, and an operator with a self-bond.
abstract contract StakingFixture is Test {
    uint40 internal constant UNBONDING = 14 days;
    uint40 internal constant DRIP = 7 days;
    uint40 internal constant NOTICE = 3 days;
    uint40 internal constant JAIL = 2 days;
    uint256 internal constant MIN_BOND = 100e18;
    uint256 internal constant SELF_BOND = 1000e18;
    uint16 internal constant COMMISSION = 1000;

    CoveyToken internal token;
    Staking internal staking;
    AccessManager internal manager;
    address internal treasury = makeAddr("treasury");
    address internal duty = makeAddr("duty");
    address internal operator = makeAddr("operator");
    address internal rewardAddress = makeAddr("reward address");

    function setUp() public virtual {
        manager = new AccessManager(address(this));
        token = new CoveyToken(address(manager), address(this), 300_000_000e18);
        staking = new Staking(address(manager), address(token), treasury, config());
        staking.setDuty(duty, true);
        vm.prank(duty);
        token.approve(address(staking), type(uint256).max);
        register(operator, rewardAddress);
        stake(operator, operator, SELF_BOND);
    }

    function config() internal pure virtual returns (IStaking.StakingConfig memory) {
        return IStaking.StakingConfig({
            minSelfBond: MIN_BOND,
            unbondingPeriod: UNBONDING,
            maxTaskLife: 10 days,
            dripPeriod: DRIP,
            commissionNotice: NOTICE,
            maxCommissionBps: 5000,
            absenceCapBps: 500,
            jailPeriod: JAIL,
            leverage: 255
        });
    }

    function register(address who, address rewards) internal {
        bytes memory consent = Consent.of_(staking, Consent.keyOf(who), who);
        vm.prank(who);
        staking.registerOperator(signerOf(who), rewards, COMMISSION, consent);
    }

    function signerOf(address who) internal pure returns (address) {
        return Consent.signerOf(who);
    }

    /// @notice Fund `who`, then delegate `amount` from it to `to`.
    function stake(address to, address who, uint256 amount) internal returns (uint256 shares) {
        require(token.transfer(who, amount));
        vm.startPrank(who);
        token.approve(address(staking), amount);
        shares = staking.delegate(to, amount, 0);
        vm.stopPrank();
    }

    /// @notice A reward that any stake backs.
    function reward(address to, uint256 amount) internal {
        reward(to, amount, 0);
    }

    function reward(address to, uint256 amount, uint256 backing) internal {
        require(token.transfer(duty, amount));
        vm.prank(duty);
        staking.addReward(to, amount, backing);
    }

    function earmark(address of_, uint256 amount) internal returns (uint24 gen, uint48 net) {
        vm.prank(duty);
        return staking.earmark(of_, amount, uint48(vm.getBlockTimestamp() - 1));
    }

    /// @notice A slash for an earmark of now: nobody left since.
    function order(address of_, uint256 earmarked, uint256 amount) internal view returns (IStaking.SlashOrder memory) {
        IStaking.PoolView memory pool = staking.poolOf(of_);
        return IStaking.SlashOrder({
            operator: of_,
            earmarked: earmarked,
            amount: amount,
            gen: pool.gen,
            net: pool.net,
            reporter: address(0),
            capped: false,
            ownFirst: false,
            jails: false
        });
    }

    function order(address of_, uint256 earmarked, uint256 amount, address reporter, bool capped)
        internal
        view
        returns (IStaking.SlashOrder memory given)
    {
        given = order(of_, earmarked, amount);
        (given.reporter, given.capped) = (reporter, capped);
    }

    function slash(IStaking.SlashOrder memory given) internal returns (uint256 taken) {
        vm.prank(duty);
        return staking.slash(given);
    }

    function slash(address of_, uint256 earmarked, uint256 amount, address reporter, bool capped)
        internal
        returns (uint256 taken)
    {
        return slash(order(of_, earmarked, amount, reporter, capped));
    }

    function release(address of_, uint256 amount) internal {
        vm.prank(duty);
        staking.releaseEarmark(of_, amount);
    }

    /// @notice Earmark and slash in one call.
    function slash(address of_, uint256 amount, bool capped) internal returns (uint256 taken) {
        earmark(of_, amount);
        taken = slash(of_, amount, amount, address(0), capped);
        release(of_, amount - taken);
    }

    /// @notice Tokens per share, times 1e18, including virtual tokens and shares.
    function price(address of_) internal view returns (uint256) {
        IStaking.PoolView memory pool = staking.poolOf(of_);
        return (pool.activeTokens + 1e12) * 1e18 / (pool.activeShares + 1e12);
    }
}
