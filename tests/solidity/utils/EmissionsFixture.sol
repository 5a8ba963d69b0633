// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

import {CoveyToken} from "../../../contracts/CoveyToken.sol";
import {Emissions} from "../../../contracts/Emissions.sol";
import {Staking} from "../../../contracts/Staking.sol";
import {IEmissions} from "../../../contracts/interfaces/IEmissions.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {Consent} from "./Consent.sol";
import {TaskStub} from "./TaskStub.sol";
import {Test} from "./Test.sol";

/// @notice Emissions with the real token and staking, this contract as governor, and two operators with 1,000 and 3,000 CVY.
abstract contract EmissionsFixture is Test {
    uint256 internal constant SUPPLY = 200_000_000e18;
    uint256 internal constant PER_DAY = 10_000e18;
    uint256 internal constant DECAY = 0.999e18;
    /// @dev For a few accruals, each of which rounds by less than totalWeight / 2^72 + 1 wei per task.
    uint256 internal constant DUST = 100;
    uint40 internal constant TASK_LIFE = 20 days;

    AccessManager internal manager;
    CoveyToken internal token;
    Staking internal staking;
    TaskStub internal tasks;
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
                jailPeriod: 2 days,
                leverage: 5
            })
        );
        staking.setDuty(duty, true);
        tasks = new TaskStub(token);
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
        return Consent.signerOf(operator);
    }

    function join(address operator, uint256 amount) internal {
        bytes memory consent = Consent.of_(staking, Consent.keyOf(operator), operator);
        vm.prank(operator);
        staking.registerOperator(signerOf(operator), operator, 1000, consent);
        stake(operator, operator, amount);
    }

    function stake(address operator, address from, uint256 amount) internal {
        require(token.transfer(from, amount));
        vm.startPrank(from);
        token.approve(address(staking), amount);
        staking.delegate(operator, amount, 0);
        vm.stopPrank();
    }

    /// @notice Create a task that runs for TASK_LIFE and accepts up to `limit`.
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

    /// @notice Amount emitted `elapsed` seconds after the configuration, by the rule of IEmissions, day by day.
    function letOut(uint256 perDay, uint256 decay, uint256 elapsed) internal pure returns (uint256 sum) {
        for (; elapsed >= 1 days; elapsed -= 1 days) {
            sum += perDay;
            perDay = perDay * decay / 1e18;
        }
        return sum + perDay * elapsed / 1 days;
    }
}
