// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AppealCommittee} from "../../contracts/AppealCommittee.sol";
import {Appeals} from "../../contracts/Appeals.sol";
import {IAppealCommittee} from "../../contracts/interfaces/IAppealCommittee.sol";
import {IAppeals} from "../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyScenario} from "./utils/CoveyScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice Reverts of the appeals and their committee.
contract AppealsEdgesTest is CoveyScenario {
    using PlainScores for uint256[];

    address private fresh;
    address private other;
    uint256[] private middle;

    function setUp() public override {
        super.setUp();
        joinAll(3, 6);
        fresh = join("fresh");
        other = join("other");
    }

    function settledTask(bool isSealed) private returns (uint256 taskId) {
        ITaskRegistry.TaskParams memory params = isSealed ? sealedParams() : localParams();
        params.targetSeats = 18;
        taskId = seeded(params);
        uint256[][] memory rows = around(ladder(3), 6);
        scoreAll(scoring, taskId, validators, rows);
        settleAll(taskId, validators, rows);
        middle = middleOf(taskId, validators, rows);
    }

    function enrolForAppeal(uint256 taskId, address operator, uint256 amount) private {
        vm.prank(signerOf(operator));
        committee.enrol(taskId, operator, amount);
    }

    function expectClosed(uint256 taskId) private {
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsClosed.selector, taskId));
    }

    function test_RevertIf_ContestedWordIsNotTheCurrentMedianOfASealedTask() external {
        uint256 snapshot = vm.snapshotState();
        uint256 taskId = settledTask(false);
        expectClosed(taskId);
        this.contestOutside(taskId, 0);
        vm.revertToState(snapshot);

        ITaskRegistry.TaskParams memory params = sealedParams();
        taskId = seeded(params);
        expectClosed(taskId); // not settled
        this.contestOutside(taskId, 0);
        vm.revertToState(snapshot);

        taskId = settledTask(true);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsBadProof.selector, taskId, 0));
        this.contestOutside(taskId, 1);
        this.contestOutside(taskId, 0);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsContested.selector, taskId, 0));
        this.contestOutside(taskId, 0);
        vm.warp(appeals.appealOf(taskId).contestEnd);
        expectClosed(taskId);
        this.contestOutside(taskId, 0);
    }

    /// @dev Contest the first median word plus `wrong`. External, so that the view calls precede the expected revert.
    function contestOutside(uint256 taskId, uint256 wrong) external {
        uint256[] memory words = middle.length == 0 ? new uint256[](1) : middle.pack();
        bytes32[6] memory proof = words.proof(0);
        vm.prank(appellant);
        appeals.contest(taskId, 0, words[0] + wrong, proof);
    }

    function test_EnrolForAppealChecksSenderAndWindow() external {
        uint256 taskId = settledTask(true);
        bytes memory closed = abi.encodeWithSelector(IAppeals.AppealsClosed.selector, taskId);
        vm.expectRevert(closed); // no word is contested
        vm.prank(signerOf(fresh));
        committee.enrol(taskId, fresh, 1e18);
        contest(taskId, 0, middle);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNotSigner.selector, fresh, fresh));
        vm.prank(fresh);
        committee.enrol(taskId, fresh, 1e18);
        enrolForAppeal(taskId, fresh, 200e18);
        assertEq(committee.enrolledOf(taskId), 200e18);
        vm.expectRevert(abi.encodeWithSelector(IAppealCommittee.CommitteeAlreadyEnrolled.selector, taskId, fresh));
        vm.prank(signerOf(fresh));
        committee.enrol(taskId, fresh, 1e18);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        vm.expectRevert(closed);
        vm.prank(signerOf(other));
        committee.enrol(taskId, other, 200e18);
        vm.expectRevert(abi.encodeWithSelector(IAppealCommittee.CommitteeNotOver.selector, taskId));
        committee.release(taskId, fresh);
    }

    function test_RevertWhen_AppealIsNotOver() external {
        uint256 taskId = settledTask(true);
        contest(taskId, 0, middle);
        bytes32[6] memory proof = middle.pack().proof(0);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNotOver.selector, taskId));
        appeals.resolve(taskId, 0, proof);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNotSettled.selector, taskId));
        appeals.reportOverturned(taskId, validators[0], 0, new uint256[](1));
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNotSettled.selector, taskId));
        appeals.claimAppeal(taskId, validators[0]);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNotCommittee.selector, address(this)));
        appeals.settled(taskId, 1);
        vm.warp(appeals.appealOf(taskId).deadline);
        appeals.failAppeal(taskId);
        expectClosed(taskId);
        appeals.failAppeal(taskId);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsUnknown.selector, taskId, 1));
        appeals.resolve(taskId, 1, proof);
        appeals.resolve(taskId, 0, proof);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsResolved.selector, taskId, 0));
        appeals.resolve(taskId, 0, proof);
        // All but the tips of the two steps.
        assertEq(appeals.owedTo(appellant), appeals.appealOf(taskId).bond - 2 * TIP);
        assertEq(appeals.owedTo(address(this)), 2 * TIP);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNothingOwed.selector, keeper));
        appeals.withdraw(keeper);
    }

    function test_BondOfTaskWithoutEntriesIsZero() external {
        uint256 taskId = post(sealedParams());
        assertEq(appeals.bondOf(taskId), 0);
    }

    function test_RevertIf_ZeroAddress() external {
        for (uint256 i = 0; i < 6; ++i) {
            address[6] memory given = [address(1), address(2), address(3), address(4), address(5), address(6)];
            given[i] = address(0);
            vm.expectRevert(IAppeals.AppealsZeroAddress.selector);
            this.createAppeals(given);
            if (i == 5) continue;
            vm.expectRevert(ICommittee.ScoringZeroAddress.selector);
            this.createCommittee(given);
        }
    }

    /// @dev External, so that vm.expectRevert sees the revert of the constructor.
    function createAppeals(address[6] calldata given) external {
        new Appeals(given[0], given[1], given[2], given[3], given[4], given[5]);
    }

    function createCommittee(address[6] calldata given) external {
        new AppealCommittee(given[0], given[1], given[2], given[3], given[4]);
    }
}
