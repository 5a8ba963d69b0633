// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CallbackToken} from "./utils/CallbackToken.sol";
import {CoveyScenario} from "./utils/CoveyScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";
import {ReentrantCaller} from "./utils/ReentrantCaller.sol";

/// @notice If the token had callbacks, reentrant calls would gain nothing.
contract ReentrancyTest is CoveyScenario {
    using PlainScores for uint256[];

    ReentrantCaller private caller;
    uint256 private entryId;

    function setUp() public override {
        super.setUp();
        joinAll(20, 6);
        joinJury(6);
        caller = new ReentrantCaller();
        vm.etch(address(token), address(new CallbackToken()).code);
        require(token.transfer(address(caller), 5000e18));
        vm.startPrank(address(caller));
        token.approve(address(staking), type(uint256).max);
        token.approve(address(rewards), type(uint256).max);
        token.approve(address(appeals), type(uint256).max);
        vm.stopPrank();
    }

    function attempt(address target, bytes memory data) private {
        (bool ok,) = target.call(data);
        ok; // the caller may have been first
    }

    // ------------------------------------------------------------------ delegators

    function solvent() private view {
        uint256 held = staking.owedTo(treasury);
        for (uint256 i = 0; i < operators.length; ++i) {
            IStaking.PoolView memory pool = staking.poolOf(operators[i]);
            held += pool.activeTokens + pool.unbondingTokens + pool.undripped + staking.owedTo(operators[i]);
        }
        assertEq(token.balanceOf(address(staking)), held);
    }

    function test_ReenteringADelegationGainsNothing() external {
        address operator = validators[0];
        caller.add(address(staking), abi.encodeCall(staking.undelegate, (operator, 400e18, 0)));
        caller.add(address(staking), abi.encodeCall(staking.delegate, (operator, 100e18, 0)));
        caller.add(address(staking), abi.encodeCall(staking.withdraw, (operator, address(caller), 0)));
        caller.add(address(staking), abi.encodeCall(staking.accrue, (operator)));
        caller.add(address(staking), abi.encodeCall(staking.payOwed, (operator)));
        CallbackToken(address(token)).arm(address(caller));
        uint256 worth = staking.tokensFor(operator, staking.sharesOf(operator, operator));
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(address(caller));
            staking.delegate(operator, 1000e18, 0);
            solvent();
        }
        assertEq(caller.successes(), 9, "undelegate, delegate and accrue, each time");
        vm.warp(block.timestamp + staking.unbondingPeriod());
        vm.prank(address(caller));
        staking.withdraw(operator, address(caller), 1); // its hook takes the first entry too
        solvent();
        assertEq(staking.tokensFor(operator, staking.sharesOf(operator, operator)), worth);
        CallbackToken(address(token)).arm(address(0));
        uint256 shares = staking.sharesOf(operator, address(caller));
        vm.startPrank(address(caller));
        uint256 last = staking.undelegate(operator, shares, 0);
        vm.stopPrank();
        vm.warp(block.timestamp + staking.unbondingPeriod());
        for (uint256 index = 0; index <= last; ++index) {
            attempt(address(staking), abi.encodeCall(staking.withdraw, (operator, address(caller), index)));
            assertEq(staking.entryOf(operator, address(caller), index).tokens, 0);
        }
        assertEq(token.balanceOf(address(caller)), 5000e18);
        solvent();
    }

    // ------------------------------------------------------------------ a whole task

    /// @dev A sealed task, two of its words contested and moved, everything claimed: once with a token that calls nobody and once with one
    /// from whose every transfer all claims, resolutions, releases and endings are called again. Everybody has the same in the end.
    function test_ReenteringATaskChangesNoPayment() external {
        vm.pauseGasMetering();
        uint256 snapshot = vm.snapshotState();
        uint256[] memory plain = play(false);
        assertEq(caller.successes(), 0);
        vm.revertToState(snapshot);
        uint256[] memory hostile = play(true);
        assertGt(caller.attempts(), 2000);
        assertGt(caller.successes(), 40);
        assertEq(plain.length, hostile.length);
        for (uint256 i = 0; i < plain.length; ++i) {
            assertApproxEqAbs(plain[i], hostile[i], 1e12); // what virtual shares get differs by the order
        }
    }

    function play(bool armed) private returns (uint256[] memory balances) {
        vm.prank(address(caller));
        staking.delegate(validators[0], 1000e18, 0);
        vm.prank(address(caller));
        entryId = staking.undelegate(validators[0], 500e18, 0);
        if (armed) CallbackToken(address(token)).arm(address(caller));
        ITaskRegistry.TaskParams memory params = sealedParams();
        params.bond = 1000e18; // enough for every tip and premium, in whatever order
        uint256 taskId = seeded(params);
        uint256[] memory truth = ladder(20);
        uint256[][] memory rows = around(truth, 6);
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        uint256[] memory middle = middleOf(taskId, validators, rows);
        uint256[] memory found = around(truth, 6)[2];
        (found[0], found[16]) = (20_000, 9000);
        if (armed) prepare(taskId, middle.pack(), found.pack());
        contest(taskId, 0, middle);
        contest(taskId, 1, middle);
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        seed(committee, taskId, keccak256("appeal seed"));
        uint256[] memory lanes = new uint256[](32);
        for (uint256 i = 0; i < 20; ++i) {
            lanes[i] = found[i];
        }
        for (uint256 j = 0; j < 6; ++j) {
            rows[j] = lanes;
        }
        address[] memory who = seatedOf(committee, taskId, jurors);
        for (uint256 j = 0; j + 1 < who.length; ++j) {
            commit(committee, taskId, who[j], lanes);
        }
        vm.warp(committee.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 0; j + 1 < who.length; ++j) {
            reveal(committee, taskId, who[j], lanes);
        }
        committee.reportAbsent(taskId, 0, who[who.length - 1]);
        assembly ("memory-safe") {
            mstore(who, sub(mload(who), 1))
            mstore(rows, mload(who))
        }
        settleContests(taskId, who, rows);
        uint256[] memory words = middle.pack();
        attempt(address(appeals), abi.encodeCall(appeals.resolve, (taskId, 0, words.proof(0))));
        for (uint256 i = 0; i < 20; ++i) {
            // Only scores that moved are replaced.
            uint256 distance = found[i] > middle[i] ? found[i] - middle[i] : middle[i] - found[i];
            if (distance <= 1200) found[i] = middle[i];
        }
        words[0] = found.pack()[0];
        attempt(address(appeals), abi.encodeCall(appeals.resolve, (taskId, 1, words.proof(1))));
        assertEq(appeals.appealOf(taskId).resolved, 2);
        assertFalse(appeals.isOpen(taskId));
        vm.warp(appeals.appealOf(taskId).reportEnd);
        attempt(address(scoring), abi.encodeCall(scoring.finalise, (taskId)));
        assertEq(outcomeOf(taskId), 1);
        claim(taskId, found);
        // A claim from within another takes the other's allowance, and undoes it as a whole: what is left is claimed in quiet.
        CallbackToken(address(token)).arm(address(0));
        claim(taskId, found);
        if (armed) CallbackToken(address(token)).arm(address(caller));
        vm.warp(block.timestamp + staking.dripPeriod());
        leaveAll();
        attempt(address(staking), abi.encodeCall(staking.withdraw, (validators[0], address(caller), entryId)));
        uint256 shares = staking.sharesOf(validators[0], address(caller));
        vm.prank(address(caller));
        entryId = staking.undelegate(validators[0], shares, 0);
        vm.warp(block.timestamp + staking.unbondingPeriod());
        staking.withdraw(validators[0], address(caller), entryId);
        payAll(address(caller));
        for (uint256 i = 0; i < operators.length; ++i) {
            payAll(operators[i]);
        }
        assertLe(token.balanceOf(address(rewards)), 40);
        assertLe(token.balanceOf(address(appeals)), 10);
        return everybody();
    }

    function claim(uint256 taskId, uint256[] memory found) private {
        uint256[] memory words = found.pack();
        for (uint256 lane = 0; lane < 20; ++lane) {
            attempt(
                address(rewards),
                abi.encodeCall(rewards.claimEntry, (taskId, uint32(lane), words[lane / 16], words.proof(lane / 16)))
            );
        }
        for (uint256 j = 0; j < 6; ++j) {
            attempt(address(rewards), abi.encodeCall(rewards.claimScoring, (taskId, validators[j])));
            attempt(address(appeals), abi.encodeCall(appeals.claimAppeal, (taskId, validators[j])));
            attempt(address(appeals), abi.encodeCall(appeals.claimAppeal, (taskId, jurors[j])));
            attempt(address(registry), abi.encodeCall(registry.releaseEarmark, (taskId, validators[j])));
            attempt(address(committee), abi.encodeCall(committee.release, (taskId, jurors[j])));
            assertEq(staking.poolOf(validators[j]).earmarked + staking.poolOf(jurors[j]).earmarked, 0);
        }
    }

    /// @dev Those who call for tips and bounties count as one.
    function everybody() private view returns (uint256[] memory balances) {
        uint256 n = operators.length;
        balances = new uint256[](2 * n + 4);
        for (uint256 i = 0; i < n; ++i) {
            balances[2 * i] = token.balanceOf(operators[i]);
            balances[2 * i + 1] = token.balanceOf(signerOf(operators[i]));
        }
        balances[2 * n] = token.balanceOf(creator);
        balances[2 * n + 1] = token.balanceOf(treasury);
        balances[2 * n + 2] = token.balanceOf(appellant);
        balances[2 * n + 3] = token.balanceOf(address(caller)) + token.balanceOf(address(this))
            + token.balanceOf(keeper) + token.balanceOf(reporter);
    }

    /// @dev All that anyone may call about the task, in whatever order the transfers come.
    function prepare(uint256 taskId, uint256[] memory before, uint256[] memory later) private {
        caller.add(address(appeals), abi.encodeCall(appeals.contest, (taskId, 0, before[0], before.proof(0))));
        // Not `resolve`: within another it would be counted once, for Appeals relies on a token that calls nobody back.
        caller.add(address(appeals), abi.encodeCall(appeals.failAppeal, (taskId)));
        caller.add(address(scoring), abi.encodeCall(scoring.finalise, (taskId)));
        caller.add(address(registry), abi.encodeCall(registry.closeTask, (taskId)));
        caller.add(address(registry), abi.encodeCall(registry.expire, (taskId)));
        for (uint256 lane = 0; lane < 20; ++lane) {
            caller.add(
                address(rewards),
                abi.encodeCall(rewards.claimEntry, (taskId, uint32(lane), later[lane / 16], later.proof(lane / 16)))
            );
        }
        for (uint256 j = 0; j < 6; ++j) {
            address operator = validators[j];
            caller.add(address(rewards), abi.encodeCall(rewards.claimScoring, (taskId, operator)));
            caller.add(address(rewards), abi.encodeCall(rewards.claimFee, (taskId, trainers[j])));
            caller.add(address(appeals), abi.encodeCall(appeals.claimAppeal, (taskId, operator)));
            caller.add(address(registry), abi.encodeCall(registry.releaseEarmark, (taskId, operator)));
            caller.add(address(appeals), abi.encodeCall(appeals.claimAppeal, (taskId, jurors[j])));
            caller.add(address(committee), abi.encodeCall(committee.release, (taskId, jurors[j])));
            caller.add(address(faults), abi.encodeCall(faults.reportMissed, (taskId, 0, operator)));
            caller.add(address(faults), abi.encodeCall(faults.reportSilentJuror, (taskId, jurors[j])));
            caller.add(address(scoring), abi.encodeCall(scoring.reportAbsent, (taskId, 0, operator)));
            caller.add(address(staking), abi.encodeCall(staking.accrue, (operator)));
        }
        address[4] memory owed = [creator, treasury, appellant, address(caller)];
        for (uint256 i = 0; i < 4; ++i) {
            caller.add(address(rewards), abi.encodeCall(rewards.withdraw, (owed[i])));
            caller.add(address(appeals), abi.encodeCall(appeals.withdraw, (owed[i])));
            caller.add(address(staking), abi.encodeCall(staking.payOwed, (owed[i])));
        }
        caller.add(address(staking), abi.encodeCall(staking.withdraw, (validators[0], address(caller), entryId)));
        // What only other contracts may call.
        caller.add(address(rewards), abi.encodeCall(rewards.chargeAppeal, (taskId, 1e18, 1e18)));
        caller.add(address(rewards), abi.encodeCall(rewards.tip, (taskId, address(caller))));
        caller.add(address(staking), abi.encodeCall(rewards.topUp, (taskId, 1e18)));
        caller.add(address(appeals), abi.encodeCall(appeals.settled, (taskId, 1)));
    }
}
