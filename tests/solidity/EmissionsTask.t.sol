// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CoveyToken} from "../../contracts/CoveyToken.sol";
import {Emissions} from "../../contracts/Emissions.sol";
import {IEmissions} from "../../contracts/interfaces/IEmissions.sol";
import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyFixture} from "./utils/CoveyFixture.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Emissions with the real registry, scoring and escrow: pushed tokens are paid with the bounty, or go to the treasury.
contract EmissionsTaskTest is CoveyFixture {
    using PlainScores for uint256[];

    Emissions internal emissions;
    address[] private trainers;
    address[] private validators;

    function setUp() public override {
        super.setUp();
        emissions = new Emissions(
            address(manager), address(token), address(staking), address(registry), address(scoring), address(rewards)
        );
        bytes4[] memory mint = new bytes4[](1);
        mint[0] = CoveyToken.mint.selector;
        manager.setTargetFunctionRole(address(token), mint, 2);
        manager.grantRole(2, address(emissions), 0);
        trainers = joinMany("trainer", 3);
        validators = joinMany("validator", 4);
        token.burn(100_000_000e18); // room to mint
        emissions.configure(
            IEmissions.EmissionsConfig({
                perDay: 10_000e18, decay: 0.999e18, cap: 1_000_000e18, taskCap: 100_000e18, quorum: 0
            })
        );
    }

    /// @dev A task whose minimum stake lets it receive `room` in addition to its bounty.
    function postWith(uint256 room) private returns (uint256 task) {
        ITaskRegistry.TaskParams memory params = localParams();
        params.minStake = uint128(5 * (params.bounty + room)); // the stake multiple
        return post(params);
    }

    function vote(address operator, uint256 task) private {
        vm.prank(signerOf(operator));
        emissions.vote(operator, task, STAKE);
    }

    function claim(address account) private returns (uint256) {
        return rewards.owedTo(account) == 0 ? 0 : rewards.withdraw(account);
    }

    function test_PushedTokensArePaidWithTheBounty() external {
        uint256 task = post(localParams());
        assertEq(emissions.roomOf(task), 0); // the minimum stake allows only the bounty
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskFull.selector, task));
        vote(validators[0], task);
        fill(task, trainers, validators); // more stake raises the limit
        assertEq(emissions.roomOf(task), registry.bountyLimitOf(task) - 1000e18);
        vote(validators[0], task);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        uint256 pushed = emissions.push(task);
        uint256 daily = uint256(10_000e18) * 999 ** 3 / 1000 ** 3; // of the fourth day
        assertApproxEqAbs(pushed, daily / 24, 2);
        assertEq(rewards.escrowOf(task).extra, pushed);

        drawSeed(task, keccak256("randomness"));
        uint256[][] memory rows = new uint256[][](4);
        uint256 seated;
        for (uint256 j = 0; j < 4; ++j) {
            if (scoring.seatsOf(task, validators[j]) == 0) continue;
            rows[seated] = new uint256[](3);
            for (uint256 i = 0; i < 3; ++i) {
                rows[seated][i] = 3000 * (i + 1);
            }
            validators[seated++] = validators[j];
        }
        address[] memory who = new address[](seated);
        uint256[][] memory given = new uint256[][](seated);
        for (uint256 j = 0; j < seated; ++j) {
            (who[j], given[j]) = (validators[j], rows[j]);
        }
        score(task, who, given);
        PageCall memory page = pageCall(task, 0, who, given);
        settle(task, 0, page);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskNotOpen.selector, task));
        emissions.push(task);
        emissions.drop(task);
        finalise(task);

        uint256 paid;
        for (uint256 lane = 0; lane < 3; ++lane) {
            paid += rewards.claimEntry(task, uint32(lane), page.medians[0], page.medians.proof(0));
        }
        for (uint256 j = 0; j < seated; ++j) {
            paid += rewards.claimScoring(task, who[j]);
        }
        paid += claim(creator) + claim(treasury) + claim(keeper);
        uint256 fees = registry.entryFeeAt(task, 0) + registry.entryFeeAt(task, 1) + registry.entryFeeAt(task, 2);
        assertApproxEqAbs(paid, 1000e18 + 100e18 + fees + pushed, 10);
        assertGt(rewards.escrowOf(task).trainersPool, 700e18); // 70% of the bounty alone
    }

    /// @dev Tasks that are cancelled, starved or left to expire return at most the creator's deposit.
    function test_CreatorCannotCollectPushedTokens() external {
        uint256[3] memory ids = [postWith(5000e18), postWith(5000e18), postWith(5000e18)];
        for (uint256 i = 0; i < 3; ++i) {
            vote(validators[i], ids[i]);
        }
        commitEntry(ids[1], trainers[0]);
        commitEntry(ids[2], trainers[0]);
        vm.warp(registry.scheduleOf(ids[0]).entryCommitEnd - 1);
        uint256[3] memory pushed;
        uint256 sum;
        for (uint256 i = 0; i < 3; ++i) {
            sum += pushed[i] = emissions.push(ids[i]);
        }
        assertGt(sum, 9000e18);
        vm.prank(creator);
        registry.cancelTask(ids[0]);
        assertEq(rewards.owedTo(treasury), pushed[0]);
        assertEq(rewards.owedTo(creator), 1100e18);
        vm.warp(registry.scheduleOf(ids[1]).enrolEnd);
        registry.closeTask(ids[1]);
        assertEq(rewards.owedTo(treasury), pushed[0] + pushed[1]);
        assertEq(rewards.owedTo(creator), 2200e18 - TIP);
        vm.warp(registry.scheduleOf(ids[2]).expiresAt);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskNotOpen.selector, ids[2]));
        emissions.push(ids[2]);
        registry.expire(ids[2]);
        assertEq(rewards.owedTo(treasury), sum);
        assertLe(rewards.owedTo(creator), 3300e18);
        for (uint256 i = 0; i < 3; ++i) {
            emissions.drop(ids[i]);
            emissions.poke(validators[i], ids[i]);
        }
        assertEq(emissions.streamOf().totalWeight, 0);
    }

    function test_PushStopsAtTheTaskLimit() external {
        uint256 task = postWith(300e18);
        vote(validators[0], task);
        vm.warp(vm.getBlockTimestamp() + 20 hours);
        assertEq(emissions.roomOf(task), 300e18);
        assertEq(emissions.push(task), 300e18);
        IRewards.Escrow memory escrow = rewards.escrowOf(task);
        assertEq(uint256(escrow.bounty) + escrow.extra, registry.bountyLimitOf(task));
        assertEq(emissions.shareOf(task).weight, 0);
        token.approve(address(rewards), 1);
        vm.expectRevert();
        rewards.topUp(task, 1);
    }
}
