// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// via-IR: the test's own code is in what it measures.

import {StakingFixture} from "./utils/StakingFixture.sol";

/// @notice Gas of calls on a pool with other users, each with cold storage as in its own transaction.
/// @dev Execution only. A transaction adds 21,000 and its calldata, and subtracts refunds.
contract StakingGasTest is StakingFixture {
    address internal alice = makeAddr("alice");

    function setUp() public override {
        super.setUp();
        for (uint256 i = 1; i <= 3; ++i) {
            address other = address(uint160(0xbeef00 + i));
            skip(1 hours);
            uint256 shares = stake(operator, other, 50e18);
            skip(1 hours);
            vm.prank(other);
            staking.undelegate(operator, shares / 2, 0);
        }
        require(token.transfer(alice, 200e18));
        vm.prank(alice);
        token.approve(address(staking), type(uint256).max);
        skip(1 hours);
    }

    function measured(string memory name) internal returns (uint256) {
        return vm.snapshotGasLastCall("Staking", name);
    }

    /// @dev Make storage cold for the next call.
    function cold() internal {
        vm.cool(address(staking));
        vm.cool(address(token));
        skip(1 hours);
    }

    function test_GasOfANewDelegator() public {
        cold();
        vm.prank(alice);
        uint256 shares = staking.delegate(operator, 100e18, 0);
        uint256 sum = measured("delegate");
        cold();
        vm.prank(alice);
        uint256 id = staking.undelegate(operator, shares, 0);
        sum += measured("undelegate");
        skip(UNBONDING);
        cold();
        vm.prank(alice);
        staking.withdraw(id);
        sum += measured("withdraw");
        assertLt(sum, 300_000);
    }

    function test_GasOfASlash() public {
        vm.startPrank(duty);
        staking.earmark(operator, 100e18, uint48(block.timestamp - 1));
        skip(1 hours);
        staking.slash(operator, 100e18, 1e18, address(0), false);
        cold();
        staking.slash(operator, 99e18, 1e18, address(0), false);
        assertLt(measured("slash"), 79_000);
        cold();
        staking.slash(operator, 98e18, 1e18, address(0), false);
        assertLt(measured("slash, other half of the checkpoint slot"), 79_000);
        cold();
        staking.slash(operator, 97e18, 1e18, address(7), true);
        measured("slash for absence, first of a period, new reporter");
        cold();
        staking.slash(operator, 96e18, 1e18, address(7), true);
        measured("slash for absence");
    }
}
