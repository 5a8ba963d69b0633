// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../../contracts/interfaces/IStaking.sol";
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
        staking.withdraw(operator, alice, id);
        sum += measured("withdraw");
        // Three transactions add 63,000 and about 2,500 for calldata, less refunds.
        assertLt(sum, 145_000);
    }

    function test_GasOfARepeatedDelegation() public {
        vm.prank(alice);
        staking.delegate(operator, 50e18, 0);
        cold();
        vm.prank(alice);
        staking.delegate(operator, 50e18, 0);
        assertLt(measured("delegate again"), 40_000);
        skip(1 days);
        cold();
        vm.prank(alice);
        staking.delegate(operator, 50e18, 0);
        measured("delegate again, first of a quantum");
        cold();
        uint256 shares = staking.sharesOf(operator, alice);
        vm.prank(alice);
        staking.undelegate(operator, shares / 2, 0);
        measured("undelegate a part");
        cold();
        vm.prank(alice);
        staking.cancel(operator, 0);
        measured("cancel");
    }

    function test_GasOfASlash() public {
        skip(1 days);
        (uint24 gen, uint48 net) = earmark(operator, 100e18);
        IStaking.SlashOrder memory given = order(operator, 100e18, 1e18);
        (given.gen, given.net) = (gen, net);
        skip(1 hours);
        slash(given);
        cold();
        given.earmarked = 99e18;
        vm.prank(duty);
        staking.slash(given);
        assertLt(measured("slash"), 79_000);
        given.earmarked = 98e18;
        (given.capped, given.reporter) = (true, address(7));
        cold();
        vm.prank(duty);
        staking.slash(given);
        measured("slash for absence, first of a period, new reporter");
        given.earmarked = 97e18;
        cold();
        vm.prank(duty);
        staking.slash(given);
        measured("slash for absence");
        vm.prank(address(0xbeef01));
        staking.undelegate(operator, 1e18, 0);
        given.earmarked = 96e18;
        cold();
        vm.prank(duty);
        staking.slash(given);
        measured("slash with a record for who left");
    }

    function test_GasOfAnEarmark() public {
        skip(1 days);
        cold();
        uint48 asOf = uint48(vm.getBlockTimestamp() - 1);
        vm.prank(duty);
        staking.earmark(operator, 100e18, asOf);
        measured("earmark, first of an operator, sealing a cohort");
        cold();
        vm.prank(duty);
        staking.earmark(operator, 100e18, asOf);
        measured("earmark");
    }
}
