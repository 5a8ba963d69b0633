// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Rewards} from "../../contracts/Rewards.sol";
import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyFixture} from "./utils/CoveyFixture.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Random tasks of the whole system, to every ending: what each party gets, and that every token is accounted for.
contract RewardsTest is CoveyFixture {
    using PlainScores for uint256[];

    uint256 internal constant TRAINERS = 5;
    uint256 internal constant VALIDATORS = 3;

    address[] internal trainers;
    address[] internal validators;
    uint256[] internal tasks;

    function setUp() public override {
        super.setUp();
        trainers = joinMany("trainer", TRAINERS);
        validators = joinMany("validator", VALIDATORS);
        vm.warp(block.timestamp + 1 hours);
    }

    // ------------------------------------------------------------------ helpers

    function feesOf(uint256 taskId, uint256 entries) internal view returns (uint256 sum) {
        for (uint32 n; n < entries; ++n) {
            sum += registry.entryFeeAt(taskId, n);
        }
    }

    /// @notice All rows of scores, drawn from a seed around a truth, with some useless entries.
    function rowsFrom(uint256 seed, uint256 noise) internal pure returns (uint256[][] memory rows) {
        rows = new uint256[][](VALIDATORS);
        for (uint256 j; j < VALIDATORS; ++j) {
            rows[j] = new uint256[](TRAINERS);
            for (uint256 i; i < TRAINERS; ++i) {
                uint256 truth = uint256(keccak256(abi.encode(seed, i))) % 8000;
                if (truth < 2000) truth = truth % 2; // invalid, or no better than the base
                rows[j][i] = truth < 2 ? truth : truth + uint256(keccak256(abi.encode(seed, i, j))) % (noise + 1);
            }
        }
    }

    /// @notice Post, run and settle a task whose validators give these rows.
    function paid(ITaskRegistry.TaskParams memory params, uint256[][] memory rows, uint256 seed)
        internal
        returns (uint256 taskId)
    {
        taskId = post(params);
        tasks.push(taskId);
        fill(taskId, trainers, validators);
        drawSeed(taskId, keccak256(abi.encode("beacon", seed)));
        score(taskId, validators, rows);
        settleAll(taskId, validators, rows);
        finalise(taskId);
    }

    function proofOf(uint256[][] memory rows, uint256 taskId)
        internal
        view
        returns (uint256 word, bytes32[6] memory proof)
    {
        // One word of medians: its siblings are zero leaves and the nodes over them.
        word = pageCall(taskId, 0, validators, rows).medians[0];
        bytes32 zero = 0;
        for (uint256 level; level < 6; ++level) {
            proof[level] = zero;
            zero = keccak256(abi.encodePacked(zero, zero));
        }
    }

    /// @notice Everything that Rewards must hold for tasks and accounts.
    function liabilities() internal view returns (uint256 sum) {
        for (uint256 k; k < tasks.length; ++k) {
            IRewards.Escrow memory escrow = rewards.escrowOf(tasks[k]);
            sum += escrow.closed ? escrow.remaining : uint256(escrow.bounty) + escrow.bond + escrow.fees;
        }
        sum += rewards.owedTo(creator) + rewards.owedTo(keeper) + rewards.owedTo(treasury);
        sum += rewards.owedTo(address(this));
        for (uint256 k; k < operators.length; ++k) {
            sum += rewards.owedTo(operators[k]);
        }
    }

    function assertConserved() internal view {
        assertEq(token.balanceOf(address(rewards)), liabilities(), "a token is unaccounted for");
    }

    /// @notice Claim the reward of an entry, and check that it is `amount` and is paid once.
    function claimAndCheck(uint256 taskId, uint32 i, uint256 word, bytes32[6] memory proof, uint256 amount) internal {
        address entrant = registry.entrantOf(taskId, i);
        if (amount == 0) {
            vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNothingToClaim.selector, taskId, entrant));
        } else {
            assertEq(rewards.claimEntry(taskId, i, word, proof), amount);
            assertTrue(rewards.entryClaimed(taskId, i));
            assertEq(staking.poolOf(entrant).undripped, amount - amount / 10);
            vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsAlreadyClaimed.selector, taskId, i));
        }
        rewards.claimEntry(taskId, i, word, proof);
    }

    // ------------------------------------------------------------------ endings

    /// forge-config: default.fuzz.runs = 24
    /// forge-config: ci.fuzz.runs = 250
    function testFuzz_PaidTaskPaysByTheRulesAndConservesTokens(
        uint256 seed,
        uint16 validatorBps,
        uint8 power,
        uint16 noise
    ) public {
        ITaskRegistry.TaskParams memory params = localParams();
        params.validatorBps = uint16(bound(validatorBps, 1, 9999));
        params.power = uint8(bound(power, 1, 3));
        uint256[][] memory rows = rowsFrom(seed, noise % 600);
        uint256 taskId = paid(params, rows, seed);
        assertConserved();

        IRewards.Escrow memory escrow = rewards.escrowOf(taskId);
        (uint256 word, bytes32[6] memory proof) = proofOf(rows, taskId);
        uint256 weights;
        for (uint256 i; i < TRAINERS; ++i) {
            uint256 median = (word >> (240 - 16 * i)) & 0x7fff;
            if (median > params.floorScore) weights += (median - params.floorScore) ** params.power;
        }
        uint256 trainersPool = params.bounty - uint256(params.bounty) * params.validatorBps / 10_000;
        uint256 validatorsPool = params.bounty - trainersPool + feesOf(taskId, TRAINERS);
        uint256 spent;
        for (uint32 i; i < TRAINERS; ++i) {
            uint256 median = (word >> (240 - 16 * i)) & 0x7fff;
            uint256 amount =
                median > params.floorScore ? trainersPool * (median - params.floorScore) ** params.power / weights : 0;
            assertEq(rewards.entryReward(taskId, uint16(median)), amount);
            claimAndCheck(taskId, i, word, proof, amount);
            spent += amount;
        }
        assertLe(spent, escrow.trainersPool);
        assertLt(escrow.trainersPool - spent, TRAINERS); // rounding alone stays
        spent = 0;
        for (uint256 j; j < VALIDATORS; ++j) {
            spent += claimScoring(taskId, validators[j], validatorsPool);
        }
        assertLe(spent, escrow.validatorsPool);
        if (escrow.scoringUnits != 0) assertLt(escrow.validatorsPool - spent, VALIDATORS);
        assertConserved();
        withdrawAll();
        assertEq(token.balanceOf(address(rewards)), rewards.escrowOf(taskId).remaining);
        assertEq(token.allowance(address(rewards), address(staking)), 0);
    }

    function claimScoring(uint256 taskId, address operator, uint256 pool) private returns (uint256 amount) {
        IRewards.Escrow memory escrow = rewards.escrowOf(taskId);
        uint256 seats = scoring.rowOf(taskId, operator).seats;
        if (escrow.flat) {
            amount = pool / 4 * seats / scoring.roundOf(taskId).revealedSeats;
        } else {
            amount = pool * seats * scoring.gainOf(taskId, operator) / scoring.totalsOf(taskId).gainSeats;
        }
        assertEq(rewards.scoringReward(taskId, operator), amount);
        if (amount == 0) {
            vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNothingToClaim.selector, taskId, operator));
            rewards.claimScoring(taskId, operator);
            return 0;
        }
        assertEq(rewards.claimScoring(taskId, operator), amount);
        assertTrue(rewards.scoringClaimed(taskId, operator));
        vm.expectRevert(
            abi.encodeWithSelector(IRewards.RewardsAlreadyClaimed.selector, taskId, uint256(uint160(operator)))
        );
        rewards.claimScoring(taskId, operator);
    }

    function withdrawAll() private {
        withdraw(creator);
        withdraw(keeper);
        withdraw(treasury);
        withdraw(address(this));
        for (uint256 k; k < operators.length; ++k) {
            withdraw(operators[k]);
        }
    }

    function withdraw(address account) private {
        uint256 owed = rewards.owedTo(account);
        if (owed == 0) {
            vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNothingOwed.selector, account));
            rewards.withdraw(account);
            return;
        }
        uint256 before = token.balanceOf(account);
        assertEq(rewards.withdraw(account), owed);
        assertEq(token.balanceOf(account), before + owed);
        assertEq(rewards.owedTo(account), 0);
    }

    /// @dev All validators agree that no entry is any good: nothing to weigh, no differences to predict.
    function test_WithoutWeightTrainersPoolIsReturnedAndValidatorsArePaidFlat() public {
        uint256[][] memory rows = new uint256[][](VALIDATORS);
        for (uint256 j; j < VALIDATORS; ++j) {
            rows[j] = new uint256[](TRAINERS);
            rows[j][0] = 600; // above the base, below the floor
        }
        uint256 taskId = paid(localParams(), rows, 1);
        IRewards.Escrow memory escrow = rewards.escrowOf(taskId);
        assertEq(escrow.weights, 0);
        assertTrue(escrow.flat);
        assertEq(escrow.scoringUnits, scoring.roundOf(taskId).revealedSeats);
        uint256 pool = 300e18 + feesOf(taskId, TRAINERS);
        assertEq(escrow.trainersPool, 0);
        assertEq(escrow.validatorsPool, pool / 4);
        assertEq(rewards.owedTo(treasury), pool - pool / 4);
        // Bounty of trainers and what tips left of the bond.
        assertEq(rewards.owedTo(creator) + rewards.owedTo(keeper) + rewards.owedTo(address(this)), 700e18 + 100e18);
        uint256 spent;
        for (uint256 j; j < VALIDATORS; ++j) {
            spent += claimScoring(taskId, validators[j], pool);
        }
        assertApproxEqAbs(spent, pool / 4, VALIDATORS);
        assertConserved();
    }

    /// forge-config: default.fuzz.runs = 32
    /// forge-config: ci.fuzz.runs = 250
    function testFuzz_RefundedTaskReturnsEverything(uint256 entries) public {
        entries = bound(entries, 0, TRAINERS);
        uint256 taskId = post(localParams());
        tasks.push(taskId);
        for (uint256 i; i < entries; ++i) {
            commitEntry(taskId, trainers[i]);
        }
        vm.warp(registry.scheduleOf(taskId).enrolEnd); // nobody enrolled
        vm.prank(keeper);
        registry.closeTask(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Refunded));
        assertEq(rewards.owedTo(creator) + rewards.owedTo(keeper), 1100e18);
        assertEq(rewards.owedTo(treasury), 0);
        refundFees(taskId, entries);
    }

    /// forge-config: default.fuzz.runs = 32
    /// forge-config: ci.fuzz.runs = 250
    function testFuzz_FailedTaskIsSplitWithTheTreasury(uint256 entries) public {
        entries = bound(entries, 1, TRAINERS);
        ITaskRegistry.TaskParams memory params = sealedParams();
        params.bounty = 1000e18 - 999; // odd: the treasury gets the bigger half
        uint256 taskId = post(params);
        tasks.push(taskId);
        address[] memory some = new address[](entries);
        for (uint256 i; i < entries; ++i) {
            some[i] = trainers[i];
        }
        fill(taskId, some, validators);
        vm.warp(registry.scheduleOf(taskId).openEnd); // the creator never opened its set
        vm.prank(keeper);
        registry.closeTask(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Failed));
        assertEq(rewards.owedTo(creator), 500e18 - 500);
        uint256 tips = rewards.owedTo(keeper) + rewards.owedTo(address(this));
        assertGt(tips, 0);
        assertEq(rewards.owedTo(treasury), 500e18 - 499 + 100e18 - tips);
        refundFees(taskId, entries);
    }

    function refundFees(uint256 taskId, uint256 entries) private {
        assertConserved();
        for (uint32 i; i < entries; ++i) {
            uint256 fee = registry.entryFeeAt(taskId, i);
            assertFalse(rewards.feeClaimed(taskId, trainers[i]));
            assertEq(rewards.claimFee(taskId, trainers[i]), fee);
            assertTrue(rewards.feeClaimed(taskId, trainers[i]));
            assertEq(rewards.owedTo(trainers[i]), fee); // its own reward address
            vm.expectRevert(
                abi.encodeWithSelector(IRewards.RewardsAlreadyClaimed.selector, taskId, uint256(uint160(trainers[i])))
            );
            rewards.claimFee(taskId, trainers[i]);
        }
        vm.expectRevert(
            abi.encodeWithSelector(IRewards.RewardsNothingToClaim.selector, taskId, validators[0]) // never entered
        );
        rewards.claimFee(taskId, validators[0]);
        assertEq(rewards.escrowOf(taskId).remaining, 0);
        assertConserved();
        withdrawAll();
        assertEq(token.balanceOf(address(rewards)), 0);
    }

    // ------------------------------------------------------------------ gas

    /// @dev Execution only, with cold storage: a transaction adds 21,000 and its calldata.
    function cold() private {
        vm.cool(address(rewards));
        vm.cool(address(registry));
        vm.cool(address(scoring));
        vm.cool(address(staking));
        vm.cool(address(token));
        skip(1 hours);
    }

    function test_GasOfClaims() public {
        uint256[][] memory rows = rowsFrom(7, 100);
        uint256 taskId = paid(localParams(), rows, 7);
        (uint256 word, bytes32[6] memory proof) = proofOf(rows, taskId);
        uint32 lane;
        while (rewards.entryReward(taskId, uint16(word >> (240 - 16 * lane)) & 0x7fff) == 0) ++lane;
        cold();
        rewards.claimEntry(taskId, lane, word, proof);
        uint256 entry = vm.snapshotGasLastCall("Rewards", "claimEntry, first reward of a pool");
        cold();
        rewards.claimScoring(taskId, validators[0]);
        uint256 scored = vm.snapshotGasLastCall("Rewards", "claimScoring, first reward of a pool");
        cold();
        rewards.withdraw(creator);
        vm.snapshotGasLastCall("Rewards", "withdraw");
        assertLt(entry, 200_000);
        assertLt(scored, 200_000);
    }

    // ------------------------------------------------------------------ tips

    /// forge-config: default.fuzz.runs = 32
    /// forge-config: ci.fuzz.runs = 250
    function testFuzz_TipsNeverExceedTheBond(uint256 bond, uint256 steps) public {
        bond = bound(bond, 0, 10 * TIP);
        steps = bound(steps, 1, 12);
        require(token.transfer(creator, bond));
        vm.startPrank(address(registry));
        rewards.fund(77, creator, 0, bond);
        for (uint256 i; i < steps; ++i) {
            rewards.tip(77, keeper);
        }
        vm.stopPrank();
        uint256 tips = steps * TIP < bond ? steps * TIP : bond;
        assertEq(rewards.owedTo(keeper), tips);
        assertEq(rewards.escrowOf(77).bond, bond - tips);
    }

    // ------------------------------------------------------------------ refusals

    function test_RevertWhen_TaskIsNotPaid() public {
        uint256 taskId = post(localParams());
        bytes32[6] memory proof;
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNotPaid.selector, taskId));
        rewards.claimEntry(taskId, 0, 0, proof);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNotPaid.selector, taskId));
        rewards.claimScoring(taskId, validators[0]);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNotRefunded.selector, taskId));
        rewards.claimFee(taskId, trainers[0]);
    }

    function test_RevertIf_WordLaneOrProofIsWrong() public {
        uint256[][] memory rows = rowsFrom(3, 100);
        uint256 taskId = paid(localParams(), rows, 3);
        (uint256 word, bytes32[6] memory proof) = proofOf(rows, taskId);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsBadProof.selector, taskId, 0));
        rewards.claimEntry(taskId, 0, word ^ (1 << 250), proof);
        proof[3] = keccak256("another");
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsBadProof.selector, taskId, 0));
        rewards.claimEntry(taskId, 0, word, proof);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsUnknownLane.selector, taskId, TRAINERS));
        rewards.claimEntry(taskId, uint32(TRAINERS), word, proof);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNotRefunded.selector, taskId));
        rewards.claimFee(taskId, trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNothingToClaim.selector, taskId, trainers[0]));
        rewards.claimScoring(taskId, trainers[0]); // no validator
    }

    function test_RevertIf_CallerIsNotASystemContract() public {
        bytes memory notRegistry = abi.encodeWithSelector(IRewards.RewardsNotRegistry.selector, address(this));
        vm.expectRevert(notRegistry);
        rewards.fund(1, creator, 1, 1);
        vm.expectRevert(notRegistry);
        rewards.payFee(1, creator, creator, 1);
        vm.expectRevert(notRegistry);
        rewards.close(1, ITaskRegistry.Outcome.Refunded);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNotDuty.selector, address(this)));
        rewards.tip(1, creator);
        vm.prank(address(scoring));
        rewards.tip(1, creator); // nothing there, nothing paid, no error
        assertEq(rewards.owedTo(creator), 0);
    }

    function test_RevertIf_TaskIsClosedTwice() public {
        uint256 taskId = post(localParams());
        vm.startPrank(address(registry));
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsBadOutcome.selector, taskId));
        rewards.close(taskId, ITaskRegistry.Outcome.Running);
        rewards.close(taskId, ITaskRegistry.Outcome.Refunded);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsAlreadyClosed.selector, taskId));
        rewards.close(taskId, ITaskRegistry.Outcome.Failed);
        vm.stopPrank();
    }

    function test_RevertIf_ZeroAddress() public {
        for (uint256 i; i < 7; ++i) {
            address[7] memory a = [address(1), address(2), address(3), address(4), address(5), address(6), address(7)];
            a[i] = address(0);
            vm.expectRevert(IRewards.RewardsZeroAddress.selector);
            this.create(a);
        }
    }

    /// @dev External, so that vm.expectRevert sees the revert of the constructor.
    function create(address[7] calldata a) external {
        new Rewards(a[0], a[1], a[2], a[3], a[4], a[5], a[6], 1);
    }
}
