// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../../contracts/interfaces/IAppeals.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyScenario} from "./CoveyScenario.sol";
import {PlainScores} from "./PlainScores.sol";

/// @notice A settled sealed task, its appeal, and what a group of accounts is worth.
abstract contract AppealScenario is CoveyScenario {
    using PlainScores for uint256[];

    uint256 internal constant SCORED = 3; // entries
    uint256[] internal middle; // medians of the task

    function setUp() public virtual override {
        super.setUp();
        joinAll(SCORED, 6);
        joinJury(6);
    }

    function params18() internal view returns (ITaskRegistry.TaskParams memory params) {
        params = sealedParams();
        params.targetSeats = 18;
    }

    /// @notice Run a sealed task until it is settled: validators[j] gives rows[j].
    function settledTask(ITaskRegistry.TaskParams memory params, uint256[][] memory rows)
        internal
        returns (uint256 taskId)
    {
        taskId = seeded(params);
        settleRows(taskId, rows);
    }

    function settleRows(uint256 taskId, uint256[][] memory rows) internal {
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        middle = middleOf(taskId, validators, rows);
    }

    function settledTask() internal returns (uint256) {
        return settledTask(params18(), around(ladder(SCORED), 6));
    }

    /// @notice Contest the only word, let all jurors enrol, and wait for the end of enrolment.
    function contested() internal returns (uint256 taskId) {
        taskId = settledTask();
        contest(taskId, 0, middle);
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
    }

    /// @notice Sixteen lanes with these scores first.
    function lanesOf(uint256[] memory scores) internal pure returns (uint256[] memory lanes) {
        lanes = new uint256[]((scores.length + 15) / 16 * 16);
        for (uint256 i = 0; i < scores.length; ++i) {
            lanes[i] = scores[i];
        }
    }

    /// @notice Draw the jury; juror j scores rows[j], and the only page is settled.
    function judge(uint256 taskId, uint256[][] memory rows) internal {
        seed(committee, taskId, keccak256("appeal seed"));
        address[] memory who = seatedOf(committee, taskId, jurors);
        assertEq(who.length, rows.length, "every juror has a seat");
        scoreAll(committee, taskId, who, rows);
        settleContests(taskId, who, rows);
        assertEq(uint256(appeals.appealOf(taskId).state), uint256(IAppeals.AppealState.Settled));
    }

    /// @notice All jurors score the same.
    function judge(uint256 taskId, uint256[] memory scores) internal {
        uint256[][] memory rows = new uint256[][](jurors.length);
        for (uint256 j = 0; j < rows.length; ++j) {
            rows[j] = lanesOf(scores);
        }
        judge(taskId, rows);
    }

    function resolve(uint256 taskId, uint256 index) internal {
        bytes32[6] memory proof = middle.pack().proof(appeals.contestOf(taskId, index).word);
        vm.prank(keeper);
        appeals.resolve(taskId, index, proof);
    }

    function plus(uint256[] memory scores, int256 difference) internal pure returns (uint256[] memory moved) {
        moved = new uint256[](scores.length);
        for (uint256 i = 0; i < scores.length; ++i) {
            moved[i] = uint256(int256(scores[i]) + difference);
        }
    }

    /// @notice Tokens of an account: held, credited, or staked in its own pool.
    function worth(address account) internal view returns (uint256 sum) {
        sum = token.balanceOf(account) + rewards.owedTo(account) + appeals.owedTo(account) + staking.owedTo(account);
        IStaking.PoolView memory pool = staking.poolOf(account);
        sum += pool.selfBond + pool.undripped;
    }
}
