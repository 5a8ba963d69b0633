// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {PackedScores} from "../../contracts/libraries/PackedScores.sol";
import {CallWrapper} from "./utils/CallWrapper.sol";
import {CoveyScenario} from "./utils/CoveyScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";
import {Vm} from "./utils/Vm.sol";

/// @notice The attacks named in the design, each shown to be unprofitable.
contract AttacksTest is CoveyScenario {
    using PlainScores for uint256[];

    uint256[] private none;
    uint256[] private truth;

    function setUp() public override {
        super.setUp();
        truth = ladder(3);
    }

    function params18(bool isSealed) private view returns (ITaskRegistry.TaskParams memory params) {
        params = isSealed ? sealedParams() : localParams();
        params.targetSeats = 18;
    }

    function delegateTo(address operator, address who, uint256 amount) private {
        require(token.transfer(who, amount));
        vm.startPrank(who);
        token.approve(address(staking), amount);
        staking.delegate(operator, amount, 0);
        vm.stopPrank();
    }

    /// @dev Run a task of all trainers and validators until it is settled, with honest rows.
    function settledTask(bool isSealed) private returns (uint256 taskId, uint256[] memory middle) {
        taskId = seeded(params18(isSealed));
        truth = ladder(trainers.length);
        uint256[][] memory rows = around(truth, validators.length);
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        middle = middleOf(taskId, validators, rows);
    }

    /// @dev Three seats of six equal validators.
    function absence(uint256 taskId) private view returns (uint256) {
        return 3 * unitOf(taskId, 6 * STAKE) * 500 / 10_000;
    }

    // ------------------------------------------------------------------ staking

    /// @dev With a self-bond of 1%, a reporter share of a tenth of the slash would be a profit. It is limited to half of the operator's own loss.
    function test_SelfSlashThroughAReporterLosesStake() external {
        joinAll(1, 3);
        address operator = join("self-slasher", 2000e18);
        delegateTo(operator, makeAddr("delegator"), 8000e18);
        uint256 taskId = post(params18(false));
        commitEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        enrol(taskId, operator, STAKE);
        vm.warp(registry.scheduleOf(taskId).enrolEnd);
        revealEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryRevealEnd);
        drawSeed(taskId, keccak256("seed"));
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        address friend = makeAddr("friend");
        vm.prank(friend);
        scoring.reportAbsent(taskId, 0, operator);
        uint256 lost = 2000e18 - staking.poolOf(operator).selfBond;
        assertApproxEqAbs(lost, 10e18, 1e12); // a fifth of 5% of the bounty, for all seats
        assertGt(staking.owedTo(friend), 0);
        assertLe(staking.owedTo(friend), lost / 2);
    }

    function test_DelegatingJustBeforeAClaimEarnsAlmostNothing() external {
        joinAll(3, 6);
        (uint256 taskId,) = settledTask(false);
        finalise(taskId);
        address late = makeAddr("latecomer");
        delegateTo(validators[0], late, 1_000_000e18);
        uint256 shares = staking.sharesOf(validators[0], late);
        assertGt(rewards.claimScoring(taskId, validators[0]), 10e18);
        // Immediately after the claim, its reward is not in the share price yet.
        assertLe(staking.tokensFor(validators[0], shares), 1_000_000e18);
        vm.prank(late);
        uint256 entry = staking.undelegate(validators[0], shares, 0);
        vm.warp(block.timestamp + 28 days);
        assertLe(staking.withdraw(validators[0], late, entry), 1_000_000e18);
    }

    function test_RevertIf_SameStakeBacksTwoTasks() external {
        joinAll(1, 2);
        uint256 first = post(localParams());
        uint256 second = post(localParams());
        commitEntry(first, trainers[0]);
        commitEntry(second, trainers[0]);
        vm.warp(registry.scheduleOf(second).entryCommitEnd);
        enrol(first, validators[0], STAKE - 300e18);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingStakeTooLow.selector, validators[0], 300e18, 300e18 + 1));
        this.enrolOutside(second, validators[0], 300e18 + 1);
        enrol(second, validators[0], 300e18);
        // Stake that arrives after the task was posted does not count for it.
        delegateTo(validators[0], makeAddr("delegator"), STAKE);
        skip(1 hours);
        vm.expectPartialRevert(IStaking.StakingStakeTooLow.selector);
        this.enrolOutside(uint256(first), validators[1], STAKE + 1);
        uint256 third = post(localParams());
        commitEntry(third, trainers[0]);
        vm.warp(registry.scheduleOf(third).entryCommitEnd);
        enrol(third, validators[0], STAKE);
        // Unbonding stake cannot be earmarked.
        uint256 shares = staking.sharesOf(validators[1], validators[1]);
        vm.prank(validators[1]);
        staking.undelegate(validators[1], shares, 0);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StakingNotEligible.selector, validators[1]));
        this.enrolOutside(third, validators[1], STAKE);
    }

    function enrolOutside(uint256 taskId, address operator, uint256 amount) external {
        enrol(taskId, operator, amount);
    }

    function test_DustRewardsDoNotDelayADrip() external {
        joinAll(0, 1);
        token.approve(address(staking), type(uint256).max);
        staking.addReward(validators[0], 1000e18, 0);
        uint40 end = staking.poolOf(validators[0]).dripEnd;
        for (uint256 i = 0; i < 100; ++i) {
            vm.warp(block.timestamp + 1 hours);
            staking.addReward(validators[0], 1e15, 0);
        }
        // A hundred claims of a millionth, half of them late, delay the end by about a second. Restarting the drip would delay it by four days.
        assertLe(staking.poolOf(validators[0]).dripEnd, end + 100);
        vm.warp(end + 100);
        assertEq(staking.poolOf(validators[0]).undripped, 0);
    }

    // ------------------------------------------------------------------ the seed

    /// forge-config: ci.fuzz.runs = 500
    function testFuzz_ProposerCannotGrindTheSeed(bytes32 prevrandao, bytes32 extraData, uint256 age, uint256 delay)
        external
    {
        joinAll(1, 3);
        uint256 taskId = post(params18(false));
        fill(taskId, trainers, validators);
        scoring.requestSeed(taskId);
        uint64 target = scoring.roundOf(taskId).target;
        uint256[2] memory seats;
        for (uint256 side = 0; side < 2; ++side) {
            uint256 snapshot = vm.snapshotState();
            // A builder can change the block's hash with extra data, and the caller chooses when to prove the block.
            bytes memory header = headerOf(target, prevrandao, side == 0 ? bytes("") : abi.encode(extraData));
            vm.roll(target + (side == 0 ? 1 : bound(age, 1, 256)));
            vm.setBlockhash(target, keccak256(header));
            vm.warp(block.timestamp + (side == 0 ? 0 : bound(delay, 0, 1 days)));
            vm.prank(side == 0 ? creator : keeper);
            scoring.fixSeed(taskId, header);
            assertEq(scoring.roundOf(taskId).seed, prevrandao);
            for (uint256 j = 0; j < 3; ++j) {
                seats[side] = (seats[side] << 16) | scoring.seatsOf(taskId, validators[j]);
            }
            vm.revertToState(snapshot);
        }
        assertEq(seats[0], seats[1]);
    }

    // ------------------------------------------------------------------ entries and claims

    function test_RevertIf_PayoutProofIsForged() external {
        joinAll(20, 6);
        (uint256 taskId, uint256[] memory middle) = settledTask(false);
        finalise(taskId);
        uint256[] memory words = middle.pack();
        bytes32[6] memory first = words.proof(0);
        bytes32[6] memory second = words.proof(1);
        bytes memory bad = abi.encodeWithSelector(IRewards.RewardsBadProof.selector, taskId, 19);
        vm.expectRevert(bad); // the median of another word
        rewards.claimEntry(taskId, 19, words[0], first);
        vm.expectRevert(bad);
        rewards.claimEntry(taskId, 19, words[0], second);
        vm.expectRevert(bad); // the right word with a better lane
        rewards.claimEntry(taskId, 19, words[1] | (0x7fff << 192), second);
        // A lane without an entry, and a lane beyond the page.
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsUnknownLane.selector, taskId, 20));
        rewards.claimEntry(taskId, 20, words[1], second);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsUnknownLane.selector, taskId, 64 * 16 + 19));
        rewards.claimEntry(taskId, 64 * 16 + 19, words[1], second);
        rewards.claimEntry(taskId, 19, words[1], second);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsAlreadyClaimed.selector, taskId, 19));
        rewards.claimEntry(taskId, 19, words[1], second);
    }

    /// @dev Filling all slots costs 2.5 times the fee per slot, which goes to validators.
    function test_FillingAllEntrySlotsPaysValidators() external {
        joinAll(8, 6);
        ITaskRegistry.TaskParams memory params = params18(false);
        params.maxEntries = 7;
        uint256 taskId = post(params);
        uint256 last = 0;
        uint256 sum = 0;
        for (uint256 i = 0; i < 7; ++i) {
            uint256 fee = registry.entryFeeAt(taskId, uint32(i));
            assertGt(fee, last);
            commitEntry(taskId, trainers[i]);
            (last, sum) = (fee, sum + fee);
        }
        assertEq(last, 4e18 + uint256(12e18) * 6 / 7);
        assertEq(rewards.escrowOf(taskId).fees, sum);
        bytes32 commitment = entryCommitment(taskId, trainers[7]);
        vm.prank(signerOf(trainers[7]));
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryFull.selector, taskId));
        registry.commitEntry(taskId, trainers[7], commitment, type(uint256).max);
        // Only the first is revealed; the fees of all are kept.
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        for (uint256 j = 0; j < 6; ++j) {
            enrol(taskId, validators[j], STAKE);
        }
        vm.warp(registry.scheduleOf(taskId).enrolEnd);
        revealEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryRevealEnd);
        drawSeed(taskId, keccak256("seed"));
        truth = ladder(1);
        uint256[][] memory rows = around(truth, 6);
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        finalise(taskId);
        assertEq(rewards.escrowOf(taskId).validatorsPool, (300e18 + sum) / 4, "one entry has no neighbour: a quarter");
        drain(taskId, middleOf(taskId, validators, rows), 10);
    }

    function test_TopUpOfACancelledTaskGoesToTheTreasury() external {
        joinAll(1, 1);
        uint256 before = token.balanceOf(creator);
        ITaskRegistry.TaskParams memory params = localParams();
        params.minStake = 10_000e18;
        uint256 taskId = post(params);
        token.approve(address(rewards), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsBountyTooLarge.selector, 2000e18 + 1, 2000e18));
        rewards.topUp(taskId, 1000e18 + 1);
        rewards.topUp(taskId, 1000e18);
        vm.prank(creator);
        registry.cancelTask(taskId);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsAlreadyClosed.selector, taskId));
        rewards.topUp(taskId, 1);
        drain(taskId, none, 0);
        assertEq(token.balanceOf(creator), before, "its own back, nothing of others'");
        assertEq(token.balanceOf(treasury), 1000e18);
    }

    // ------------------------------------------------------------------ committees

    function test_AbstainingEarnsNothing() external {
        joinAll(3, 6);
        uint256 taskId = seeded(params18(false));
        abstain(scoring, taskId, validators[0]);
        bytes32 commitment = scoreCommitment(taskId, validators[0], truth.pack());
        vm.prank(signerOf(validators[0]));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringAlreadyCommitted.selector, taskId, validators[0]));
        scoring.commitScores(taskId, validators[0], commitment);
        address[] memory who = new address[](5);
        for (uint256 j = 0; j < 5; ++j) {
            who[j] = validators[j + 1];
        }
        uint256[][] memory rows = around(truth, 5);
        scoreAll(scoring, taskId, who, rows);
        // A validator that has seen other rows cannot copy them.
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNotCommitted.selector, taskId, validators[0]));
        this.revealOutside(taskId, validators[0], rows[0]);
        settleAll(taskId, who, rows);
        finalise(taskId);
        assertEq(rewards.scoringReward(taskId, validators[0]), 0);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardsNothingToClaim.selector, taskId, validators[0]));
        rewards.claimScoring(taskId, validators[0]);
        assertGt(rewards.scoringReward(taskId, validators[1]), 0);
    }

    function revealOutside(uint256 taskId, address operator, uint256[] calldata row) external {
        reveal(scoring, taskId, operator, row);
    }

    /// @dev Validators that withhold scores to force another committee are slashed and excluded from it.
    function test_WithholdingAfterTheSeedIsSlashed() external {
        joinAll(3, 6);
        uint256 taskId = seeded(params18(false));
        for (uint256 j = 3; j < 6; ++j) {
            commit(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 3; j < 6; ++j) {
            reveal(scoring, taskId, validators[j], truth);
        }
        for (uint256 j = 0; j < 3; ++j) {
            vm.prank(reporter);
            scoring.reportAbsent(taskId, 0, validators[j]);
            assertEq(poolValue(validators[j]), STAKE - absence(taskId));
        }
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        scoring.failRound(taskId); // nine of eighteen seats are not a quorum
        drawSeed(taskId, keccak256("second seed"));
        for (uint256 j = 0; j < 3; ++j) {
            assertEq(scoring.seatsOf(taskId, validators[j]), 0);
            assertEq(scoring.seatsOf(taskId, validators[j + 3]), 6);
        }
    }

    function test_RevealThroughAWrapperEmitsTheWords() external {
        joinAll(3, 6);
        uint256 taskId = seeded(params18(false));
        commit(scoring, taskId, validators[0], truth);
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        CallWrapper wrapper = new CallWrapper();
        vm.recordLogs();
        wrapper.send(address(scoring), keccak256("evidence"), saltOf(validators[0]), taskId, validators[0]);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1);
        assertEq(logs[0].topics[0], ICommittee.ScoresRevealed.selector);
        (,,,, uint256[] memory words) = abi.decode(logs[0].data, (uint8, uint16, uint32, bytes32, uint256[]));
        assertEq(words, truth.pack());
    }

    /// @dev For any number of rows, a page with its heads and medians fits 128 KiB. Rows are limited so that a page has at least one word.
    function test_RowsAreLimitedSoThatAPageFitsATransaction() external {
        for (uint256 rows = 1; rows <= PackedScores.MAX_ROWS; ++rows) {
            uint256 width = PackedScores.pageWords(rows);
            assertGe(width, 1);
            // 8 KiB are reserved for the rest of the transaction.
            assertLe(32 * (rows + width + rows * width), 131_072 - 8192);
        }
        assertEq((PackedScores.CALL_WORDS - PackedScores.MAX_ROWS - 1) / (PackedScores.MAX_ROWS + 2), 0);
        joinAll(1, 2);
        uint256 taskId = seeded(params18(false));
        // Rounds are the first mapping of Scoring; committedRows lies above 120 bits of a round's first slot.
        bytes32 slot = keccak256(abi.encode(taskId, uint256(0)));
        vm.store(address(scoring), slot, bytes32(uint256(vm.load(address(scoring), slot)) | (1919 << 120)));
        bytes32 commitment = scoreCommitment(taskId, validators[0], none);
        vm.prank(signerOf(validators[0]));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringFull.selector, taskId));
        scoring.commitScores(taskId, validators[0], commitment);
        // An operator whose commit was rejected is not absent.
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringFull.selector, taskId));
        scoring.reportAbsent(taskId, 0, validators[0]);
        assertFalse(scoring.owesFault(taskId, validators[0]));
    }

    // ------------------------------------------------------------------ appeals and faults

    /// @dev Contest of a correct word: the bond pays the round, and the task is delayed until the deadline at most.
    function test_ContestingACorrectWordCostsTheBond() external {
        joinAll(3, 6);
        joinJury(6);
        (uint256 taskId, uint256[] memory middle) = settledTask(true);
        contest(taskId, 0, middle);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsContested.selector, taskId, 0));
        this.contestOutside(taskId, 0, middle);
        IAppeals.Appeal memory appeal = appeals.appealOf(taskId);
        assertEq(
            appeal.award, (300e18 + rewards.escrowOf(taskId).fees) / 2, "half of what validators get for this word"
        );
        assertEq(appeal.bond, appeal.award + 4 * TIP);
        enrolJury(taskId);
        vm.warp(appeal.contestEnd);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsClosed.selector, taskId));
        this.contestOutside(taskId, 0, middle);
        vm.warp(appeal.enrolEnd);
        seed(committee, taskId, keccak256("appeal seed"));
        uint256[][] memory rows = new uint256[][](6);
        for (uint256 j = 0; j < 6; ++j) {
            rows[j] = new uint256[](16);
            for (uint256 i = 0; i < 3; ++i) {
                rows[j][i] = middle[i] + 100; // another part of the set
            }
        }
        scoreAll(committee, taskId, jurors, rows);
        settleContests(taskId, jurors, rows);
        appeals.resolve(taskId, 0, middle.pack().proof(0));
        assertEq(appeals.owedTo(appellant), 0);
        finalise(taskId);
        drain(taskId, middle, 20);
        assertEq(token.balanceOf(appellant), 10_000e18 - appeal.bond);
    }

    function contestOutside(uint256 taskId, uint256 word, uint256[] calldata middle) external {
        contest(taskId, word, middle);
    }

    /// @dev Lanes past the last entry would add weight that nobody can claim.
    function test_RevertIf_MedianLaneIsPastTheLastEntry() external {
        joinAll(3, 6);
        joinJury(6);
        (uint256 taskId, uint256[] memory middle) = settledTask(true);
        contest(taskId, 0, middle);
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        seed(committee, taskId, keccak256("appeal seed"));
        uint256[] memory row = new uint256[](16);
        for (uint256 lane = 0; lane < 16; ++lane) {
            uint256 snapshot = vm.snapshotState();
            row[lane] = 20_000;
            commit(committee, taskId, jurors[0], row);
            vm.warp(committee.roundOf(taskId).scoreCommitEnd);
            if (lane >= 3) vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringBadWord.selector, 0));
            committee.revealScores(taskId, jurors[0], row.pack(), keccak256("evidence"), saltOf(jurors[0]));
            row[lane] = 0;
            vm.revertToState(snapshot);
        }
    }

    function test_RevertIf_RowIsReportedTwice() external {
        joinAll(3, 6);
        uint256 taskId = seeded(params18(false));
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        vm.prank(reporter);
        scoring.reportAbsent(taskId, 0, validators[0]);
        address second = makeAddr("second reporter");
        vm.prank(second);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNoFault.selector, taskId, validators[0]));
        scoring.reportAbsent(taskId, 0, validators[0]);
        assertEq(staking.owedTo(second), 0);
        assertEq(poolValue(validators[0]), STAKE - absence(taskId));
    }

    function test_RevertIf_EarmarkIsReleasedBeforeAReport() external {
        joinAll(3, 6);
        uint256 taskId = seeded(params18(false));
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryNotEnded.selector, taskId));
        registry.releaseEarmark(taskId, validators[0]);
        vm.warp(registry.scheduleOf(taskId).expiresAt);
        registry.expire(taskId);
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryFaultOpen.selector, taskId, validators[0]));
        registry.releaseEarmark(taskId, validators[0]);
        scoring.reportAbsent(taskId, 0, validators[0]);
        // Its silence made the task fail, which is another fault.
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryFaultOpen.selector, taskId, validators[0]));
        registry.releaseEarmark(taskId, validators[0]);
        faults.reportMissed(taskId, 0, validators[0]);
        registry.releaseEarmark(taskId, validators[0]);
        assertEq(poolValue(validators[0]), STAKE - absence(taskId) - 3 * unitOf(taskId, 6 * STAKE));
    }
}
