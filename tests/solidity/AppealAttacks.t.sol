// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../contracts/interfaces/IAppeals.sol";
import {IFaults} from "../../contracts/interfaces/IFaults.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {AppealScenario} from "./utils/AppealScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Attacks on and by appeals, each with the attacker's whole balance: what its accounts hold when every claim is paid and all
/// stake has left, compared with honest play from the same state. Each runs with committees of 9, 21 and 51 seats.
contract AppealAttacksTest is AppealScenario {
    using PlainScores for uint256[];

    uint256[3] private sizes = [uint256(9), 21, 51];
    address[] private gang; // accounts of the attacker

    /// @dev Tokens of the attacker once everything is paid out.
    function balance() private view returns (uint256 sum) {
        for (uint256 i = 0; i < gang.length; ++i) {
            sum += token.balanceOf(gang[i]) + token.balanceOf(signerOf(gang[i]));
        }
    }

    function paramsOf(uint256 seats) private view returns (ITaskRegistry.TaskParams memory params) {
        params = sealedParams();
        params.targetSeats = uint16(seats);
    }

    function settledWith(uint256 seats, uint256 top) private returns (uint256 taskId) {
        taskId = post(paramsOf(seats));
        fill(taskId, trainers, validators);
        if (top != 0) {
            token.approve(address(rewards), top);
            rewards.topUp(taskId, top);
        }
        openSet(taskId);
        drawSeed(taskId, keccak256("seed"));
        settleRows(taskId, around(ladder(trainers.length), 6));
    }

    /// @dev The end of a task without an appeal.
    function settleHonestly(uint256 taskId, uint256[] memory medians) private returns (uint256) {
        vm.warp(scoring.roundOf(taskId).settledAt + 2 hours);
        finalise(taskId);
        drain(taskId, medians, 50);
        return balance();
    }

    // ------------------------------------------------------------------ an appeal's 0

    /// @dev A trainer with the worst entry, an appellant and every seat of the jury find that no entry is to be had. In the first edition
    /// this replaced right scores, returned the bond and paid a premium.
    function test_FindingNothingDoesNotPay() external {
        vm.pauseGasMetering(); // more than a block holds
        gang = [trainers[0], appellant, keeper];
        for (uint256 j = 0; j < 6; ++j) {
            gang.push(jurors[j]);
        }
        for (uint256 k = 0; k < 3; ++k) {
            uint256 snapshot = vm.snapshotState();
            uint256 taskId = settledWith(sizes[k], 0);
            uint256 middleState = vm.snapshotState();
            uint256 honest = settleHonestly(taskId, middle);
            vm.revertToState(middleState);
            // All rivals of the trainer are found 0.
            contest(taskId, 0, middle);
            enrolJury(taskId);
            vm.warp(appeals.appealOf(taskId).enrolEnd);
            uint256[] memory found = new uint256[](SCORED);
            found[0] = middle[0];
            judge(taskId, found);
            resolve(taskId, 0);
            assertEq(scoring.totalsOf(taskId).weights, middle.weights(655, 2), "right scores stand");
            finalise(taskId);
            drain(taskId, middle, 50);
            // The bond went to its own jurors, and the tips to its keeper, but one for each step that this contract sent.
            assertLt(balance(), honest);
            vm.revertToState(snapshot);
        }
    }

    // ------------------------------------------------------------------ bonds and tips

    /// @dev Contest every right word, and send every step oneself. With top-ups of many times the bounty the bond grows as well.
    function test_ContestingRightMediansDoesNotPay() external {
        vm.pauseGasMetering(); // more than a block holds
        address[] memory more = joinMany("more", 16);
        for (uint256 i = 0; i < 16; ++i) {
            trainers.push(more[i]);
        }
        gang = [appellant];
        for (uint256 k = 0; k < 3; ++k) {
            for (uint256 top = 0; top < 2; ++top) {
                uint256 snapshot = vm.snapshotState();
                uint256 taskId = settledWith(sizes[k], top * 9000e18);
                uint256 middleState = vm.snapshotState();
                uint256 honest = settleHonestly(taskId, middle);
                vm.revertToState(middleState);
                uint256 pool = rewards.validatorsPoolOf(taskId);
                if (top == 1) assertGt(pool, 2700e18);
                contest(taskId, 0, middle);
                contest(taskId, 1, middle);
                enrolJury(taskId);
                vm.warp(appeals.appealOf(taskId).enrolEnd);
                vm.startPrank(appellant);
                committee.requestSeed(taskId);
                vm.stopPrank();
                bytes memory header = mine(committee.roundOf(taskId).target, keccak256("appeal seed"));
                vm.prank(appellant);
                committee.fixSeed(taskId, header);
                uint256[][] memory rows = new uint256[][](6);
                for (uint256 j = 0; j < 6; ++j) {
                    rows[j] = lanesOf(plus(middle, 500));
                }
                scoreAll(committee, taskId, jurors, rows);
                settleContests(taskId, jurors, rows);
                for (uint256 index = 0; index < 2; ++index) {
                    bytes32[6] memory proof = middle.pack().proof(index);
                    vm.prank(appellant);
                    appeals.resolve(taskId, index, proof);
                }
                finalise(taskId);
                drain(taskId, middle, 50);
                // Half of what validators are paid, and nothing back: tips were its own.
                assertLe(balance() + pool / 2, honest);
                vm.revertToState(snapshot);
            }
        }
    }

    // ------------------------------------------------------------------ copies

    /// @dev Every juror copies the medians, which are public: none is paid, and the appellant has its award back.
    function test_CopyingAsAWholeJuryDoesNotPay() external {
        vm.pauseGasMetering(); // more than a block holds
        gang = jurors;
        for (uint256 k = 0; k < 3; ++k) {
            uint256 snapshot = vm.snapshotState();
            uint256 taskId = settledWith(sizes[k], 0);
            contest(taskId, 0, middle);
            enrolJury(taskId);
            vm.warp(appeals.appealOf(taskId).enrolEnd);
            uint256 before = worthOfJury();
            judge(taskId, middle);
            resolve(taskId, 0);
            assertEq(appeals.owedTo(appellant), appeals.appealOf(taskId).award);
            finalise(taskId);
            drain(taskId, middle, 50);
            assertLe(balance(), before, "no pay");
            vm.revertToState(snapshot);
        }
    }

    function worthOfJury() private view returns (uint256 sum) {
        for (uint256 j = 0; j < 6; ++j) {
            sum += worth(jurors[j]) + token.balanceOf(signerOf(jurors[j]));
        }
    }

    /// @dev Two of six jurors copy the medians of the task; honest ones score a fresh part, where an entry differs by 700. The copies
    /// are not paid, and are overturned: 8h is 600.
    function test_CopyingBesideHonestJurorsCostsStake() external {
        vm.pauseGasMetering(); // more than a block holds
        gang = [jurors[0], jurors[1]];
        for (uint256 k = 0; k < 3; ++k) {
            uint256 snapshot = vm.snapshotState();
            uint256[2] memory result;
            for (uint256 copies = 0; copies < 2; ++copies) {
                uint256 state = vm.snapshotState();
                uint256 taskId = settledWith(sizes[k], 0);
                contest(taskId, 0, middle);
                enrolJury(taskId);
                vm.warp(appeals.appealOf(taskId).enrolEnd);
                uint256[][] memory rows = new uint256[][](6);
                for (uint256 j = 0; j < 6; ++j) {
                    rows[j] = lanesOf(middle);
                    if (copies == 0 || j > 1) rows[j][1] += 700;
                }
                judge(taskId, rows);
                resolve(taskId, 0);
                for (uint256 j = 0; copies == 1 && j < 2; ++j) {
                    assertEq(committee.paidSeatsOf(taskId, jurors[j]), 0);
                    uint256[] memory words = rows[j].pack();
                    vm.prank(jurors[j]); // its own reporter
                    faults.reportJuror(taskId, jurors[j], words);
                }
                finalise(taskId);
                drain(taskId, middle, 50);
                result[copies] = balance();
                vm.revertToState(state);
            }
            uint256 stake = 2 * (STAKE + 1000e18);
            assertGt(result[0], stake, "honest jurors are paid");
            assertLt(result[1], stake, "copies cost");
            vm.revertToState(snapshot);
        }
    }

    // ------------------------------------------------------------------ an appeal after a second committee

    /// @dev The attacker has five of six validators. It misses the quorum of the first committee, so that few are left, and has most
    /// seats of the second, which praises its own entry. In the first edition an appeal drew those who had left again, and failed.
    function test_AppealAfterASecondCommitteeOverturnsIt() external {
        vm.pauseGasMetering(); // more than a block holds
        gang = [trainers[0], validators[0], validators[1], validators[2], validators[3], validators[4]];
        for (uint256 k = 0; k < 3; ++k) {
            int256 gain = 0;
            for (uint256 salt = 0; salt < 4; ++salt) {
                uint256 snapshot = vm.snapshotState();
                uint256 taskId = settledWith(sizes[k], 0);
                uint256 honest = settleHonestly(taskId, middle);
                vm.revertToState(snapshot);
                snapshot = vm.snapshotState();
                if (strike(sizes[k], bytes32(salt))) gain += int256(balance()) - int256(honest);
                vm.revertToState(snapshot);
            }
            assertTrue(gain < 0, "in the mean over four draws");
        }
    }

    /// @dev Returns false if the second committee was not its own.
    function strike(uint256 seats, bytes32 salt) private returns (bool) {
        uint256 taskId = seeded(paramsOf(seats));
        uint256 left = seats;
        uint256 silent = 0;
        for (; silent < 3 && 2 * left > seats; ++silent) {
            left -= scoring.seatsOf(taskId, validators[silent]) < left
                ? scoring.seatsOf(taskId, validators[silent])
                : left;
            abstain(scoring, taskId, validators[silent]);
        }
        uint256[] memory lie = ladder(SCORED);
        for (uint256 j = silent; j < 6; ++j) {
            commit(scoring, taskId, validators[j], lie);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = silent; j < 6; ++j) {
            reveal(scoring, taskId, validators[j], lie);
        }
        scoring.failRound(taskId);
        drawSeed(taskId, keccak256(abi.encode("second", salt)));
        address[] memory who = seatedOf(scoring, taskId, validators);
        (lie[0], lie[1], lie[2]) = (32_000, 700, 700);
        uint256[][] memory rows = new uint256[][](who.length);
        for (uint256 j = 0; j < who.length; ++j) {
            rows[j] = who[j] == validators[5] ? ladder(SCORED) : lie;
        }
        scoreAll(scoring, taskId, who, rows);
        settleAll(taskId, who, rows);
        middle = middleOf(taskId, who, rows);
        if (middle[0] != 32_000) return false;
        contest(taskId, 0, middle);
        for (uint256 j = 0; j < 6; ++j) {
            vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsWasSeated.selector, taskId, validators[j]));
            this.enrolOutside(taskId, validators[j]);
        }
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        judge(taskId, plus(ladder(SCORED), 300));
        resolve(taskId, 0);
        assertTrue(appeals.contestOf(taskId, 0).moved);
        for (uint256 j = 0; j < who.length; ++j) {
            uint256[] memory words = rows[j].pack();
            if (who[j] == validators[5]) {
                vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNoFault.selector, taskId, who[j]));
            } else {
                vm.prank(trainers[0]); // its own reporter
            }
            appeals.reportOverturned(taskId, who[j], 0, words);
        }
        finalise(taskId);
        for (uint256 j = 0; j < silent; ++j) {
            vm.prank(trainers[0]);
            faults.reportMissed(taskId, 0, validators[j]);
        }
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNoFault.selector, taskId, validators[5]));
        faults.reportMissed(taskId, 0, validators[5]);
        drain(taskId, plus(ladder(SCORED), 300), 50);
        return true;
    }

    function enrolOutside(uint256 taskId, address operator) external {
        vm.prank(signerOf(operator));
        committee.enrol(taskId, operator, 1000e18);
    }
}
