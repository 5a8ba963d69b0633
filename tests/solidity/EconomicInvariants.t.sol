// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EconomicHandler} from "./utils/EconomicHandler.sol";
import {Test} from "./utils/Test.sol";

/// @notice No coalition below half of the seats ends with more than honest play would give it.
contract EconomicInvariantsTest is Test {
    EconomicHandler internal handler;

    function setUp() public {
        handler = new EconomicHandler();
        handler.setUp();
        bytes4[] memory calls = new bytes4[](1);
        calls[0] = handler.live.selector;
        targetContract(address(handler));
        targetSelector(address(handler), calls);
    }

    /// forge-config: default.invariant.runs = 1
    /// forge-config: default.invariant.depth = 4
    /// forge-config: default.invariant.fail-on-revert = true
    /// forge-config: ci.invariant.runs = 4
    /// forge-config: ci.invariant.depth = 16
    /// forge-config: ci.invariant.fail-on-revert = true
    /// forge-config: long.invariant.runs = 64
    /// forge-config: long.invariant.depth = 128
    /// forge-config: long.invariant.fail-on-revert = true
    function invariant_NoMinorityGainsByAnAttack() public view {
        assertTrue(handler.best() <= int256(1e14), "an attack paid");
    }

    /// @dev The lives of an attacker meet what they are meant to: calls go through, words are contested, attacks lose.
    function test_HandlerMakesEveryMove() external {
        vm.pauseGasMetering();
        for (uint256 i = 0; i < 12; ++i) {
            handler.live(i);
        }
        string memory counts = string.concat(
            "lives ",
            vm.toString(handler.lives()),
            ", left out ",
            vm.toString(handler.leftOut()),
            ", contested ",
            vm.toString(handler.contests()),
            ", failed ",
            vm.toString(handler.failed()),
            ", lost ",
            vm.toString(handler.worse()),
            ", moves ",
            vm.toString(bytes32(handler.movesSeen()))
        );
        assertTrue(handler.lives() > 6 && handler.contests() > 1, counts);
        assertTrue(handler.worse() > 4, counts);
    }
}
