// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// via-IR: the test's own code is in what it measures.

import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyFixture} from "./utils/CoveyFixture.sol";
import {GasMeter} from "./utils/GasMeter.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Gas of the steps of a task, with the limits of the design.
contract ScoringGasTest is CoveyFixture {
    using PlainScores for uint256[];

    event log_named_uint(string key, uint256 val);
    GasMeter internal meter = new GasMeter();

    /// @dev A task with `entries` lanes and one seat or so for each validator, up to the open score commits.
    function open(uint256 entries, uint256 count) internal returns (uint256 taskId, address[] memory validators) {
        vm.pauseGasMetering(); // setting up takes more than a test has
        ITaskRegistry.TaskParams memory params = localParams();
        params.maxEntries = uint16(entries);
        params.targetSeats = uint16(count < 9 ? 9 : count);
        params.power = 3;
        validators = joinMany("validator", count);
        address[] memory trainers = joinMany("trainer", entries);
        taskId = post(params);
        fill(taskId, trainers, validators);
        drawSeed(taskId, keccak256("prevrandao"));
    }

    /// @notice Let the meter be an operator's signer.
    function actAs(address operator) internal {
        vm.etch(signerOf(operator), address(meter).code);
        meter = GasMeter(signerOf(operator));
    }

    function drawRows(uint256 entries, uint256 count) internal pure returns (uint256[][] memory rows) {
        rows = new uint256[][](count);
        for (uint256 j = 0; j < count; ++j) {
            rows[j] = new uint256[](entries);
            for (uint256 i = 0; i < entries; ++i) {
                uint256 centre = 2000 + uint256(keccak256(abi.encode(i))) % 20_000;
                rows[j][i] = centre + uint256(keccak256(abi.encode(i, j))) % 1200;
            }
        }
    }

    /// @dev Measures one transaction: what its execution takes, and what its receipt says, which is EIP-7623's floor where the calldata
    /// outweighs the execution. Leaves the state as it was.
    function measure(string memory name, address target, bytes memory data)
        internal
        returns (uint256 execution, uint256 total, uint256 floor)
    {
        uint256 snapshot = vm.snapshotState();
        vm.resumeGasMetering();
        execution = meter.run(target, data);
        vm.pauseGasMetering();
        vm.revertToState(snapshot);
        uint256 tokens = 0;
        for (uint256 i = 0; i < data.length; ++i) {
            tokens += data[i] == 0 ? 1 : 4;
        }
        floor = 21_000 + 10 * tokens;
        total = 21_000 + 4 * tokens + execution;
        if (total < floor) total = floor;
        emit log_named_uint(name, execution);
        vm.snapshotValue("Scoring", string.concat(name, ", execution"), execution);
        vm.snapshotValue("Scoring", string.concat(name, ", receipt"), total);
    }

    /// forge-config: default.isolate = true
    function test_GasOfSettlingAThousandEntriesIsTheCalldataFloor() external {
        (uint256 taskId, address[] memory validators) = open(1024, 51);
        uint256[][] memory rows = drawRows(1024, 51);
        score(taskId, validators, rows);
        assertEq(scoring.roundOf(taskId).pages, 1);
        PageCall memory call = pageCall(taskId, 0, validators, rows);
        bytes memory data = abi.encodeCall(scoring.settlePage, (taskId, 0, call.heads, call.medians, call.words));
        assertLt(data.length, 131_072 - 512);
        (uint256 execution, uint256 total, uint256 floor) =
            measure("settlePage of 1024 entries x 51 rows", address(scoring), data);
        assertLe(execution, 2_200_000);
        assertEq(total, floor);
        assertLe(total, 4_400_000);
    }

    /// forge-config: default.isolate = true
    function test_GasOfRevealing256Scores() external {
        (uint256 taskId, address[] memory validators) = open(256, 3);
        uint256[][] memory rows = drawRows(256, 3);
        for (uint256 j = 0; j < 3; ++j) {
            uint256[] memory words = rows[j].pack();
            bytes memory data = abi.encodeCall(
                scoring.commitScores, (taskId, validators[j], scoreCommitment(taskId, validators[j], words))
            );
            actAs(validators[j]); // only a signer may commit
            measure(j == 0 ? "commitScores, first" : "commitScores", address(scoring), data);
            meter.run(address(scoring), data);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 0; j < 3; ++j) {
            bytes memory data = abi.encodeCall(
                scoring.revealScores,
                (taskId, validators[j], rows[j].pack(), keccak256("evidence"), saltOf(validators[j]))
            );
            (uint256 execution,,) =
                measure(j == 0 ? "revealScores of 256, first" : "revealScores of 256", address(scoring), data);
            assertLe(execution, 45_000);
            revealScores(taskId, validators[j], rows[j].pack());
        }
    }

    /// forge-config: default.isolate = true
    function test_GasOfEnteringATask() external {
        ITaskRegistry.TaskParams memory params = localParams();
        address[] memory trainers = joinMany("trainer", 2);
        address[] memory validators = joinMany("validator", 2);
        vm.warp(block.timestamp + 12);
        // The meter is creator and signer: Rewards takes the tokens from the sender.
        require(token.transfer(address(meter), 10_000e18));
        vm.prank(address(meter));
        token.approve(address(rewards), type(uint256).max);
        bytes memory data = abi.encodeCall(registry.createTask, (params));
        measure("createTask", address(registry), data);
        meter.run(address(registry), data);
        uint256 taskId = registry.taskCount();
        for (uint256 i = 0; i < 2; ++i) {
            actAs(trainers[i]);
            data = abi.encodeCall(
                registry.commitEntry, (taskId, trainers[i], entryCommitment(taskId, trainers[i]), type(uint256).max)
            );
            measure(i == 0 ? "commitEntry, first" : "commitEntry", address(registry), data);
            meter.run(address(registry), data);
        }
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        for (uint256 i = 0; i < 2; ++i) {
            actAs(validators[i]);
            data = abi.encodeCall(registry.enrol, (taskId, validators[i], STAKE));
            measure(i == 0 ? "enrol, first" : "enrol", address(registry), data);
            meter.run(address(registry), data);
        }
        vm.warp(registry.scheduleOf(taskId).enrolEnd);
        for (uint256 i = 0; i < 2; ++i) {
            data = abi.encodeCall(
                registry.revealEntry, (taskId, trainers[i], entryDigest(trainers[i]), saltOf(trainers[i]))
            );
            measure(i == 0 ? "revealEntry, first" : "revealEntry", address(registry), data);
            meter.run(address(registry), data);
        }
    }
}
