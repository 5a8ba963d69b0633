// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CoveyToken} from "../../contracts/CoveyToken.sol";
import {Staking} from "../../contracts/Staking.sol";
import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {StakingFixture} from "./utils/StakingFixture.sol";
import {Test} from "./utils/Test.sol";

/// @notice Random delegators, rewards, slashes and time on two pools. It keeps what Staking itself cannot add up.
contract StakingHandler is Test {
    uint256 public constant VIRTUAL = 1e12;

    Staking public immutable staking;
    CoveyToken public immutable token;
    address public immutable duty;
    address[2] public operators;
    address[4] public people;
    uint256[] public entries;
    uint256 public slashes;
    uint256 public fallen; // times that a price fell without a slash
    uint256 public wrongEarmark;

    constructor(Staking staking_, CoveyToken token_, address duty_, address[2] memory operators_) {
        staking = staking_;
        token = token_;
        duty = duty_;
        operators = operators_;
        people = [operators_[0], operators_[1], makeAddr("first delegator"), makeAddr("second delegator")];
    }

    /// @dev Cross-multiplied: no rounding hides a fall.
    modifier watched(uint256 which, bool maySlash) {
        IStaking.PoolView memory before = staking.poolOf(operators[which & 1]);
        _;
        IStaking.PoolView memory later = staking.poolOf(operators[which & 1]);
        if (!maySlash) {
            bool active = (later.activeTokens + VIRTUAL) * (before.activeShares + VIRTUAL)
                < (before.activeTokens + VIRTUAL) * (later.activeShares + VIRTUAL);
            bool unbonding = (later.unbondingTokens + VIRTUAL) * (before.unbondingShares + VIRTUAL)
                < (before.unbondingTokens + VIRTUAL) * (later.unbondingShares + VIRTUAL);
            if (active || unbonding) ++fallen;
        }
    }

    function delegate(uint256 which, uint256 who, uint256 amount) external watched(which, false) {
        amount = bound(amount, 1, 1_000_000e18);
        address person = people[who & 3];
        require(token.transfer(person, amount));
        vm.startPrank(person);
        token.approve(address(staking), amount);
        try staking.delegate(operators[which & 1], amount, 0) {} catch {}
        vm.stopPrank();
    }

    function undelegate(uint256 which, uint256 who, uint256 shares) external watched(which, false) {
        address person = people[who & 3];
        uint256 owned = staking.sharesOf(operators[which & 1], person);
        if (owned == 0) return;
        vm.prank(person);
        try staking.undelegate(operators[which & 1], shares % 3 == 0 ? owned : bound(shares, 1, owned), 0) returns (
            uint256 id
        ) {
            entries.push(id);
        } catch {}
    }

    function withdraw(uint256 which, uint256 seed) external watched(which, false) {
        if (entries.length == 0) return;
        uint256 index = seed % entries.length;
        (, address owner,,,) = staking.unbondingEntry(entries[index]);
        vm.prank(owner);
        try staking.withdraw(entries[index]) {
            entries[index] = entries[entries.length - 1];
            entries.pop();
        } catch {}
    }

    function reward(uint256 which, uint256 amount) external watched(which, false) {
        amount = bound(amount, 1, 100_000e18);
        require(token.transfer(duty, amount));
        vm.prank(duty);
        staking.addReward(operators[which & 1], amount);
    }

    function slash(uint256 which, uint256 amount, uint256 reporter, bool capped) external watched(which, true) {
        address operator = operators[which & 1];
        uint256 earmarked = staking.poolOf(operator).earmarked;
        uint256 free = staking.eligibleStake(operator);
        vm.startPrank(duty);
        if (free > earmarked) {
            amount = bound(amount, 1, free - earmarked);
            try staking.earmark(operator, amount, uint48(block.timestamp - 1)) {
                uint256 taken = staking.slash(operator, amount, amount, people[reporter & 3], capped);
                if (taken > amount || staking.poolOf(operator).earmarked != earmarked + amount - taken) ++wrongEarmark;
                // Some earmarks stay, as those of running tasks do.
                if (reporter & 4 == 0) staking.releaseEarmark(operator, amount - taken);
                ++slashes;
            } catch {}
        } else {
            staking.releaseEarmark(operator, earmarked);
        }
        vm.stopPrank();
    }

    function unjail(uint256 which) external {
        vm.prank(operators[which & 1]);
        try staking.unjail() {} catch {}
    }

    function payOwed(uint256 who) external {
        try staking.payOwed(people[who & 3]) {} catch {}
    }

    function accrue(uint256 which, uint256 elapsed) external watched(which, false) {
        skip(bound(elapsed, 0, 3 days));
        staking.accrue(operators[which & 1]);
    }

    function entryCount() external view returns (uint256) {
        return entries.length;
    }
}

contract StakingInvariantsTest is StakingFixture {
    StakingHandler internal handler;
    address internal second = makeAddr("second operator");

    function setUp() public override {
        super.setUp();
        register(second, second);
        handler = new StakingHandler(staking, token, duty, [operator, second]);
        require(token.transfer(address(handler), 200_000_000e18));
        skip(1 hours);
        targetContract(address(handler));
    }

    function invariantTheBalanceIsWhatPoolsAndAccountsHold() public {
        // What has dripped out of an empty pool is owed to its reward address once the pool is brought up to date.
        staking.accrue(operator);
        staking.accrue(second);
        uint256 held = staking.owedTo(treasury) + staking.owedTo(rewardAddress);
        for (uint256 i; i < 4; ++i) {
            held += staking.owedTo(handler.people(i));
        }
        for (uint256 i; i < 2; ++i) {
            IStaking.PoolView memory pool = staking.poolOf(handler.operators(i));
            held += pool.activeTokens + pool.unbondingTokens + pool.undripped;
        }
        assertEq(token.balanceOf(address(staking)), held);
    }

    function invariantSharesAddUp() public view {
        for (uint256 i; i < 2; ++i) {
            address pool = handler.operators(i);
            uint256 active;
            for (uint256 k; k < 4; ++k) {
                active += staking.sharesOf(pool, handler.people(k));
            }
            uint256 unbonding;
            uint256 tokens;
            for (uint256 k; k < handler.entryCount(); ++k) {
                (address of_,, uint256 shares, uint256 worth,) = staking.unbondingEntry(handler.entries(k));
                if (of_ == pool) (unbonding, tokens) = (unbonding + shares, tokens + worth);
            }
            IStaking.PoolView memory state = staking.poolOf(pool);
            assertEq(active, state.activeShares);
            assertEq(unbonding, state.unbondingShares);
            // Below a price of 1 the entries together miss at most the virtual tokens.
            assertLe(tokens, state.unbondingTokens + handler.VIRTUAL());
        }
    }

    function invariantAPriceFallsByASlashOnly() public view {
        assertEq(handler.fallen(), 0);
    }

    function invariantASlashTakesItsEarmarkAtMost() public view {
        assertEq(handler.wrongEarmark(), 0);
    }
}
