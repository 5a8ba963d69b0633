// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {CoveyToken} from "../../../contracts/CoveyToken.sol";
import {Emissions} from "../../../contracts/Emissions.sol";
import {Staking} from "../../../contracts/Staking.sol";
import {IEmissions} from "../../../contracts/interfaces/IEmissions.sol";
import {IRewards} from "../../../contracts/interfaces/IRewards.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../../contracts/interfaces/ITaskRegistry.sol";
import {Test} from "./Test.sol";

/// @notice What Emissions sees of TaskRegistry, Scoring and Rewards, with endings at will: an escrow that takes exactly what it is
/// offered, up to the task's limit, while the task runs and is not settled. The same calls against the real ones: EmissionsTask.t.sol.
contract TaskHarness {
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

/// @notice Emissions over the real token and staking, with this contract as governor, and two operators of 1,000 and 3,000 CVY.
abstract contract EmissionsFixture is Test {
    uint256 internal constant SUPPLY = 200_000_000e18;
    uint256 internal constant PER_DAY = 10_000e18;
    uint256 internal constant DECAY = 0.999e18;
    /// @dev Of a few countings: each loses less than totalWeight / 2^72 + 1 wei a task to rounding.
    uint256 internal constant DUST = 100;
    uint40 internal constant TASK_LIFE = 20 days;

    AccessManager internal manager;
    CoveyToken internal token;
    Staking internal staking;
    TaskHarness internal tasks;
    Emissions internal emissions;
    address internal duty = makeAddr("duty");
    address internal small = makeAddr("small operator");
    address internal large = makeAddr("large operator");

    function setUp() public virtual {
        manager = new AccessManager(address(this));
        token = new CoveyToken(address(manager), address(this), SUPPLY);
        staking = new Staking(
            address(manager),
            address(token),
            makeAddr("treasury"),
            IStaking.StakingConfig({
                minSelfBond: 100e18,
                unbondingPeriod: TASK_LIFE,
                maxTaskLife: TASK_LIFE,
                dripPeriod: 7 days,
                commissionNotice: 3 days,
                maxCommissionBps: 5000,
                absenceCapBps: 500,
                jailPeriod: 2 days
            })
        );
        staking.setDuty(duty, true);
        tasks = new TaskHarness(token);
        emissions = new Emissions(
            address(manager), address(token), address(staking), address(tasks), address(tasks), address(tasks)
        );
        bytes4[] memory mint = new bytes4[](1);
        mint[0] = CoveyToken.mint.selector;
        manager.setTargetFunctionRole(address(token), mint, 2);
        manager.grantRole(2, address(emissions), 0);
        join(small, 1000e18);
        join(large, 3000e18);
        skip(1 hours);
    }

    function defaults() internal pure returns (IEmissions.EmissionsConfig memory) {
        return IEmissions.EmissionsConfig({
            perDay: PER_DAY, decay: DECAY, cap: 50_000_000e18, taskCap: 1_000_000e18, quorum: 0
        });
    }

    function turnOn() internal {
        emissions.configure(defaults());
    }

    function signerOf(address operator) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("signer", operator)))));
    }

    function join(address operator, uint256 amount) internal {
        vm.prank(operator);
        staking.registerOperator(signerOf(operator), operator, 1000);
        stake(operator, operator, amount);
    }

    function stake(address operator, address from, uint256 amount) internal {
        require(token.transfer(from, amount));
        vm.startPrank(from);
        token.approve(address(staking), amount);
        staking.delegate(operator, amount, 0);
        vm.stopPrank();
    }

    /// @notice A task that runs for TASK_LIFE and takes up to `limit`.
    function post(uint256 limit) internal returns (uint256 taskId) {
        return tasks.post(100e18, 100e18 + limit, uint40(vm.getBlockTimestamp()) + TASK_LIFE);
    }

    function post() internal returns (uint256 taskId) {
        return post(100_000_000e18);
    }

    function vote(address operator, uint256 taskId, uint256 weight) internal {
        vm.prank(signerOf(operator));
        emissions.vote(operator, taskId, weight);
    }

    function pendingOf(uint256 taskId) internal view returns (uint256) {
        return emissions.shareOf(taskId).pending;
    }

    function weightOf(uint256 taskId) internal view returns (uint256) {
        return emissions.shareOf(taskId).weight;
    }

    function allotted() internal view returns (uint256) {
        return emissions.streamOf().allotted;
    }

    /// @notice What the stream has let out `elapsed` seconds after it was configured: the rule of IEmissions, day by day.
    function letOut(uint256 perDay, uint256 decay, uint256 elapsed) internal pure returns (uint256 sum) {
        for (; elapsed >= 1 days; elapsed -= 1 days) {
            sum += perDay;
            perDay = perDay * decay / 1e18;
        }
        return sum + perDay * elapsed / 1 days;
    }
}
