// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// via-IR: the library's code, as the contracts have it, is inside this test's.

import {PackedCheckpoints} from "../../contracts/libraries/PackedCheckpoints.sol";
import {Test} from "./utils/Test.sol";

/// @notice Compares the packed history with a list of times and amounts.
contract PackedCheckpointsTest is Test {
    using PackedCheckpoints for PackedCheckpoints.Trace;

    PackedCheckpoints.Trace private trace;
    uint32 private count;
    uint40[] private times;
    uint88[] private amounts;

    function push(uint40 time, uint88 amount) private {
        count = trace.push(count, time, amount);
        times.push(time);
        amounts.push(amount);
    }

    function plain(uint40 time) private view returns (uint256 amount) {
        for (uint256 i; i < times.length && times[i] <= time; ++i) {
            amount = amounts[i];
        }
    }

    /// @param steps low bits: seconds since the last push, often none; the rest: the amount
    function testFuzz_LookupMatchesReferenceList(uint256[] calldata steps) public {
        uint256 n = steps.length > 40 ? 40 : steps.length;
        uint40 time = 1000;
        for (uint256 i; i < n; ++i) {
            time += uint40(steps[i] & 3);
            push(time, uint88(steps[i] >> 2));
        }
        assertLe(count, n);
        for (uint40 t = 998; t <= time + 2; ++t) {
            assertEq(trace.lookup(count, t), plain(t), vm.toString(uint256(t)));
        }
    }

    function test_LookupBeforeTheFirstCheckpointIsZero() public {
        assertEq(trace.lookup(count, type(uint40).max), 0);
        push(5, 7);
        assertEq(trace.lookup(count, 4), 0);
        assertEq(trace.lookup(count, 5), 7);
    }

    function test_ExtremeValuesAreStored() public {
        push(0, type(uint88).max);
        push(type(uint40).max, type(uint88).max - 1);
        assertEq(trace.lookup(count, 0), type(uint88).max);
        assertEq(trace.lookup(count, type(uint40).max - 1), type(uint88).max);
        assertEq(trace.lookup(count, type(uint40).max), type(uint88).max - 1);
    }

    function test_TwoCheckpointsShareASlot() public {
        for (uint40 i; i < 6; ++i) {
            push(i + 1, i + 100);
        }
        assertEq(count, 6);
        assertEq(trace.pairs[2], (uint256(6) << 216) | (uint256(105) << 128) | (uint256(5) << 88) | 104);
        assertEq(trace.pairs[3], 0);
    }

    function test_SecondPushAtTheSameTimeReplacesTheValue() public {
        push(5, 1);
        push(5, 2);
        assertEq(count, 1);
        assertEq(trace.pairs[0], (uint256(5) << 88) | 2);
        push(6, 3);
        push(6, 4); // after a checkpoint in the high half, another one is added
        assertEq(count, 3);
        assertEq(trace.lookup(count, 6), 4);
    }

    function test_LookupReadsFewSlots() public {
        for (uint40 i; i < 1000; ++i) {
            push(i * 10, i);
        }
        vm.record();
        assertEq(trace.lookup(count, 10_000), 999);
        (bytes32[] memory reads,) = vm.accesses(address(this));
        assertLe(reads.length, 3); // the count, and the last checkpoint twice
        vm.record();
        assertEq(trace.lookup(count, 3141), 314);
        (reads,) = vm.accesses(address(this));
        assertLe(reads.length, 24); // twice the logarithm, and the count
    }
}
