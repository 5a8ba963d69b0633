// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppealCommittee} from "../../contracts/interfaces/IAppealCommittee.sol";
import {IAppeals} from "../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../contracts/interfaces/ICommittee.sol";
import {IFaults} from "../../contracts/interfaces/IFaults.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {AppealScenario} from "./utils/AppealScenario.sol";
import {PlainScores} from "./utils/PlainScores.sol";

/// @notice What an appeal replaces, whom it pays, who is drawn for it, and what its jurors answer for.
/// @dev Half of the 300 for validators and of 12 in fees is 156.2: the award of the only word. max(tau, 2h) is 1200, h is 75.
contract AppealsTest is AppealScenario {
    using PlainScores for uint256[];

    /// @dev V: 300 of the bounty and three entry fees. One word.
    uint256 private validatorsPool;
    uint256 private award;

    function setUp() public override {
        super.setUp();
        uint256 base = 4e18;
        validatorsPool = 300e18 + base + (base + 3 * base / uint256(64)) + (base + 6 * base / uint256(64));
        award = (validatorsPool + 1) / 2;
    }

    // ------------------------------------------------------------------ results

    /// @dev One lane moved far, one was found 0, one within the tolerance: one score changes.
    function test_ResolveReplacesOnlyScoresThatMoved() external {
        uint256 taskId = contested();
        uint256[] memory found = plus(middle, 1200);
        (found[0], found[1]) = (20_000, 0);
        judge(taskId, found);
        uint256 bond = rewards.escrowOf(taskId).bond;
        uint256[] memory changed = plus(middle, 0);
        changed[0] = 20_000;
        vm.expectEmit(address(appeals));
        emit IAppeals.ContestResolved(taskId, 0, 0, true, false, 2 * award + 4 * TIP, award, 0);
        resolve(taskId, 0);
        assertTrue(appeals.contestOf(taskId, 0).moved);
        assertEq(scoring.totalsOf(taskId).weights, changed.weights(655, 2));
        assertTrue(scoring.verifyMedianWord(taskId, 0, changed.pack()[0], changed.pack().proof(0)));
        assertFalse(scoring.verifyMedianWord(taskId, 0, middle.pack()[0], middle.pack().proof(0)));
        // Bond and award, of which the creator's bond paid the four tips that were spent.
        assertEq(appeals.owedTo(appellant), 2 * award + 4 * TIP);
        assertEq(bond - rewards.escrowOf(taskId).bond, 4 * TIP);
        assertEq(rewards.escrowOf(taskId).appealCost, 2 * award < validatorsPool ? 2 * award : validatorsPool);
        assertEq(appeals.appealOf(taskId).pool, award);
        finalise(taskId);
        drain(taskId, changed, 20);
        assertEq(token.balanceOf(appellant), 10_000e18 + award);
    }

    /// @dev The tips are refunded as far as the creator's bond lasts.
    function test_TipsAreRefundedFromWhatTheCreatorsBondHasLeft() external {
        ITaskRegistry.TaskParams memory params = params18();
        params.bond = 5e18; // three steps before the appeal leave two
        uint256 taskId = settledTask(params, around(ladder(SCORED), 6));
        contest(taskId, 0, middle);
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        judge(taskId, plus(middle, 5000));
        resolve(taskId, 0);
        assertEq(appeals.owedTo(appellant), 2 * award + 2 * TIP);
        assertEq(rewards.escrowOf(taskId).bond, 0);
    }

    function test_ConfirmedMedianPaysTheRoundFromTheBond() external {
        uint256 taskId = contested();
        judge(taskId, plus(middle, 1200)); // the most that is no move
        uint256 before = rewards.escrowOf(taskId).bond;
        vm.expectEmit(address(appeals));
        emit IAppeals.ContestResolved(taskId, 0, 0, false, false, 0, award, 0);
        resolve(taskId, 0);
        assertEq(appeals.owedTo(appellant), 0);
        assertEq(appeals.owedTo(keeper), TIP, "the resolution");
        assertEq(appeals.owedTo(address(this)), 3 * TIP, "seed requested, seed fixed, page settled");
        assertEq(rewards.escrowOf(taskId).bond, before, "no appeal costs the creator of right medians");
        assertEq(rewards.escrowOf(taskId).appealCost, 0);
        assertEq(scoring.totalsOf(taskId).weights, middle.weights(655, 2));
        finalise(taskId);
        drain(taskId, middle, 20);
    }

    /// @dev A found 0 is no evidence. The jury of it is paid, the appellant is not.
    function test_FoundZeroMovesNothing() external {
        uint256 taskId = contested();
        judge(taskId, new uint256[](SCORED));
        resolve(taskId, 0);
        assertFalse(appeals.contestOf(taskId, 0).moved);
        assertEq(scoring.totalsOf(taskId).weights, middle.weights(655, 2));
        assertEq(appeals.owedTo(appellant), 0);
    }

    /// @dev An old 0 is replaced: the entry was to be had.
    function test_FoundScoreReplacesAZero() external {
        uint256[][] memory rows = around(ladder(SCORED), 6);
        for (uint256 j = 0; j < 6; ++j) {
            rows[j][2] = 0;
        }
        uint256 taskId = settledTask(params18(), rows);
        contest(taskId, 0, middle);
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        judge(taskId, ladder(SCORED));
        resolve(taskId, 0);
        uint256[] memory changed = plus(middle, 0);
        changed[2] = ladder(SCORED)[2];
        assertEq(scoring.totalsOf(taskId).weights, changed.weights(655, 2));
        assertEq(appeals.owedTo(appellant), 2 * award + 4 * TIP);
    }

    /// @dev Every score within h of the old one, on another part of the set: the jurors copied, and earn nothing.
    function test_CopiedMedianPaysNobody() external {
        uint256 taskId = contested();
        judge(taskId, plus(middle, 75));
        vm.expectEmit(address(appeals));
        emit IAppeals.ContestResolved(taskId, 0, 0, false, true, award, 0, 0);
        resolve(taskId, 0);
        assertEq(appeals.owedTo(appellant), award, "its tips are spent");
        assertEq(appeals.appealOf(taskId).pool, 0);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNothingToClaim.selector, taskId, jurors[0]));
        appeals.claimAppeal(taskId, jurors[0]);
        finalise(taskId);
        vm.warp(appeals.appealOf(taskId).reportEnd);
        for (uint256 j = 0; j < jurors.length; ++j) {
            committee.release(taskId, jurors[j]);
        }
    }

    function test_OneScoreBeyondHIsNoCopy() external {
        uint256 taskId = contested();
        uint256[] memory found = plus(middle, 75);
        found[1] += 1;
        judge(taskId, found);
        resolve(taskId, 0);
        assertEq(appeals.owedTo(appellant), 0);
        assertEq(appeals.appealOf(taskId).pool, award);
    }

    /// @dev The treasury receives what no juror earned.
    function test_RowsBeyondHOfTheMediansAreNotPaid() external {
        uint256 taskId = contested();
        uint256[][] memory rows = new uint256[][](6);
        for (uint256 j = 0; j < 6; ++j) {
            rows[j] = lanesOf(plus(middle, 900));
            if (j < 2) rows[j][j] += 76; // beyond h in one lane
        }
        judge(taskId, rows);
        resolve(taskId, 0);
        uint256 paid = 0;
        for (uint256 j = 0; j < 6; ++j) {
            uint256 seats = committee.rowOf(taskId, jurors[j]).seats;
            assertEq(committee.paidSeatsOf(taskId, jurors[j]), j < 2 ? 0 : seats);
            paid += j < 2 ? 0 : seats;
        }
        assertEq(appeals.appealOf(taskId).paidSeats, paid);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNothingToClaim.selector, taskId, jurors[1]));
        appeals.claimAppeal(taskId, jurors[1]);
        uint256 seats2 = committee.rowOf(taskId, jurors[2]).seats;
        assertEq(appeals.claimAppeal(taskId, jurors[2]), award * seats2 / paid);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsAlreadyClaimed.selector, taskId, jurors[2]));
        appeals.claimAppeal(taskId, jurors[2]);
    }

    function test_TreasuryReceivesTheAwardIfNoRowIsPaid() external {
        uint256 taskId = contested();
        uint256[][] memory rows = new uint256[][](6);
        for (uint256 j = 0; j < 6; ++j) {
            rows[j] = lanesOf(plus(middle, 900));
            rows[j][j % 3] += 100 + 10 * j; // each row is off in some lane; the medians are those of the others
        }
        judge(taskId, rows);
        assertEq(appeals.appealOf(taskId).paidSeats, 0);
        resolve(taskId, 0);
        assertEq(appeals.appealOf(taskId).pool, 0);
        assertEq(appeals.owedTo(treasury), award);
    }

    // ------------------------------------------------------------------ bonds

    function test_BondCountsTopUpsAndFees() external {
        uint256 taskId = post(params18());
        fill(taskId, trainers, validators);
        token.approve(address(rewards), 500e18);
        rewards.topUp(taskId, 500e18);
        openSet(taskId);
        drawSeed(taskId, keccak256("seed"));
        settleRows(taskId, around(ladder(SCORED), 6));
        uint256 expected = (validatorsPool + 150e18 + 1) / 2 + 4 * TIP;
        assertEq(appeals.bondOf(taskId), expected);
        contest(taskId, 0, middle);
        assertEq(appeals.appealOf(taskId).bond, expected);
        assertEq(token.balanceOf(address(appeals)), expected);
    }

    /// @dev Two words. If all move, jury and appellants take the whole validators' pool and no more.
    function test_AllMovedWordsCostTheValidatorsPoolAtMost() external {
        address[] memory more = joinMany("more", 16);
        for (uint256 i = 0; i < 16; ++i) {
            trainers.push(more[i]);
        }
        ITaskRegistry.TaskParams memory params = params18();
        (params.bounty, params.minStake) = (params.bounty + 1, params.minStake + 5); // an odd pool
        uint256 taskId = settledTask(params, around(ladder(19), 6));
        uint256 pool = rewards.validatorsPoolOf(taskId);
        assertEq(appeals.bondOf(taskId), (pool + 3) / 4 + 4 * TIP);
        contest(taskId, 1, middle);
        contest(taskId, 0, middle);
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        uint256[] memory found = new uint256[](32);
        for (uint256 i = 0; i < 19; ++i) {
            found[(i + 16) % 32] = middle[i] + 1500; // word 1 was contested first
        }
        judge(taskId, found);
        for (uint256 index = 0; index < 2; ++index) {
            bytes32[6] memory proof = middle.pack().proof(1 - index);
            if (index == 1) {
                // The other word has changed already.
                uint256[] memory now_ = plus(middle, 0);
                for (uint256 i = 16; i < 19; ++i) {
                    now_[i] += 1500;
                }
                proof = now_.pack().proof(0);
            }
            appeals.resolve(taskId, index, proof);
        }
        assertLe(rewards.escrowOf(taskId).appealCost, pool);
        assertGe(rewards.escrowOf(taskId).appealCost + 4, pool);
        finalise(taskId);
        assertLe(rewards.escrowOf(taskId).validatorsPool, 4);
        drain(taskId, plus(middle, 1500), 50);
    }

    function test_ContestWithPermit() external {
        uint256 taskId = settledTask();
        (address who, uint256 key) = (vm.addr(77), 77);
        uint256 bond = appeals.bondOf(taskId);
        require(token.transfer(who, bond));
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                who,
                address(appeals),
                bond,
                token.nonces(who),
                type(uint256).max
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash)));
        uint256[] memory words = middle.pack();
        bytes32[6] memory proof = words.proof(0);
        // No permit and no allowance.
        vm.prank(who);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        appeals.contestWithPermit(taskId, 0, words[0], proof, bond, type(uint256).max, v, r, bytes32(uint256(s) ^ 1));
        // Used by someone who saw the transaction.
        token.permit(who, address(appeals), bond, type(uint256).max, v, r, s);
        vm.prank(who);
        assertEq(appeals.contestWithPermit(taskId, 0, words[0], proof, bond, type(uint256).max, v, r, s), 0);
        assertEq(token.balanceOf(who), 0);
        assertEq(appeals.contestOf(taskId, 0).appellant, who);
    }

    /// @dev Three tips are for steps before the resolution. A target that is lost again and again does not pay for more.
    function test_TipsOfAnAppealEndWithWhatWasPrepaid() external {
        uint256 taskId = contested();
        for (uint256 i = 0; i < 6; ++i) {
            vm.prank(keeper);
            committee.requestSeed(taskId);
            vm.roll(committee.roundOf(taskId).target + 257);
        }
        assertEq(appeals.owedTo(keeper), 3 * TIP);
        assertEq(appeals.appealOf(taskId).tips, 0);
        judge(taskId, plus(middle, 900));
        resolve(taskId, 0);
        assertEq(appeals.owedTo(keeper), 4 * TIP);
        finalise(taskId);
        drain(taskId, middle, 20);
    }

    function test_RevertIf_TipIsNotForTheCommittee() external {
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNotCommittee.selector, address(this)));
        appeals.tip(1, address(this));
    }

    // ------------------------------------------------------------------ who is drawn

    /// @dev Validators with a seat of the task, and entrants, are no jurors.
    function test_RevertIf_JurorHadASeatOrAnEntry() external {
        uint256 taskId = settledTask();
        contest(taskId, 0, middle);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsWasSeated.selector, taskId, validators[0]));
        this.enrolJurorOutside(taskId, validators[0], 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsIsEntrant.selector, taskId, trainers[0]));
        this.enrolJurorOutside(taskId, trainers[0], 1e18);
    }

    function enrolJurorOutside(uint256 taskId, address operator, uint256 amount) public {
        vm.prank(signerOf(operator));
        committee.enrol(taskId, operator, amount);
    }

    /// @dev Who had a seat in the first committee, was absent, and is no longer drawn, is still no juror.
    function test_RevertIf_JurorHadASeatInTheFirstOfTwoCommittees() external {
        uint256 taskId = seeded(params18());
        for (uint256 j = 0; j < 3; ++j) {
            abstain(scoring, taskId, validators[j]);
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        scoring.failRound(taskId);
        drawSeed(taskId, keccak256("second seed"));
        address[] memory who = seatedOf(scoring, taskId, validators);
        uint256[][] memory rows = around(ladder(SCORED), who.length);
        scoreAll(scoring, taskId, who, rows);
        settleAll(taskId, who, rows);
        middle = middleOf(taskId, who, rows);
        contest(taskId, 0, middle);
        for (uint256 j = 0; j < 6; ++j) {
            vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsWasSeated.selector, taskId, validators[j]));
            this.enrolJurorOutside(taskId, validators[j], 1e18);
        }
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        judge(taskId, plus(middle, 900));
    }

    /// @dev An operator that enrolled for the task and was not drawn enrols with that earmark, alone or with more.
    function test_EarmarkOfTheNeverSeatedCountsForTheAppeal() external {
        address unlucky = join("unlucky");
        uint256 taskId = post(params18());
        commitEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryCommitEnd);
        for (uint256 j = 0; j < 6; ++j) {
            enrol(taskId, validators[j], STAKE);
        }
        enrol(taskId, unlucky, 1000e18); // 18/61 of a seat
        vm.warp(registry.scheduleOf(taskId).enrolEnd);
        revealEntry(taskId, trainers[0]);
        vm.warp(registry.scheduleOf(taskId).entryRevealEnd);
        openSet(taskId);
        uint256 snapshot = vm.snapshotState();
        for (uint256 salt = 0;; ++salt) {
            drawSeed(taskId, keccak256(abi.encode(salt)));
            if (scoring.seatsOf(taskId, unlucky) == 0 && seatedOf(scoring, taskId, validators).length == 6) break;
            vm.revertToState(snapshot);
        }
        settleRows(taskId, around(ladder(1), 6));
        contest(taskId, 0, middle);
        snapshot = vm.snapshotState();
        enrolJurorOutside(taskId, unlucky, 0);
        assertEq(committee.stakeOf(taskId, unlucky), 1000e18);
        assertEq(committee.earmarkOf(taskId, unlucky), 0);
        assertEq(committee.enrolledOf(taskId), 1000e18);
        vm.expectRevert(abi.encodeWithSelector(IAppealCommittee.CommitteeAlreadyEnrolled.selector, taskId, unlucky));
        this.enrolJurorOutside(taskId, unlucky, 1e18);
        vm.revertToState(snapshot);
        enrolJurorOutside(taskId, unlucky, 2000e18);
        assertEq(committee.stakeOf(taskId, unlucky), 3000e18);
        enrolJury(taskId);
        assertEq(committee.enrolledOf(taskId), 63_000e18);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        seed(committee, taskId, keccak256("appeal seed"));
        // 37 · 3,000 / 63,000 seats, of which the rest answers with both earmarks.
        assertGe(committee.seatsOf(taskId, unlucky), 1);
        vm.warp(committee.roundOf(taskId).scoreCommitEnd);
        committee.reportAbsent(taskId, 0, unlucky);
        uint256 seats = committee.rowOf(taskId, unlucky).seats;
        assertEq(poolValue(unlucky), STAKE - seats * (1000e18 / uint256(37)) * 5 / 100);
    }

    /// @dev At least ceil(minStake / seats), so that every earmark can bear the faults of a seat.
    function test_RevertIf_JurorEnrolsLessThanTheStakeOfASeat() external {
        uint256 taskId = settledTask();
        contest(taskId, 0, middle);
        uint256 least = (5000e18 + 36) / uint256(37);
        vm.expectRevert(abi.encodeWithSelector(IAppealCommittee.CommitteeStakeBelowSeat.selector, least - 1, least));
        this.enrolJurorOutside(taskId, jurors[0], least - 1);
        enrolJurorOutside(taskId, jurors[0], least);
    }

    function test_RevertIf_JurorIsNotEligible() external {
        uint256 taskId = settledTask();
        contest(taskId, 0, middle);
        uint256 shares = staking.sharesOf(jurors[0], jurors[0]);
        vm.prank(jurors[0]);
        staking.undelegate(jurors[0], shares, 0);
        vm.expectRevert(abi.encodeWithSelector(IAppealCommittee.CommitteeNotEligible.selector, jurors[0]));
        this.enrolJurorOutside(taskId, jurors[0], 1000e18);
    }

    /// @dev Half of the stake behind the task, and minStake, must enrol. Otherwise the appeal fails as soon as enrolment is over.
    function test_AppealFailsWithTooLittleStake() external {
        uint256 taskId = settledTask();
        contest(taskId, 0, middle);
        assertEq(appeals.appealOf(taskId).leastStake, 30_000e18);
        for (uint256 j = 0; j < 3; ++j) {
            enrolJurorOutside(taskId, jurors[j], STAKE - (j == 0 ? 1 : 0));
        }
        vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNotFailed.selector, taskId));
        appeals.failAppeal(taskId);
        uint256 snapshot = vm.snapshotState();
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.ScoringNotReady.selector, taskId));
        committee.requestSeed(taskId);
        vm.prank(keeper);
        appeals.failAppeal(taskId);
        assertEq(appeals.owedTo(keeper), TIP);
        resolve(taskId, 0);
        // Two of the four tips were spent.
        assertEq(appeals.owedTo(appellant), award + 2 * TIP);
        for (uint256 j = 0; j < 3; ++j) {
            assertEq(faults.silentJurorSeatsOf(taskId, jurors[j]), 0, "nobody was drawn");
            committee.release(taskId, jurors[j]);
        }
        finalise(taskId);
        drain(taskId, middle, 20);
        vm.revertToState(snapshot);
        enrolJurorOutside(taskId, jurors[3], 1000e18);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        committee.requestSeed(taskId);
    }

    function test_LeastStakeOfALargeMinimumIsTheMinimum() external {
        ITaskRegistry.TaskParams memory params = params18();
        params.minStake = 50_000e18;
        uint256 taskId = settledTask(params, around(ladder(SCORED), 6));
        contest(taskId, 0, middle);
        assertEq(appeals.appealOf(taskId).leastStake, 50_000e18);
    }

    // ------------------------------------------------------------------ faults

    /// @dev A unit is the bounty over the seats of the appeal: 1000 / 37.
    function test_FaultsOfJurorsCostPerSeat() external {
        uint256 taskId = contested();
        seed(committee, taskId, keccak256("appeal seed"));
        uint256 unit = 1000e18 / uint256(37);
        assertEq(committee.unitOf(taskId, 0), unit);
        for (uint256 j = 1; j < 6; ++j) {
            commit(committee, taskId, jurors[j], lanesOf(middle));
        }
        vm.warp(committee.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 2; j < 6; ++j) {
            reveal(committee, taskId, jurors[j], lanesOf(middle));
        }
        assertTrue(appeals.holds(taskId, validators[0]), "the appeal is open");
        committee.reportAbsent(taskId, 0, jurors[0]);
        assertEq(poolValue(jurors[0]), STAKE - committee.rowOf(taskId, jurors[0]).seats * unit * 500 / 10_000);
        vm.warp(committee.roundOf(taskId).scoreRevealEnd);
        committee.reportUnrevealed(taskId, 0, jurors[1]);
        assertEq(poolValue(jurors[1]), STAKE - committee.rowOf(taskId, jurors[1]).seats * unit * 2500 / 10_000);
        // The quorum was reached, so silence costs no more.
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNoFault.selector, taskId, jurors[0]));
        faults.reportSilentJuror(taskId, jurors[0]);
    }

    /// @dev Three of six jurors are silent, each in its way. The appeal misses its quorum; each silent seat costs a whole unit, the
    /// operator's own shares first, and jails. Who revealed pays nothing.
    function test_SilenceInAMissedAppealCostsAUnitASeat() external {
        address delegator = makeAddr("delegator");
        require(token.transfer(delegator, STAKE));
        vm.startPrank(delegator);
        token.approve(address(staking), STAKE);
        staking.delegate(jurors[0], STAKE, 0);
        vm.stopPrank();
        skip(3 days);
        uint256 taskId = contested();
        seed(committee, taskId, keccak256("appeal seed"));
        abstain(committee, taskId, jurors[1]);
        for (uint256 j = 2; j < 6; ++j) {
            commit(committee, taskId, jurors[j], lanesOf(middle));
        }
        vm.warp(committee.roundOf(taskId).scoreCommitEnd);
        uint256 revealed = 0;
        for (uint256 j = 3; j < 6; ++j) {
            if (2 * (revealed + committee.rowOf(taskId, jurors[j]).seats) > 37) break;
            revealed += committee.rowOf(taskId, jurors[j]).seats;
            reveal(committee, taskId, jurors[j], lanesOf(middle));
        }
        vm.warp(committee.roundOf(taskId).scoreRevealEnd);
        assertEq(faults.silentJurorSeatsOf(taskId, jurors[0]), 0, "the appeal has not failed yet");
        appeals.failAppeal(taskId);
        resolve(taskId, 0);
        finalise(taskId);
        uint256 unit = 1000e18 / uint256(37);
        for (uint256 j = 0; j < 3; ++j) {
            uint256 seats = faults.silentJurorSeatsOf(taskId, jurors[j]);
            assertEq(seats, committee.seatsAt(taskId, 0, jurors[j]));
            assertTrue(faults.owes(taskId, jurors[j]));
            vm.expectRevert(abi.encodeWithSelector(IAppealCommittee.CommitteeFaultOpen.selector, taskId, jurors[j]));
            committee.release(taskId, jurors[j]);
            uint256 before = poolValue(jurors[j]);
            vm.expectEmit(address(faults));
            emit IFaults.JurorReported(taskId, jurors[j], uint16(seats), true, address(this), seats * unit);
            faults.reportSilentJuror(taskId, jurors[j]);
            assertEq(before - poolValue(jurors[j]), seats * unit);
            assertFalse(staking.isEligible(jurors[j]));
            vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsJurorReported.selector, taskId, jurors[j]));
            faults.reportSilentJuror(taskId, jurors[j]);
        }
        // A delegator of the first lost nothing.
        assertApproxEqAbs(staking.tokensFor(jurors[0], staking.sharesOf(jurors[0], delegator)), STAKE, 1e12);
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNoFault.selector, taskId, jurors[3]));
        faults.reportSilentJuror(taskId, jurors[3]);
        committee.release(taskId, jurors[3]);
        // The faults of single rows come in addition.
        committee.reportAbsent(taskId, 0, jurors[0]);
        committee.release(taskId, jurors[0]);
        assertEq(staking.poolOf(jurors[0]).earmarked, 0);
    }

    /// @dev Jurors score the same part of the set, and differ by rounding.
    function test_JurorsRowIsOverturnedBeyondEightH() external {
        uint256 taskId = contested();
        uint256[][] memory rows = new uint256[][](6);
        for (uint256 j = 0; j < 6; ++j) {
            rows[j] = lanesOf(plus(middle, 900));
        }
        rows[0][1] += 601;
        rows[1][1] += 600;
        rows[2][2] = 0;
        judge(taskId, rows);
        resolve(taskId, 0);
        finalise(taskId);
        for (uint256 j = 1; j < 6; ++j) {
            uint256[] memory words = rows[j].pack();
            vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNoFault.selector, taskId, jurors[j]));
            faults.reportJuror(taskId, jurors[j], words);
        }
        uint256[] memory other = rows[1].pack();
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsBadRow.selector, taskId, jurors[0]));
        faults.reportJuror(taskId, jurors[0], other);
        uint256 seats = committee.rowOf(taskId, jurors[0]).seats;
        uint256 taken = seats * (1000e18 / uint256(37)) / 2;
        vm.warp(appeals.appealOf(taskId).reportEnd - 1);
        vm.expectRevert(abi.encodeWithSelector(IAppealCommittee.CommitteeFaultOpen.selector, taskId, jurors[0]));
        committee.release(taskId, jurors[0]);
        vm.expectEmit(address(faults));
        emit IFaults.JurorReported(taskId, jurors[0], uint16(seats), false, address(this), taken);
        faults.reportJuror(taskId, jurors[0], rows[0].pack());
        assertEq(poolValue(jurors[0]), STAKE - taken);
        assertTrue(staking.isEligible(jurors[0]), "not capped, no jail");
        uint256[] memory again = rows[0].pack();
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsJurorReported.selector, taskId, jurors[0]));
        faults.reportJuror(taskId, jurors[0], again);
        drain(taskId, middle, 20);
    }

    function test_RevertIf_JurorIsReportedBeforeTheAppealIsSettled() external {
        uint256 taskId = contested();
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNotSettled.selector, taskId));
        faults.reportJuror(taskId, jurors[0], new uint256[](1));
        vm.expectRevert(abi.encodeWithSelector(IFaults.FaultsNoFault.selector, taskId, jurors[0]));
        faults.reportSilentJuror(taskId, jurors[0]);
        vm.expectRevert(abi.encodeWithSelector(IAppealCommittee.CommitteeNotFaults.selector, address(this)));
        committee.slash(taskId, jurors[0], 1, address(this), ITaskRegistry.SlashKind.Overturned);
    }

    /// @dev A row of the task was scored on another part, so more difference is honest: 2 max(tau, 2h) = 2400.
    function test_RowOfTheTaskIsOverturnedBeyondTwiceTheTolerance() external {
        uint256[][] memory rows = around(ladder(SCORED), 6);
        uint256 found = ladder(SCORED)[1] + 500;
        rows[0][1] = found + 2401;
        rows[1][1] = found + 2400;
        rows[2][1] = 0;
        uint256 taskId = settledTask(params18(), rows);
        contest(taskId, 0, middle);
        enrolJury(taskId);
        vm.warp(appeals.appealOf(taskId).enrolEnd);
        uint256[] memory scores = ladder(SCORED);
        scores[1] = found;
        judge(taskId, scores);
        for (uint256 j = 1; j < 6; ++j) {
            uint256[] memory words = rows[j].pack();
            vm.expectRevert(abi.encodeWithSelector(IAppeals.AppealsNoFault.selector, taskId, validators[j]));
            appeals.reportOverturned(taskId, validators[j], 0, words);
        }
        uint256 seats = scoring.rowOf(taskId, validators[0]).seats;
        vm.prank(reporter);
        appeals.reportOverturned(taskId, validators[0], 0, rows[0].pack());
        assertEq(poolValue(validators[0]), STAKE - seats * (1000e18 / uint256(18)) / 2);
        assertTrue(staking.isEligible(validators[0]));
        resolve(taskId, 0);
        finalise(taskId);
        drain(taskId, middle, 20);
    }
}
