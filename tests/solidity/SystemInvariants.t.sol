// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IRewards} from "../../contracts/interfaces/IRewards.sol";
import {SystemHandler} from "./utils/SystemHandler.sol";
import {Test} from "./utils/Test.sol";

/// @notice Invariants of the whole system. After each run everything is paused, every task is ended, and every token is paid
/// out.
contract SystemInvariantsTest is Test {
    SystemHandler internal handler;

    function setUp() public {
        handler = new SystemHandler();
        handler.setUp();
        bytes4[] memory calls = new bytes4[](13);
        calls[0] = handler.postTask.selector;
        calls[1] = handler.work.selector;
        calls[2] = handler.work.selector;
        calls[3] = handler.work.selector;
        calls[4] = handler.work.selector;
        calls[5] = handler.step.selector;
        calls[6] = handler.report.selector;
        calls[7] = handler.claim.selector;
        calls[8] = handler.elapse.selector;
        calls[9] = handler.elapse.selector;
        calls[10] = handler.money.selector;
        calls[11] = handler.pause.selector;
        calls[12] = handler.intrude.selector;
        targetContract(address(handler));
        targetSelector(address(handler), calls);
    }

    function afterInvariant() public {
        vm.pauseGasMetering();
        handler.finish();
        assertEq(handler.blocked(), 0, "a duty was refused");
        assertEq(handler.wrongSlashes(), 0, "a slash without a fault");
    }

    /// forge-config: default.invariant.runs = 16
    /// forge-config: default.invariant.depth = 80
    /// forge-config: ci.invariant.runs = 48
    /// forge-config: ci.invariant.depth = 128
    function invariant_EveryTokenIsAccountedFor() public {
        vm.pauseGasMetering();
        (uint256 held, uint256 due) = handler.stakingSums();
        assertEq(held, due, "Staking = active + unbonding + undripped + owed");
        (held, due) = handler.rewardsSums();
        assertEq(held, due, "Rewards = escrows + pools + owed");
        (held, due) = handler.appealsSums();
        assertEq(held, due, "Appeals = bonds + pools + owed");
        assertEq(handler.fallen(), 0, "a price fell without a slash");
        assertEq(handler.wrongSlashes(), 0, "a slash without a fault");
        assertEq(handler.blocked(), 0, "a duty was refused");
        assertEq(handler.intrusions(), 0, "a stranger went through");
        uint256[] memory ids = handler.taskIds();
        for (uint256 i = 0; i < ids.length; ++i) {
            checkTask(ids[i]);
        }
    }

    /// @dev Check coverage of the handler: tasks end in each way, second committees are drawn, appeals settle, faults are slashed.
    function test_HandlerReachesEveryPath() external {
        vm.pauseGasMetering();
        uint256[4] memory outcomes;
        uint256 reseats = 0;
        uint256 settled = 0;
        uint256 slashes = 0;
        for (uint256 run = 0; run < 4; ++run) {
            uint256 snapshot = vm.snapshotState();
            for (uint256 i = 0; i < 200; ++i) {
                random(uint256(keccak256(abi.encode(run, i))));
            }
            handler.finish();
            slashes += handler.slashes();
            assertEq(handler.wrongSlashes() + handler.fallen() + handler.blocked() + handler.intrusions(), 0);
            uint256[] memory ids = handler.taskIds();
            for (uint256 i = 0; i < ids.length; ++i) {
                (uint256 outcome, uint256 round, uint256 state) = handler.historyOf(ids[i]);
                ++outcomes[outcome];
                reseats += round;
                if (state == 2) ++settled;
            }
            vm.revertToState(snapshot);
        }
        string memory counts = string.concat(
            "paid ",
            vm.toString(outcomes[1]),
            ", refunded ",
            vm.toString(outcomes[2]),
            ", failed ",
            vm.toString(outcomes[3]),
            ", second committees ",
            vm.toString(reseats),
            ", appeals settled ",
            vm.toString(settled),
            ", slashes ",
            vm.toString(slashes)
        );
        assertTrue(outcomes[1] != 0 && outcomes[2] != 0 && outcomes[3] != 0, counts);
        assertTrue(reseats != 0 && settled != 0 && slashes != 0, counts);
    }

    function random(uint256 r) private {
        uint256 a = r >> 8;
        uint256 b = r >> 64;
        uint256 c = r >> 100;
        uint256 choice = r % 16;
        if (choice < 2) handler.postTask(b);
        else if (choice < 8) handler.work(a, b, c);
        else if (choice == 8) handler.step(a);
        else if (choice == 9) handler.report(a, b);
        else if (choice == 10) handler.claim(a);
        else if (choice < 14) handler.elapse(b % 30 hours);
        else if (choice == 14) handler.money(a, b, c);
        else handler.pause(a);
    }

    function checkTask(uint256 taskId) private view {
        IRewards.Escrow memory e = handler.escrowOf(taskId);
        uint256 funds = uint256(e.bounty) + e.extra + e.fees;
        assertLe(uint256(e.trainersPool) + e.validatorsPool + (e.closed ? e.appealCost : 0), funds);
        assertLe(handler.claimed(taskId), uint256(e.trainersPool) + e.validatorsPool);
    }
}
