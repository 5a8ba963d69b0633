// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {IScoring} from "../../contracts/interfaces/IScoring.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyFixture} from "./utils/CoveyFixture.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Whole tasks, from posting to the last claim, with every token accounted for.
contract LoopTest is CoveyFixture {
    using PlainScores for uint256[];

    address[] private trainers;
    address[] private validators;
    uint256 private state;

    function draw(uint256 below) private returns (uint256) {
        state = uint256(keccak256(abi.encode(state)));
        return state % below;
    }

    function joinAll(uint256 trainerCount, uint256 validatorCount) private {
        trainers = joinMany("trainer", trainerCount);
        validators = joinMany("validator", validatorCount);
    }

    /// @dev Scores near each entry's true value; entry 0 is useless, and validator 0 gives constant scores.
    function drawRows(uint256 entries, uint256 count) private returns (uint256[][] memory rows) {
        rows = new uint256[][](count);
        for (uint256 j = 0; j < count; ++j) {
            rows[j] = new uint256[](entries);
        }
        for (uint256 i = 0; i < entries; ++i) {
            uint256 centre = i == 0 ? 0 : 1000 + draw(20_000);
            for (uint256 j = 0; j < count; ++j) {
                // With one entry alone, a 0 would make the round void.
                rows[j][i] = centre == 0 ? (entries == 1 ? 1 : draw(2)) : centre + draw(600);
                if (j == 0) rows[j][i] = 5000;
            }
        }
    }

    // ------------------------------------------------------------------ accounting

    /// @dev Claim everything. Afterwards Rewards holds only rounding dust, no stake is earmarked, and the supply is unchanged.
    function settleAccounts(uint256 taskId, uint256 dust) private {
        bool paid = registry.outcomeOf(taskId) == ITaskRegistry.Outcome.Paid;
        if (staking.owedTo(treasury) != 0) staking.payOwed(treasury); // slashed tokens
        for (uint256 i = 0; i < operators.length; ++i) {
            address operator = operators[i];
            (bytes32 commitment,,,,) = registry.commitmentOf(taskId, operator);
            if (!paid && commitment != 0) rewards.claimFee(taskId, operator);
            if (paid && rewards.scoringReward(taskId, operator) != 0) rewards.claimScoring(taskId, operator);
            reportFaults(taskId, operator);
            if (registry.earmarkOf(taskId, operator) != 0) registry.releaseEarmark(taskId, operator);
            assertEq(staking.poolOf(operator).earmarked, 0, "stake left earmarked");
            withdraw(operator);
        }
        withdraw(creator);
        withdraw(treasury);
        withdraw(keeper);
        withdraw(address(this)); // tips of steps that this contract sent
        assertLe(token.balanceOf(address(rewards)), dust, "tokens left behind");
        assertEq(token.totalSupply(), SUPPLY);
    }

    /// @dev Report all faults of an operator and release its earmark.
    function reportFaults(uint256 taskId, address operator) private {
        uint8 current = scoring.roundOf(taskId).number;
        for (uint8 number = 0; number <= current; ++number) {
            if (scoring.roundAt(taskId, number).scoreCommitEnd == 0) continue;
            ICommittee.RowStatus status = scoring.rowAt(taskId, number, operator).status;
            if (status == ICommittee.RowStatus.Committed) {
                scoring.reportUnrevealed(taskId, number, operator);
            } else if (status == ICommittee.RowStatus.None && scoring.seatsAt(taskId, number, operator) != 0) {
                scoring.reportAbsent(taskId, number, operator);
            }
            if (faults.silentSeatsOf(taskId, number, operator) != 0) faults.reportMissed(taskId, number, operator);
        }
        assertFalse(scoring.owesFault(taskId, operator) || faults.owes(taskId, operator));
    }

    /// @dev A second committee, if one is drawn, is absent.
    function failAgain(uint256 taskId) private {
        if (outcomeOf(taskId) != uint256(ITaskRegistry.Outcome.Running)) return;
        assertEq(scoring.roundOf(taskId).number, 1);
        drawSeed(taskId, keccak256("second seed"));
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        scoring.failRound(taskId);
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
    }

    function withdraw(address account) private {
        if (rewards.owedTo(account) != 0) rewards.withdraw(account);
    }

    function claimEntries(uint256 taskId, uint256[] memory middle) private returns (uint256 sum) {
        uint256[] memory words = middle.pack();
        uint256 width = scoring.roundOf(taskId).pageWords;
        for (uint256 lane = 0; lane < middle.length; ++lane) {
            if (rewards.entryReward(taskId, uint16(middle[lane])) == 0) continue;
            uint256 word = lane / 16;
            uint256 from = word / width * width;
            uint256[] memory page = new uint256[](words.length - from < width ? words.length - from : width);
            for (uint256 k = 0; k < page.length; ++k) {
                page[k] = words[from + k];
            }
            sum += rewards.claimEntry(taskId, uint32(lane), words[word], page.proof(word - from));
        }
    }

    // ------------------------------------------------------------------ paid

    /// forge-config: default.fuzz.runs = 64
    /// forge-config: ci.fuzz.runs = 250
    function testFuzz_PaidTaskAccountsForEveryToken(uint256 seed) external {
        state = seed;
        joinAll(1 + draw(20), 3 + draw(5));
        ITaskRegistry.TaskParams memory params = draw(2) == 0 ? localParams() : sealedParams();
        params.targetSeats = uint16(9 + draw(52));
        bool isSealed = params.evaluation == ITaskRegistry.Evaluation.Sealed;
        params.tau = uint16(isSealed ? 655 + draw(3441) : 1 + draw(4095));
        params.h = uint16(8 + draw(isSealed ? params.tau / 16 - 7 : 800));
        params.power = uint8(1 + draw(3));
        params.floorScore = uint16(1 + draw(3000));
        params.bounty = uint128(10e18 + draw(990e18));
        uint256 taskId = post(params);
        fill(taskId, trainers, validators);
        if (params.evaluation == ITaskRegistry.Evaluation.Sealed) {
            vm.prank(creator);
            registry.openSealed(taskId, keccak256("set"), keccak256("salt"));
        }
        drawSeed(taskId, bytes32(draw(type(uint256).max)));

        // Validators with a seat score; one may abstain, and one may not reveal.
        address[] memory seated = withSeats(taskId);
        uint256[][] memory rows = drawRows(trainers.length, seated.length);
        uint256 missing = seated.length != 0 && draw(3) == 0 ? draw(seated.length) : type(uint256).max;
        bool abstains = draw(2) == 0;
        for (uint256 j = 0; j < seated.length; ++j) {
            if (j == missing && abstains) {
                vm.prank(signerOf(seated[j]));
                scoring.abstain(taskId, seated[j]);
            } else {
                commitScores(taskId, seated[j], rows[j].pack());
            }
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = seated.length; j > 0; --j) {
            if (j - 1 != missing) revealScores(taskId, seated[j - 1], rows[j - 1].pack());
        }
        (seated, rows) = reversedWithout(seated, rows, missing);
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);

        ICommittee.Round memory round = scoring.roundOf(taskId);
        bool quorum = 2 * round.revealedSeats > round.committedSeats && 2 * round.revealedSeats > params.targetSeats;
        if (!quorum) {
            scoring.failRound(taskId);
            failAgain(taskId);
            assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Failed));
            settleAccounts(taskId, 0);
            return;
        }
        settleAll(taskId, seated, rows);
        vm.warp(block.timestamp + params.windows.appeal);
        finalise(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Paid));
        uint256[] memory middle = checkSettlement(taskId, params, seated, rows);
        claimEntries(taskId, middle);
        // Less than a wei for each share.
        settleAccounts(taskId, trainers.length + validators.length);
    }

    function withSeats(uint256 taskId) private view returns (address[] memory seated) {
        seated = new address[](validators.length);
        uint256 count = 0;
        for (uint256 j = 0; j < validators.length; ++j) {
            if (scoring.seatsOf(taskId, validators[j]) != 0) seated[count++] = validators[j];
        }
        assembly ("memory-safe") {
            mstore(seated, count)
        }
    }

    function reversedWithout(address[] memory seated, uint256[][] memory rows, uint256 missing)
        private
        pure
        returns (address[] memory who, uint256[][] memory what)
    {
        uint256 count = missing == type(uint256).max ? seated.length : seated.length - 1;
        who = new address[](count);
        what = new uint256[][](count);
        uint256 next = 0;
        for (uint256 j = seated.length; j > 0; --j) {
            if (j - 1 == missing) continue;
            (who[next], what[next]) = (seated[j - 1], rows[j - 1]);
            ++next;
        }
    }

    /// @dev Compare the settlement with the reference rules; payments must sum to the pools.
    function checkSettlement(
        uint256 taskId,
        ITaskRegistry.TaskParams memory params,
        address[] memory seated,
        uint256[][] memory rows
    ) private view returns (uint256[] memory middle) {
        uint256[] memory seats = new uint256[](seated.length);
        for (uint256 j = 0; j < seated.length; ++j) {
            seats[j] = scoring.rowOf(taskId, seated[j]).seats;
            assertEq(scoring.rowOf(taskId, seated[j]).index, j);
        }
        middle = PlainScores.medians(rows, seats);
        IScoring.Totals memory totals = scoring.totalsOf(taskId);
        assertEq(totals.weights, middle.weights(params.floorScore, params.power), "weights");
        uint256 useful = 0;
        for (uint256 i = 0; i < middle.length; ++i) {
            if (middle[i] >= 2) ++useful;
        }
        assertEq(totals.spread, useful == 0 ? 0 : middle.spread(params.h, params.tau), "spread");
        uint256 gainSeats = 0;
        for (uint256 j = 0; j < seated.length; ++j) {
            uint256 loss = rows[j].loss(middle, params.h, params.tau);
            assertEq(scoring.lossOf(taskId, uint32(j)), loss, "loss");
            uint256 gain = totals.spread > 2 * loss ? totals.spread - 2 * loss : 0;
            assertEq(scoring.gainOf(taskId, seated[j]), gain, "gain");
            gainSeats += seats[j] * gain;
        }
        assertEq(totals.gainSeats, gainSeats, "gainSeats");
        assertEq(scoring.pageRootOf(taskId, 0), middle.pack().root(), "root");
        assertEq(scoring.accumulatorOf(taskId, 0), bytes32(0));
    }

    function test_TaskWithTwoPagesIsPaid() external {
        vm.pauseGasMetering();
        joinAll(500, 130);
        ITaskRegistry.TaskParams memory params = localParams();
        params.maxEntries = 500;
        params.targetSeats = 130;
        uint256 taskId = post(params);
        fill(taskId, trainers, validators);
        drawSeed(taskId, keccak256("seed"));
        uint256[][] memory rows = drawRows(500, 130);
        score(taskId, validators, rows);
        // (3840 - 130) / 131 = 28 of 32 words: the second page has four.
        ICommittee.Round memory round = scoring.roundOf(taskId);
        assertEq(round.pageWords, 28);
        assertEq(round.pages, 2);
        PageCall memory second = pageCall(taskId, 1, validators, rows);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringBadPage.selector, taskId, 1));
        settle(taskId, 1, second);
        assertNotEq(scoring.accumulatorOf(taskId, 1), bytes32(0));
        settle(taskId, 0, pageCall(taskId, 0, validators, rows));
        vm.expectRevert(abi.encodeWithSelector(IScoring.ScoringNotSettled.selector, taskId));
        scoring.finalise(taskId);
        // Rows of one page are not valid for another.
        second.words[0] ^= 1;
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringBadRows.selector, taskId, 1));
        settle(taskId, 1, second);
        second.words[0] ^= 1;
        settle(taskId, 1, second);
        finalise(taskId);

        // Distances do not cross pages: G is the sum over the pages.
        uint256[] memory seats = new uint256[](130);
        for (uint256 j = 0; j < 130; ++j) {
            seats[j] = 1;
        }
        uint256[] memory middle = PlainScores.medians(rows, seats);
        uint256[] memory head = new uint256[](448);
        uint256[] memory tail = new uint256[](52);
        for (uint256 i = 0; i < 500; ++i) {
            i < 448 ? head[i] = middle[i] : tail[i - 448] = middle[i];
        }
        IScoring.Totals memory totals = scoring.totalsOf(taskId);
        assertEq(totals.spread, head.spread(params.h, params.tau) + tail.spread(params.h, params.tau));
        assertEq(totals.weights, middle.weights(params.floorScore, params.power));
        assertEq(scoring.pageRootOf(taskId, 0), head.pack().root());
        assertEq(scoring.pageRootOf(taskId, 1), tail.pack().root());
        uint256 gainSeats = 0;
        for (uint256 j = 0; j < 130; ++j) {
            uint256 loss = rows[j].loss(middle, params.h, params.tau);
            assertEq(scoring.lossOf(taskId, uint32(j)), loss);
            if (totals.spread > 2 * loss) gainSeats += totals.spread - 2 * loss;
        }
        assertEq(totals.gainSeats, gainSeats);
        claimEntries(taskId, middle);
        settleAccounts(taskId, 700);
    }

    // ------------------------------------------------------------------ the other endings

    function test_CancelledTaskIsRefunded() external {
        uint256 before = token.balanceOf(creator);
        uint256 taskId = post(localParams());
        vm.prank(creator);
        registry.cancelTask(taskId);
        settleAccounts(taskId, 0);
        assertEq(token.balanceOf(creator), before);
    }

    function test_TaskWithoutEntryIsRefundedLessATip() external {
        uint256 before = token.balanceOf(creator);
        uint256 taskId = post(localParams());
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        vm.prank(keeper);
        registry.closeTask(taskId);
        settleAccounts(taskId, 0);
        assertEq(token.balanceOf(creator), before - TIP);
        assertEq(token.balanceOf(keeper), TIP);
    }

    function test_TaskWithTooLittleStakeIsRefunded() external {
        joinAll(2, 2);
        uint256 before = token.balanceOf(creator);
        uint256 taskId = post(localParams());
        commitEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        enrol(taskId, validators[0], 999e18);
        vm.warp(registry.scheduleOf(taskId).enrolEnd);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryTooLittleStake.selector, taskId, 999e18, 5000e18));
        revealEntry(taskId, trainers[0]);
        registry.closeTask(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Refunded));
        settleAccounts(taskId, 0);
        assertEq(token.balanceOf(creator), before - TIP);
        // The fee is credited to the operator's reward address.
        assertEq(token.balanceOf(trainers[0]), 4e18);
    }

    function test_TaskWithoutRevealedEntryIsRefunded() external {
        joinAll(3, 3);
        uint256 taskId = post(localParams());
        commitEntry(taskId, trainers[0]);
        commitEntry(taskId, trainers[1]);
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        enrol(taskId, validators[0], STAKE);
        vm.warp(registry.scheduleOf(taskId).entryRevealEnd);
        registry.closeTask(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Refunded));
        settleAccounts(taskId, 0);
    }

    function test_UnopenedSealedSetFailsTheTask() external {
        joinAll(2, 3);
        uint256 before = token.balanceOf(creator);
        uint256 taskId = post(sealedParams());
        fill(taskId, trainers, validators);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryNotClosable.selector, taskId));
        registry.closeTask(taskId);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNotReady.selector, taskId));
        scoring.requestSeed(taskId);
        vm.warp(registry.scheduleOf(taskId).openEnd);
        registry.closeTask(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Failed));
        settleAccounts(taskId, 0);
        // Half of the bounty is returned, and the bond is lost.
        assertEq(token.balanceOf(creator), before - 500e18 - 100e18);
        assertEq(token.balanceOf(treasury), 500e18 + 100e18 - TIP);
    }

    function test_QuorumMissedTwiceFailsTheTask() external {
        joinAll(2, 3);
        uint256 taskId = post(localParams());
        fill(taskId, trainers, validators);
        drawSeed(taskId, keccak256("seed"));
        uint256[][] memory rows = drawRows(2, 3);
        commitScores(taskId, validators[0], rows[0].pack());
        commitScores(taskId, validators[1], rows[1].pack());
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        revealScores(taskId, validators[0], rows[0].pack());
        vm.warp(scoring.roundOf(taskId).scoreRevealEnd);
        vm.expectPartialRevert(ICommittee.ScoringQuorum.selector);
        scoring.settlePage(taskId, 0, new uint256[](0), new uint256[](0), new uint256[](0));
        scoring.failRound(taskId);
        failAgain(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Failed));
        settleAccounts(taskId, 0);
    }

    /// @dev At every stage, from `expiresAt` on anyone can end the task, and all tokens are paid out.
    /// forge-config: default.fuzz.runs = 64
    /// forge-config: ci.fuzz.runs = 250
    function testFuzz_ExpiredTaskReturnsEveryToken(uint256 seed, uint256 steps) external {
        state = seed;
        steps = bound(steps, 0, 6);
        joinAll(3, 3);
        uint256 taskId = post(sealedParams());
        ITaskRegistry.Schedule memory schedule = registry.scheduleOf(taskId);
        if (steps > 0) commitEntry(taskId, trainers[0]);
        if (steps > 1) {
            vm.warp(schedule.entryCommitEnd);
            enrol(taskId, validators[0], STAKE);
            enrol(taskId, validators[1], STAKE);
        }
        if (steps > 2) {
            vm.warp(schedule.enrolEnd);
            revealEntry(taskId, trainers[0]);
        }
        if (steps > 3) {
            vm.warp(schedule.entryRevealEnd);
            vm.prank(creator);
            registry.openSealed(taskId, keccak256("set"), keccak256("salt"));
        }
        if (steps > 4) drawSeed(taskId, bytes32(draw(type(uint256).max)));
        if (steps > 5) commitScores(taskId, validators[0], new uint256[](1));
        vm.warp(schedule.expiresAt - 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistryNotExpired.selector, taskId, schedule.expiresAt));
        registry.expire(taskId);
        vm.warp(schedule.expiresAt);
        vm.prank(keeper);
        registry.expire(taskId);
        // Refunded if the task could have been closed with a refund, else failed.
        assertEq(outcomeOf(taskId), uint256(steps < 3 ? ITaskRegistry.Outcome.Refunded : ITaskRegistry.Outcome.Failed));
        settleAccounts(taskId, 0);
        assertGe(token.balanceOf(keeper), TIP);
    }

    function test_SettledTaskDoesNotExpire() external {
        joinAll(3, 3);
        uint256 taskId = post(sealedParams());
        fill(taskId, trainers, validators);
        vm.prank(creator);
        registry.openSealed(taskId, keccak256("set"), keccak256("salt"));
        drawSeed(taskId, keccak256("seed"));
        uint256[][] memory rows = drawRows(3, 3);
        score(taskId, validators, rows);
        vm.warp(registry.settleEndOf(taskId) - 1);
        settleAll(taskId, validators, rows);
        uint40 payableAt = uint40(block.timestamp + 2 hours);
        vm.expectRevert(abi.encodeWithSelector(IScoring.ScoringAppealOpen.selector, taskId, payableAt));
        scoring.finalise(taskId);
        vm.warp(registry.scheduleOf(taskId).expiresAt);
        vm.expectRevert(abi.encodeWithSelector(ITaskRegistry.RegistrySettled.selector, taskId));
        registry.expire(taskId);
        finalise(taskId);
        assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Paid));
    }

    function test_LostTargetIsRequestedAgain() external {
        joinAll(2, 3);
        uint256 taskId = post(localParams());
        fill(taskId, trainers, validators);
        vm.roll(block.number + 100);
        scoring.requestSeed(taskId);
        uint64 target = scoring.roundOf(taskId).target;
        assertEq(target, block.number + DISTANCE);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringSeedPending.selector, taskId, target));
        scoring.requestSeed(taskId);
        // Without the history contract the target cannot be proven after 256 blocks.
        vm.roll(target + 257);
        scoring.requestSeed(taskId);
        assertEq(scoring.roundOf(taskId).target, block.number + DISTANCE);
        bytes memory header = mine(scoring.roundOf(taskId).target, keccak256("prevrandao"));
        scoring.fixSeed(taskId, header);
        assertEq(scoring.roundOf(taskId).seed, keccak256("prevrandao"));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringSeedFixed.selector, taskId));
        scoring.requestSeed(taskId);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringSeedFixed.selector, taskId));
        scoring.fixSeed(taskId, header);
    }

    function test_RevertIf_SeedIsTooLateForTheScoreWindows() external {
        joinAll(2, 3);
        ITaskRegistry.TaskParams memory params = localParams();
        uint256 taskId = post(params);
        fill(taskId, trainers, validators);
        ITaskRegistry.Schedule memory schedule = registry.scheduleOf(taskId);
        uint256 last = schedule.expiresAt - params.windows.scoreCommit - params.windows.scoreReveal;
        vm.warp(last);
        scoring.requestSeed(taskId);
        bytes memory header = mine(scoring.roundOf(taskId).target, keccak256("prevrandao"));
        vm.warp(last + 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringWindowClosed.selector, taskId, bytes32("seed")));
        scoring.fixSeed(taskId, header);
        vm.warp(last);
        scoring.fixSeed(taskId, header);
        assertEq(scoring.roundOf(taskId).scoreRevealEnd, schedule.expiresAt);
    }

    /// @dev Expected seats are exactly proportional to stake: over many seeds the mean approaches K·e/S however the stake is split.
    function test_SeatsAreProportionalToStake() external {
        vm.pauseGasMetering();
        joinAll(1, 0);
        address whale = join("whale", 55_000e18);
        address[] memory small = joinMany("small", 5);
        ITaskRegistry.TaskParams memory params = localParams();
        params.targetSeats = 9;
        uint256 taskId = post(params);
        commitEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        enrol(taskId, whale, 50_000e18);
        for (uint256 i = 0; i < 5; ++i) {
            enrol(taskId, small[i], STAKE);
        }
        vm.warp(registry.scheduleOf(taskId).enrolEnd);
        revealEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryRevealEnd);
        scoring.requestSeed(taskId);
        uint64 target = scoring.roundOf(taskId).target;
        uint256 one = 0;
        uint256 many = 0;
        for (uint256 round = 0; round < 400; ++round) {
            uint256 snapshot = vm.snapshotState();
            bytes memory header = mine(target, keccak256(abi.encode(round)));
            scoring.fixSeed(taskId, header);
            uint256 seats = scoring.seatsOf(taskId, whale);
            assertTrue(seats == 4 || seats == 5); // 4.5 rounded
            uint256 sum = 0;
            for (uint256 i = 0; i < 5; ++i) {
                sum += scoring.seatsOf(taskId, small[i]); // 0.9 rounded
            }
            vm.revertToState(snapshot);
            one += seats;
            many += sum;
        }
        // Means of 4.5 with standard deviations of 0.025 and 0.034.
        assertApproxEqAbs(one, 1800, 50);
        assertApproxEqAbs(many, 1800, 100);
    }

    /// @dev Committees with at most 1,023 expected seats do not reach these bounds, so the counts are written to storage.
    function test_RevertIf_CommitWouldOverflowALane() external {
        joinAll(1, 3);
        uint256 taskId = post(localParams());
        fill(taskId, trainers, validators);
        drawSeed(taskId, keccak256("seed"));
        // Rounds are the first mapping of Scoring; committedRows and committedSeats lie above 120 bits of a round's first slot.
        bytes32 slot = keccak256(abi.encode(taskId, uint256(0)));
        uint256 tally = uint256(vm.load(address(scoring), slot));
        bytes32 commitment = scoreCommitment(taskId, validators[0], new uint256[](1));

        vm.store(address(scoring), slot, bytes32(tally | (1919 << 120)));
        assertEq(scoring.roundOf(taskId).committedRows, 1919);
        vm.prank(signerOf(validators[0]));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringFull.selector, taskId));
        scoring.commitScores(taskId, validators[0], commitment);

        // Seven more seats would give 32,768.
        vm.store(address(scoring), slot, bytes32(tally | (1 << 120) | (32_761 << 136)));
        assertEq(scoring.roundOf(taskId).committedSeats, 32_761);
        vm.prank(signerOf(validators[0]));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringFull.selector, taskId));
        scoring.commitScores(taskId, validators[0], commitment);

        vm.store(address(scoring), slot, bytes32(tally | (1918 << 120) | (32_760 << 136)));
        vm.prank(signerOf(validators[0]));
        scoring.commitScores(taskId, validators[0], commitment);
        assertEq(scoring.roundOf(taskId).committedSeats, 32_767);
        assertEq(scoring.roundOf(taskId).pageWords, 1);
    }
}
