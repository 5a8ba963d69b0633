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
                if (truth < 2000) truth = i == 0 ? 1 : truth % 2; // no better than the base, or invalid: but never all
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
        params.validatorBps = uint16(bound(validatorBps, 500, 9999));
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
    function test_WithoutWeightHalfOfTheTrainersPoolIsReturnedAndValidatorsArePaidFlat() public {
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
        assertEq(rewards.owedTo(treasury), 350e18 + pool - pool / 4);
        // Half of the trainers' bounty and what tips left of the bond.
        assertEq(rewards.owedTo(creator) + rewards.owedTo(keeper) + rewards.owedTo(address(this)), 350e18 + 100e18);
        uint256 spent;
        for (uint256 j; j < VALIDATORS; ++j) {
            spent += claimScoring(taskId, validators[j], pool);
        }
        assertApproxEqAbs(spent, pool / 4, VALIDATORS);
        assertConserved();
    }

    /// @dev Top-ups are for who earns a weight or a gain: without a weight, and without a gain, the treasury has them all.
    /// forge-config: default.fuzz.runs = 16
    /// forge-config: ci.fuzz.runs = 250
    function testFuzz_TopUpsOfATaskWithoutWeightOrGainAreForfeited(uint256 extra, uint16 bps, uint16 score, bool even)
        public
    {
        extra = bound(extra, 1, 4000e18);
        ITaskRegistry.TaskParams memory params = localParams();
        params.validatorBps = uint16(bound(bps, 500, 9999));
        // Below the floor; or one score for all, which has a weight and nothing to predict.
        uint256[][] memory rows = new uint256[][](VALIDATORS);
        for (uint256 j; j < VALIDATORS; ++j) {
            rows[j] = new uint256[](TRAINERS);
            for (uint256 i; i < TRAINERS; ++i) {
                rows[j][i] = even ? 4000 : 1 + score % params.floorScore;
            }
        }
        uint256 taskId = post(params);
        tasks.push(taskId);
        fill(taskId, trainers, validators);
        token.approve(address(rewards), extra);
        rewards.topUp(taskId, extra);
        assertEq(rewards.bountyOf(taskId), params.bounty + extra);
        drawSeed(taskId, keccak256("beacon"));
        this.scoreOutside(taskId, rows);
        finalise(taskId);
        assertForfeited(taskId, params, extra, even);
    }

    function assertForfeited(uint256 taskId, ITaskRegistry.TaskParams memory params, uint256 extra, bool even)
        private
        view
    {
        IRewards.Escrow memory escrow = rewards.escrowOf(taskId);
        uint256 fees = feesOf(taskId, TRAINERS);
        uint256 own = uint256(params.bounty) * params.validatorBps / 10_000 + fees;
        uint256 all = params.bounty + extra;
        assertTrue(escrow.flat);
        assertEq(escrow.validatorsPool, own / 4, "a quarter, without top-ups");
        assertEq(escrow.trainersPool, even ? all - all * params.validatorBps / 10_000 : 0);
        uint256 back = even ? 0 : uint256(params.bounty) * (10_000 - params.validatorBps) / 20_000;
        assertEq(rewards.owedTo(creator), back + escrow.bond + 100e18 - 4 * TIP);
        assertEq(rewards.owedTo(treasury), all + fees - escrow.trainersPool - own / 4 - back, "all else");
        assertConserved();
    }

    function scoreOutside(uint256 taskId, uint256[][] calldata rows) external {
        score(taskId, validators, rows);
        settleAll(taskId, validators, rows);
    }

    /// @dev A committee that stays silent costs the creator tips, and nobody else anything from the escrow.
    function test_SilentCommitteeReturnsTheBounty() public {
        uint256 taskId = post(localParams());
        tasks.push(taskId);
        fill(taskId, trainers, validators);
        token.approve(address(rewards), 10e18);
        rewards.topUp(taskId, 10e18);
        for (uint256 round; round < 2; ++round) {
            drawSeed(taskId, keccak256("beacon"));
            vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
            vm.prank(keeper);
            scoring.failRound(taskId);
        }
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Failed));
        assertEq(rewards.owedTo(creator), 1000e18 + 100e18 - 6 * TIP);
        assertEq(rewards.owedTo(treasury), 10e18);
        refundFees(taskId, TRAINERS);
    }

    // ------------------------------------------------------------------ permits

    function signedPermit(address owner, uint256 key, uint256 amount)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(rewards),
                amount,
                token.nonces(owner),
                type(uint256).max
            )
        );
        return vm.sign(key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), hash)));
    }

    /// @dev Post, enter and top up without an allowance; a permit that somebody else sent first does no harm.
    function test_PermitsReplaceAllowances() public {
        ITaskRegistry.TaskParams memory params = localParams();
        params.minStake = 10_000e18; // for a bounty of 2,000 at most
        for (uint256 early; early < 2; ++early) {
            uint256 snapshot = vm.snapshotState();
            (address wallet, uint256 key) = makeAddrAndKey("wallet");
            require(token.transfer(wallet, 2000e18));
            (uint8 v, bytes32 r, bytes32 s) = signedPermit(wallet, key, 1100e18);
            if (early == 1) token.permit(wallet, address(rewards), 1100e18, type(uint256).max, v, r, s);
            vm.prank(wallet);
            uint256 taskId = registry.createTaskWithPermit(params, type(uint256).max, v, r, s);
            assertEq(registry.stateOf(taskId).creator, wallet);
            assertEq(token.balanceOf(wallet), 900e18);

            (v, r, s) = signedPermit(wallet, key, 50e18);
            if (early == 1) token.permit(wallet, address(rewards), 50e18, type(uint256).max, v, r, s);
            vm.prank(wallet);
            rewards.topUpWithPermit(taskId, 50e18, type(uint256).max, v, r, s);
            assertEq(rewards.bountyOf(taskId), 1050e18);

            address signer = signerOf(trainers[0]);
            vm.prank(signer);
            token.approve(address(rewards), 0);
            (v, r, s) = signedPermit(signer, signerKey(trainers[0]), 4e18);
            if (early == 1) token.permit(signer, address(rewards), 4e18, type(uint256).max, v, r, s);
            bytes32 commitment = entryCommitment(taskId, trainers[0]);
            vm.prank(signer);
            registry.commitEntryWithPermit(taskId, trainers[0], commitment, 4e18, type(uint256).max, v, r, s);
            assertEq(rewards.escrowOf(taskId).fees, 4e18);
            vm.revertToState(snapshot);
        }
    }

    function test_RevertIf_PermitIsOfAnother() public {
        (address wallet,) = makeAddrAndKey("wallet");
        (, uint256 other) = makeAddrAndKey("other");
        require(token.transfer(wallet, 2000e18));
        ITaskRegistry.TaskParams memory params = localParams();
        params.minStake = 10_000e18;
        uint256 taskId = post(params);
        (uint8 v, bytes32 r, bytes32 s) = signedPermit(wallet, other, 1100e18);
        vm.prank(wallet);
        vm.expectRevert(
            abi.encodeWithSignature("ERC20InsufficientAllowance(address,uint256,uint256)", address(rewards), 0, 1100e18)
        );
        registry.createTaskWithPermit(params, type(uint256).max, v, r, s);
        vm.prank(wallet);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        rewards.topUpWithPermit(taskId, 1, type(uint256).max, v, r, s);
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
        // With the transaction's 21,000 and 64 non-zero bytes of calldata. The goal of 105,000 is not reached.
        assertLe(scored + 21_000 + 600, 152_000);
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
        for (uint256 i; i < 6; ++i) {
            address[6] memory a = [address(1), address(2), address(3), address(4), address(5), address(6)];
            a[i] = address(0);
            vm.expectRevert(IRewards.RewardsZeroAddress.selector);
            this.create(a);
        }
    }

    /// @dev External, so that vm.expectRevert sees the revert of the constructor.
    function create(address[6] calldata a) external {
        new Rewards(a[0], a[1], a[2], a[3], a[4], a[5], 1);
    }
}
