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
        handler = new StakingHandler(staking, token, duty, [operator, second]);
        require(token.transfer(address(handler), 200_000_000e18));
        skip(1 hours);
        targetContract(address(handler));
    }

    function invariant_BalanceCoversPoolsAndAccounts() public {
        // A drip of an empty pool is credited to its reward address at the next update.
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

    function invariant_SharesAddUp() public view {
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
            // Below a price of 1 the entries in total lack at most the virtual tokens.
            assertLe(tokens, state.unbondingTokens + handler.VIRTUAL());
        }
    }

    function invariant_SharePriceFallsOnlyBySlashes() public view {
        assertEq(handler.fallen(), 0);
    }

    function invariant_SlashTakesAtMostItsEarmark() public view {
        assertEq(handler.wrongEarmark(), 0);
    }
}
