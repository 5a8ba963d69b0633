// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEmissions} from "../../contracts/interfaces/IEmissions.sol";
import {EmissionsFixture} from "./utils/EmissionsFixture.sol";
import {EmissionsHandler} from "./utils/EmissionsHandler.sol";

contract EmissionsInvariantsTest is EmissionsFixture {
    EmissionsHandler internal handler;

    function setUp() public override {
        super.setUp();
        manager.grantRole(0, address(0xC0FFEE), 0);
        handler = new EmissionsHandler(emissions, staking, token, tasks, duty, [small, large]);
        require(token.transfer(address(handler), 10_000_000e18));
        handler.configure(PER_DAY, DECAY);
        handler.vote(0, 0, 500e18);
        handler.vote(1, 1, 2000e18);
        targetContract(address(handler));
    }

    function invariant_MintedAndPendingEqualTheAllotmentWithinTheCap() public view {
        IEmissions.StreamView memory stream = emissions.streamOf();
        uint256 pending;
        for (uint256 i = 0; i < handler.TASKS(); ++i) {
            pending += emissions.shareOf(handler.ids(i)).pending;
        }
        assertEq(stream.minted, handler.pushed());
        assertLe(stream.minted + pending, stream.allotted);
        assertLe(stream.allotted, emissions.cap());
        assertEq(token.totalSupply(), SUPPLY + stream.minted);
        assertEq(token.balanceOf(address(tasks)), stream.minted);
        assertEq(token.balanceOf(address(emissions)), 0);
    }

    function invariant_MintedNeverExceedsTheStream() public {
        handler.pass(1);
        handler.pass(1); // accrues the second that passed
        assertLe(emissions.streamOf().minted, handler.letOut());
    }

    function invariant_WeightsEqualTheCountedVotes() public view {
        uint256 total;
        uint256[2] memory cast;
        for (uint256 i = 0; i < handler.TASKS(); ++i) {
            uint256 id = handler.ids(i);
            uint256 weight;
            for (uint256 k = 0; k < 2; ++k) {
                uint256 voted = emissions.voteOf(handler.operators(k), id);
                weight += voted;
                cast[k] += voted;
            }
            assertEq(weightOf(id), weight);
            total += weight;
        }
        assertEq(emissions.streamOf().totalWeight, total);
        for (uint256 k = 0; k < 2; ++k) {
            assertLe(cast[k], emissions.votedOf(handler.operators(k)));
        }
    }

    function invariant_HandlerRecordedNoViolation() public view {
        assertEq(handler.wrong(), 0);
    }
}
