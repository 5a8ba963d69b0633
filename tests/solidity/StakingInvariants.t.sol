// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {StakingFixture} from "./utils/StakingFixture.sol";
import {StakingHandler} from "./utils/StakingHandler.sol";

contract StakingInvariantsTest is StakingFixture {
    StakingHandler internal handler;
    address internal second = makeAddr("second operator");

    function setUp() public override {
        super.setUp();
        register(second, second);
        stake(second, second, SELF_BOND);
        handler = new StakingHandler(staking, token, duty, [operator, second]);
        require(token.transfer(address(handler), 200_000_000e18));
        skip(1 days);
        targetContract(address(handler));
    }

    /// @dev To the wei: no token is lost, none is owed twice.
    function invariant_BalanceEqualsWhatEverybodyIsOwed() public {
        uint256 held = staking.owedTo(treasury) + staking.owedTo(rewardAddress);
        for (uint256 i; i < 5; ++i) {
            held += staking.owedTo(handler.people(i));
        }
        for (uint256 i; i < 3; ++i) {
            // A drip that no stake backs is credited at the next update.
            address pool = handler.operators(i);
            uint256 before = staking.owedTo(staking.rewardAddressOf(pool));
            try staking.accrue(pool) {} catch {}
            held += staking.owedTo(staking.rewardAddressOf(pool)) - before;
            IStaking.PoolView memory state = staking.poolOf(pool);
            held += state.activeTokens + state.unbondingTokens + state.undripped;
        }
        assertEq(token.balanceOf(address(staking)), held);
    }

    function invariant_SharesAndEntriesAddUp() public view {
        for (uint256 i; i < 3; ++i) {
            address pool = handler.operators(i);
            IStaking.PoolView memory state = staking.poolOf(pool);
            uint256 shares;
            uint256 own = staking.tokensFor(pool, staking.sharesOf(pool, pool));
            for (uint256 k; k < 5; ++k) {
                shares += staking.sharesOf(pool, handler.people(k));
            }
            uint256 unbonding;
            uint256 moved;
            for (uint256 k; k < handler.leftCount(); ++k) {
                (address of_, address owner, uint256 index) = handler.leftAt(k);
                IStaking.EntryView memory entry = staking.entryOf(of_, owner, index);
                assertLe(entry.worth, entry.tokens);
                assertLe(entry.gen, staking.poolOf(of_).gen);
                if (entry.movedTo == pool) shares += entry.shares;
                if (of_ != pool) continue;
                if (entry.movedTo == address(0)) unbonding += entry.tokens;
                else moved += (entry.tokens + (1 << 40) - 1) >> 40;
            }
            assertEq(shares, state.activeShares);
            assertEq(unbonding, state.unbondingTokens);
            assertEq(moved << 40, state.movedTokens);
            assertEq(own, state.selfBond);
            assertEq(state.earmarked, handler.heldOf(pool));
            assertLe(staking.movedIn(pool), state.activeTokens);
        }
    }

    function invariant_SharePriceFallsOnlyBySlashes() public view {
        assertEq(handler.fallen(), 0);
    }

    function invariant_NoCallSawAViolation() public view {
        assertEq(handler.wrong(), 0);
    }
}
