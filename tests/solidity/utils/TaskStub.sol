// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IRewards} from "../../../contracts/interfaces/IRewards.sol";
import {ITaskRegistry} from "../../../contracts/interfaces/ITaskRegistry.sol";

/// @notice A stub of TaskRegistry, Scoring and Rewards for Emissions, with settable outcomes. Its escrow accepts tokens up to the
/// task's limit while the task runs and is not settled. EmissionsTask.t.sol makes the same calls on the real contracts.
contract TaskStub {
    struct Task {
        uint256 bounty;
        uint256 extra;
        uint256 limit;
        uint40 expiresAt;
        ITaskRegistry.Outcome outcome;
        bool settled;
    }

    error HarnessRefused(uint256 taskId);

    IERC20 private immutable TOKEN;
    mapping(uint256 taskId => Task) public tasks;
    uint256 public count;

    constructor(IERC20 token) {
        TOKEN = token;
    }

    function post(uint256 bounty, uint256 limit, uint40 expiresAt) external returns (uint256 taskId) {
        taskId = ++count;
        tasks[taskId] = Task(bounty, 0, limit, expiresAt, ITaskRegistry.Outcome.Running, false);
    }

    function end(uint256 taskId, ITaskRegistry.Outcome outcome) external {
        tasks[taskId].outcome = outcome;
    }

    function settle(uint256 taskId) external {
        tasks[taskId].settled = true;
    }

    function topUp(uint256 taskId, uint256 amount) external {
        Task storage task = tasks[taskId];
        bool over = task.outcome != ITaskRegistry.Outcome.Running || task.settled;
        if (over || task.bounty + task.extra + amount > task.limit) revert HarnessRefused(taskId);
        task.extra += amount;
        require(TOKEN.transferFrom(msg.sender, address(this), amount));
    }

    function outcomeOf(uint256 taskId) external view returns (ITaskRegistry.Outcome) {
        return tasks[taskId].outcome;
    }

    function isSettled(uint256 taskId) external view returns (bool) {
        return tasks[taskId].settled;
    }

    function scheduleOf(uint256 taskId) external view returns (ITaskRegistry.Schedule memory schedule) {
        schedule.expiresAt = tasks[taskId].expiresAt;
    }

    function bountyLimitOf(uint256 taskId) external view returns (uint256) {
        return tasks[taskId].limit;
    }

    function escrowOf(uint256 taskId) external view returns (IRewards.Escrow memory escrow) {
        (escrow.bounty, escrow.extra) = (uint128(tasks[taskId].bounty), uint128(tasks[taskId].extra));
    }
}
