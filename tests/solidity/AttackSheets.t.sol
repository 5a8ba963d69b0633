// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyScenario} from "./utils/CoveyScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Attacks on endings and committees, with the attacker's whole balance sheet: bounty, bond, stakes, credits, and what an accomplice
/// earns by reporting. Gas is not counted, which favours the attacker. The stake behind the task is near the least, five times the bounty.
contract AttackSheetsTest is CoveyScenario {
    using PlainScores for uint256[];

    uint256 private constant BOUNTY = 18_000e18;
    uint256 private constant OPERATORS = 10;
    uint256 private constant DRAWS = 6;

    address private accomplice = makeAddr("accomplice");
    uint256[] private truth;

    /// @dev The first of the validators belong to the creator.
    struct Sheet {
        uint256 own; // validators of the creator
        uint256 before; // what the attacker had
        uint256 runs; // draws in which the attack could be tried
        uint256 wins; // draws in which it succeeded
        uint256 lost; // sum over `runs`
        uint256 least; // smallest loss of a success
    }

    function setUp() public override {
        super.setUp();
        joinAll(3, OPERATORS);
        truth = ladder(3);
    }

    // ------------------------------------------------------------------ the account

    function committees() private pure returns (uint16[3] memory) {
        return [uint16(9), 21, 51];
    }

    function params(uint16 seats, bool isSealed) private view returns (ITaskRegistry.TaskParams memory p) {
        p = isSealed ? sealedParams() : localParams();
        p.targetSeats = seats;
        (p.bounty, p.minStake) = (uint128(BOUNTY), uint128(5 * BOUNTY));
    }

    function wealth(uint256 own) private view returns (uint256 sum) {
        sum = token.balanceOf(creator) + rewards.owedTo(creator) + staking.owedTo(accomplice);
        for (uint256 j = 0; j < own; ++j) {
            address operator = validators[j];
            sum += staking.tokensFor(operator, staking.sharesOf(operator, operator));
            sum += staking.poolOf(operator).undripped + token.balanceOf(operator) + rewards.owedTo(operator);
        }
    }

    /// @dev A task whose seed can be requested; third parties add `extra`.
    function ready(uint16 seats, bool isSealed, uint256 extra) private returns (uint256 taskId) {
        taskId = post(params(seats, isSealed));
        fill(taskId, trainers, validators);
        if (isSealed) openSet(taskId);
        if (extra == 0) return taskId;
        token.approve(address(rewards), extra);
        rewards.topUp(taskId, extra);
    }

    /// @dev What anybody would report, the accomplice reports first; then the attacker claims what it is owed.
    function account(uint256 taskId, uint256 own) private {
        for (uint256 j = 0; j < own; ++j) {
            address operator = validators[j];
            for (uint8 number = 0; number < 2; ++number) {
                if (scoring.roundAt(taskId, number).scoreCommitEnd == 0) continue;
                ICommittee.RowStatus status = scoring.rowAt(taskId, number, operator).status;
                vm.startPrank(accomplice);
                if (status == ICommittee.RowStatus.None && scoring.seatsAt(taskId, number, operator) != 0) {
                    scoring.reportAbsent(taskId, number, operator);
                }
                if (faults.silentSeatsOf(taskId, number, operator) != 0) {
                    faults.reportMissed(taskId, number, operator);
                }
                vm.stopPrank();
            }
            if (registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Paid) continue;
            if (rewards.scoringReward(taskId, operator) != 0) rewards.claimScoring(taskId, operator);
        }
    }

    function count(Sheet memory sheet, bool success) private view {
        uint256 now_ = wealth(sheet.own);
        uint256 loss = sheet.before > now_ ? sheet.before - now_ : 0;
        assertLe(now_, sheet.before, "the attacker gained");
        ++sheet.runs;
        sheet.lost += loss;
        if (!success) return;
        ++sheet.wins;
        if (loss < sheet.least) sheet.least = loss;
    }

    function begin(uint256 own) private view returns (Sheet memory sheet) {
        sheet.own = own;
        sheet.before = wealth(own);
        sheet.least = type(uint256).max;
    }

    // ------------------------------------------------------------------ point 9: striking

    /// @dev Abstain with as few seats as miss the quorum; the others, and all honest ones, reveal. False if it cannot be missed.
    function strike(uint256 taskId, uint256 own) private returns (bool) {
        uint256 all = 0;
        uint256[] memory seats = new uint256[](OPERATORS);
        for (uint256 j = 0; j < OPERATORS; ++j) {
            seats[j] = scoring.seatsOf(taskId, validators[j]);
            all += seats[j];
        }
        uint256 half = registry.paramsOf(taskId).targetSeats / 2;
        bool[] memory silent = new bool[](OPERATORS);
        for (uint256 j = 0; j < own && all > half; ++j) {
            if (seats[j] == 0) continue;
            (silent[j], all) = (true, all - seats[j]);
        }
        if (all > half) return false;
        for (uint256 j = 0; j < OPERATORS; ++j) {
            if (seats[j] == 0) continue;
            if (silent[j]) abstain(scoring, taskId, validators[j]);
            else commit(scoring, taskId, validators[j], truth);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 0; j < OPERATORS; ++j) {
            if (seats[j] != 0 && !silent[j]) reveal(scoring, taskId, validators[j], truth);
        }
        scoring.failRound(taskId);
        return true;
    }

    /// @dev The round that the attacker could not break.
    function playHonestly(uint256 taskId) private {
        address[] memory who = seatedOf(scoring, taskId, validators);
        uint256[][] memory rows = around(truth, who.length);
        scoreAll(scoring, taskId, who, rows);
        if (2 * uint256(scoring.roundOf(taskId).revealedSeats) <= registry.paramsOf(taskId).targetSeats) {
            scoring.failRound(taskId);
            return;
        }
        settleAll(taskId, who, rows);
        vm.warp(scoring.roundOf(taskId).settledAt + registry.paramsOf(taskId).windows.appeal);
        finalise(taskId);
    }

    /// @dev A creator with most of the stake sees the adapters and breaks both quorums by abstaining. The bounty returns, and the seats
    /// that were silent pay about as much.
    function test_CreatorThatBreaksItsQuorumLosesHalfOfTheBounty() external {
        vm.pauseGasMetering();
        for (uint256 k = 0; k < 3; ++k) {
            Sheet memory sheet = begin(8);
            uint256 taskId = ready(committees()[k], false, 0);
            for (uint256 draw = 0; draw < DRAWS; ++draw) {
                strikeOnce(taskId, sheet, draw);
            }
            assertGt(sheet.wins, DRAWS / 2, "the attack was not tried");
            assertGe(sheet.lost / sheet.runs, BOUNTY / 2, "in the mean over draws");
            if (k != 0) assertGe(sheet.least, BOUNTY / 2, "in every draw");
        }
    }

    function strikeOnce(uint256 taskId, Sheet memory sheet, uint256 draw) private {
        uint256 snapshot = vm.snapshotState();
        drawSeed(taskId, keccak256(abi.encode("strike", draw)));
        if (strike(taskId, sheet.own)) {
            if (outcomeOf(taskId) == 0) {
                drawSeed(taskId, keccak256(abi.encode("strike again", draw)));
                if (!strike(taskId, sheet.own)) playHonestly(taskId);
            }
            account(taskId, sheet.own);
            count(sheet, registry.outcomeOf(taskId) == ITaskRegistry.Outcome.Failed);
        }
        vm.revertToState(snapshot); // the sheet is in memory, and stays
    }

    /// @dev Strikers that are not the creator only pay: nothing of it goes to anybody who voted for it.
    function test_StrikeOfAMinorityCostsAndFailsNothing() external {
        vm.pauseGasMetering();
        for (uint256 k = 0; k < 3; ++k) {
            uint256 taskId = ready(committees()[k], false, 0);
            drawSeed(taskId, keccak256("few"));
            assertFalse(strike(taskId, 3));
            playHonestly(taskId);
            assertEq(outcomeOf(taskId), uint256(ITaskRegistry.Outcome.Paid));
        }
    }

    // ------------------------------------------------------------------ points 1 and 2: zeros, and scores below the floor

    /// @dev The creator's validators give `score` to every entry, in every round; the others score the truth.
    function playDown(uint256 taskId, uint256 own, uint256 score) private {
        address[] memory who = seatedOf(scoring, taskId, validators);
        uint256[][] memory rows = new uint256[][](who.length);
        for (uint256 j = 0; j < who.length; ++j) {
            rows[j] = new uint256[](3);
            bool mine = false;
            for (uint256 i = 0; i < own; ++i) {
                if (who[j] == validators[i]) mine = true;
            }
            for (uint256 i = 0; i < 3; ++i) {
                rows[j][i] = mine ? score : truth[i];
            }
        }
        scoreAll(scoring, taskId, who, rows);
        settleAll(taskId, who, rows);
    }

    function scoreDown(uint16 seats, uint256 score) private returns (Sheet memory sheet) {
        sheet = begin(8);
        uint256 taskId = ready(seats, false, 0);
        for (uint256 draw = 0; draw < DRAWS; ++draw) {
            uint256 snapshot = vm.snapshotState();
            scoreDownOnce(taskId, sheet, score, draw);
            vm.revertToState(snapshot); // the sheet is in memory, and stays
        }
        assertGt(sheet.wins, DRAWS / 2, "the attack was not tried");
    }

    function scoreDownOnce(uint256 taskId, Sheet memory sheet, uint256 score, uint256 draw) private {
        drawSeed(taskId, keccak256(abi.encode("down", draw)));
        playDown(taskId, sheet.own, score);
        if (scoring.roundOf(taskId).number == 1) {
            drawSeed(taskId, keccak256(abi.encode("down again", draw)));
            playDown(taskId, sheet.own, score);
        }
        if (outcomeOf(taskId) == 0) finalise(taskId);
        account(taskId, sheet.own);
        bool paid = registry.outcomeOf(taskId) == ITaskRegistry.Outcome.Paid;
        count(sheet, !paid || scoring.totalsOf(taskId).weights == 0);
    }

    function test_CreatorThatScoresAllZeroLosesHalfOfTheBounty() external {
        vm.pauseGasMetering();
        for (uint256 k = 0; k < 3; ++k) {
            assertGe(scoreDown(committees()[k], 0).least, BOUNTY / 2);
        }
    }

    function test_CreatorThatScoresBelowTheFloorLosesHalfOfTheBounty() external {
        vm.pauseGasMetering();
        for (uint256 k = 0; k < 3; ++k) {
            assertGe(scoreDown(committees()[k], 1).least, BOUNTY / 2);
            assertGe(scoreDown(committees()[k], 600).least, BOUNTY / 2);
        }
    }

    /// @dev What others add changes nothing for an attacker that lets nobody earn it.
    function test_TopUpsAreNoPreyOfACreator() external {
        vm.pauseGasMetering();
        for (uint256 k = 0; k < 3; ++k) {
            for (uint256 score = 0; score < 2; ++score) {
                uint256 snapshot = vm.snapshotState();
                // A stake of 100,000 carries 20,000: a smaller bounty, and the rest by others.
                Sheet memory plain = scoreDownSmall(committees()[k], score, 0);
                vm.revertToState(snapshot);
                snapshot = vm.snapshotState();
                Sheet memory topped = scoreDownSmall(committees()[k], score, 15_000e18);
                vm.revertToState(snapshot);
                assertGe(topped.lost, plain.lost);
                assertGe(topped.least, 2500e18);
            }
        }
    }

    function scoreDownSmall(uint16 seats, uint256 score, uint256 extra) private returns (Sheet memory sheet) {
        sheet = begin(8);
        ITaskRegistry.TaskParams memory p = params(seats, false);
        (p.bounty, p.minStake) = (5000e18, 25_000e18);
        uint256 taskId = post(p);
        fill(taskId, trainers, validators);
        token.approve(address(rewards), extra);
        if (extra != 0) rewards.topUp(taskId, extra);
        drawSeed(taskId, keccak256("small"));
        playDown(taskId, sheet.own, score);
        if (scoring.roundOf(taskId).number == 1) {
            drawSeed(taskId, keccak256("small again"));
            playDown(taskId, sheet.own, score);
        }
        if (outcomeOf(taskId) == 0) finalise(taskId);
        account(taskId, sheet.own);
        assertEq(scoring.totalsOf(taskId).weights, 0);
        count(sheet, true);
    }

    // ------------------------------------------------------------------ point 4: splitting

    /// @dev Half of the stake in one operator, or in many of the least size: silence of all costs the same per seat, and seats are
    /// proportional to stake in the mean.
    function test_SplittingStakeChangesNoPenalty() external {
        vm.pauseGasMetering();
        for (uint256 k = 0; k < 3; ++k) {
            uint256 merged = silence(committees()[k], 1);
            uint256 parted = silence(committees()[k], committees()[k] / 2);
            // Means over draws: half of the seats at a unit of the bounty over K, at 5% and 100%.
            assertApproxEqRel(merged, parted, 0.1e18);
            assertApproxEqRel(merged, BOUNTY / 2 * 105 / 100, 0.1e18);
        }
    }

    /// @dev Mean loss of the accounts of half of the stake, absent from a task that fails by it.
    function silence(uint16 seats, uint256 parts) private returns (uint256 lost) {
        uint256 snapshot = vm.snapshotState();
        address[] memory own = new address[](parts);
        for (uint256 i = 0; i < parts; ++i) {
            own[i] = join(string.concat("part ", decimal(i)), part(parts, 0) + 1e18);
        }
        uint256 taskId = parted(seats, own);
        uint256 draws = seats == 9 ? 24 : 8;
        for (uint256 draw = 0; draw < draws; ++draw) {
            lost += silenceOnce(taskId, own, draw);
        }
        vm.revertToState(snapshot);
        return lost / draws;
    }

    /// @dev Stake of one of the parts; the first takes what the division leaves.
    function part(uint256 parts, uint256 i) private pure returns (uint256) {
        return 50_000e18 / parts + (i == 0 ? 50_000e18 % parts : 0);
    }

    function parted(uint16 seats, address[] memory own) private returns (uint256 taskId) {
        taskId = post(params(seats, false));
        for (uint256 i = 0; i < 3; ++i) {
            commitEntry(taskId, trainers[i]);
        }
        ITaskRegistry.Schedule memory schedule = registry.scheduleOf(taskId);
        vm.warp(schedule.entryCommitEnd);
        for (uint256 i = 0; i < own.length; ++i) {
            enrol(taskId, own[i], part(own.length, i));
        }
        for (uint256 j = 0; j < 5; ++j) {
            enrol(taskId, validators[j], STAKE);
        }
        vm.warp(schedule.enrolEnd);
        for (uint256 i = 0; i < 3; ++i) {
            revealEntry(taskId, trainers[i]);
        }
        vm.warp(schedule.entryRevealEnd);
    }

    function silenceOnce(uint256 taskId, address[] memory own, uint256 draw) private returns (uint256 lost) {
        uint256 snapshot = vm.snapshotState();
        drawSeed(taskId, keccak256(abi.encode("split", draw)));
        vm.warp(registry.scheduleOf(taskId).expiresAt);
        registry.expire(taskId);
        for (uint256 i = 0; i < own.length; ++i) {
            if (scoring.seatsAt(taskId, 0, own[i]) == 0) continue;
            lost += poolValue(own[i]);
            scoring.reportAbsent(taskId, 0, own[i]);
            faults.reportMissed(taskId, 0, own[i]);
            lost -= poolValue(own[i]);
        }
        vm.revertToState(snapshot);
    }

    // ------------------------------------------------------------------ point 8: copying in a second committee

    /// @dev The rows of the first committee are public. In a sealed task the second scores a fresh part: honest rows differ from the old
    /// ones by rounding and by the part, and a copy of the old medians has a loss.
    function test_CopyInASealedSecondCommitteeEarnsNothing() external {
        vm.pauseGasMetering();
        for (uint256 k = 0; k < 3; ++k) {
            uint256 taskId = ready(committees()[k], true, 0);
            drawSeed(taskId, keccak256("copied"));
            assertTrue(strike(taskId, 8));
            drawSeed(taskId, keccak256("fresh part"));
            address[] memory who = seatedOf(scoring, taskId, validators);
            assertGt(who.length, 2);
            uint256[][] memory rows = new uint256[][](who.length);
            for (uint256 j = 0; j < who.length; ++j) {
                rows[j] = new uint256[](3);
                for (uint256 i = 0; i < 3; ++i) {
                    // The first copies; the part moves two of three scores by more than h.
                    rows[j][i] = j == 0 ? truth[i] : truth[i] + (i == 0 ? 10 : 120) + j;
                }
            }
            scoreAll(scoring, taskId, who, rows);
            if (2 * uint256(scoring.roundOf(taskId).revealedSeats) <= committees()[k]) {
                // Too few were left for a quorum: the others are paid nothing either.
                continue;
            }
            settleAll(taskId, who, rows);
            vm.warp(vm.getBlockTimestamp() + 2 hours);
            finalise(taskId);
            (, uint256 gain) = scoring.shareOf(taskId, who[0]);
            assertEq(gain, 0);
            assertEq(rewards.scoringReward(taskId, who[0]), 0, "the copy");
            for (uint256 j = 1; j < who.length; ++j) {
                assertEq(scoring.gainOf(taskId, who[j]), 1);
                assertGt(rewards.scoringReward(taskId, who[j]), 0, "an honest row");
            }
        }
    }
}
