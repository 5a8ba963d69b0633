// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {Emissions} from "../../contracts/Emissions.sol";
import {IEmissions} from "../../contracts/interfaces/IEmissions.sol";
import {IStaking} from "../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {EmissionsFixture} from "./utils/EmissionsFixture.sol";

/// @notice Unit tests of the stream, votes, shares and bounds.
contract EmissionsTest is EmissionsFixture {
    // ------------------------------------------------------------------ the stream

    function test_StreamIsOffUntilConfigured() public {
        uint256 task = post();
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskFull.selector, task));
        vote(large, task, 1e18);
        skip(100 days);
        IEmissions.StreamView memory stream = emissions.streamOf();
        assertEq(stream.allotted + stream.minted + stream.daily + stream.totalWeight, 0);
        assertEq(emissions.roomOf(task), 0);
    }

    /// @dev A single voter receives the whole stream, so its task's allotment equals the stream, up to rounding of the accumulator.
    function testFuzz_StreamDoesNotDependOnTheNumberOfAccruals(uint256 seed, uint256 perDay, uint256 decay) public {
        IEmissions.EmissionsConfig memory config = defaults();
        config.perDay = perDay = bound(perDay, 0, emissions.MAX_PER_DAY());
        config.decay = decay = bound(decay, emissions.MIN_DECAY(), 1e18);
        uint256 task = tasks.post(0, type(uint128).max, type(uint40).max);
        turnOn();
        vote(large, task, 3000e18);
        emissions.configure(config);
        uint256 start = vm.getBlockTimestamp();
        for (uint256 i = 0; i < 12; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.warp(vm.getBlockTimestamp() + seed % [uint256(1), 100, 5000, 1 days, 9 days][seed >> 200 & 3]);
            emissions.accrue();
        }
        uint256 wanted = letOut(perDay, decay, vm.getBlockTimestamp() - start);
        assertEq(allotted(), wanted);
        assertLe(pendingOf(task), wanted);
        assertApproxEqAbs(pendingOf(task), wanted, 12 * DUST);
    }

    function test_TimeWithoutVotesAllotsNothing() public {
        turnOn();
        uint256 start = vm.getBlockTimestamp();
        skip(10 days);
        uint256 task = post();
        vote(large, task, 3000e18);
        uint256 before = letOut(PER_DAY, DECAY, vm.getBlockTimestamp() - start);
        assertEq(allotted(), 0);
        skip(3 days);
        assertEq(allotted(), letOut(PER_DAY, DECAY, vm.getBlockTimestamp() - start) - before);
    }

    function test_LongPauseIsAccruedInSteps() public {
        turnOn();
        uint256 start = vm.getBlockTimestamp();
        uint256 task = tasks.post(0, type(uint128).max, type(uint40).max);
        vote(large, task, 3000e18);
        skip(900 days);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsBehind.selector, uint40(start + 400 days)));
        vote(large, task, 0);
        emissions.accrue();
        assertEq(allotted(), letOut(PER_DAY, DECAY, 800 days)); // a view accrues the next 400 days
        emissions.accrue();
        emissions.accrue();
        assertEq(allotted(), letOut(PER_DAY, DECAY, vm.getBlockTimestamp() - start));
        vote(large, task, 0);
    }

    function test_StreamIsReducedBelowTheQuorum() public {
        IEmissions.EmissionsConfig memory config = defaults();
        config.quorum = 10_000e18;
        config.decay = 1e18;
        emissions.configure(config);
        uint256 task = post();
        vote(small, task, 1000e18);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        assertApproxEqAbs(pendingOf(task), PER_DAY / 10, DUST);
        assertEq(allotted(), PER_DAY / 10);
    }

    // ------------------------------------------------------------------ shares

    function test_SharesFollowWeightsAndArePushedIntoBounties() public {
        turnOn();
        uint256 first = post();
        uint256 second = post();
        vote(small, first, 1000e18);
        vote(large, second, 2000e18);
        vote(large, first, 1000e18);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        assertApproxEqAbs(pendingOf(first), PER_DAY / 2, DUST);
        assertApproxEqAbs(pendingOf(second), PER_DAY / 2, DUST);
        uint256 pending = pendingOf(first);
        uint256 supply = token.totalSupply();
        assertEq(emissions.push(first), pending);
        (, uint256 extra,,,,) = tasks.tasks(first);
        assertEq(extra, pending);
        assertEq(token.totalSupply(), supply + pending);
        assertEq(token.balanceOf(address(tasks)), pending);
        assertEq(token.balanceOf(address(emissions)), 0);
        assertEq(emissions.streamOf().minted, pending);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsNothingToPush.selector, first));
        emissions.push(first);
    }

    function test_FullTaskLosesItsVotesAndItsExcess() public {
        turnOn();
        uint256 task = post(4000e18);
        uint256 other = post();
        vote(large, task, 3000e18);
        vote(small, other, 1000e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskOpen.selector, task));
        emissions.drop(task);
        skip(2 days);
        uint256 pending = pendingOf(task);
        uint256 before = allotted();
        assertEq(emissions.push(task), 4000e18);
        assertEq(weightOf(task), 0);
        assertEq(pendingOf(task), 0);
        assertEq(allotted(), before - (pending - 4000e18));
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskFull.selector, task));
        vote(large, task, 3000e18);
        // From now on the other task receives the whole stream.
        uint256 had = pendingOf(other);
        before = allotted();
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        assertApproxEqAbs(pendingOf(other) - had, allotted() - before, DUST);
    }

    function test_TaskFilledByOthersIsDropped() public {
        turnOn();
        uint256 task = post(4000e18);
        vote(large, task, 3000e18);
        skip(1 days);
        token.approve(address(tasks), 4000e18);
        tasks.topUp(task, 4000e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsNothingToPush.selector, task));
        emissions.push(task);
        emissions.drop(task);
        assertEq(weightOf(task), 0);
        assertLe(allotted(), DUST);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsNothingToDrop.selector, task));
        emissions.drop(task);
    }

    function test_TaskReceivesAtMostTheTaskCap() public {
        IEmissions.EmissionsConfig memory config = defaults();
        config.taskCap = 500e18;
        emissions.configure(config);
        uint256 task = post();
        vote(large, task, 3000e18);
        skip(1 days);
        assertEq(emissions.push(task), 500e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskFull.selector, task));
        vote(large, task, 1);
    }

    function test_VoteForADroppedTaskIsFreedAndCanBeCastAgain() public {
        turnOn();
        uint256 task = post(100e18);
        vote(large, task, 3000e18);
        skip(1 days);
        emissions.push(task);
        assertEq(emissions.voteOf(large, task), 0);
        assertEq(emissions.votedOf(large), 3000e18);
        emissions.poke(large, task);
        assertEq(emissions.votedOf(large), 0);
        uint256 other = post();
        vote(large, other, 3000e18);
        assertEq(emissions.voteOf(large, other), 3000e18);
    }

    function testFuzz_RoundingNeverAllotsMoreThanWasStreamed(uint256 seed) public {
        turnOn();
        uint256 start = vm.getBlockTimestamp();
        uint256[3] memory ids = [post(), post(), post()];
        uint256 pushed;
        for (uint256 i = 0; i < 20; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            address who = seed & 1 == 0 ? small : large;
            uint256 id = ids[(seed >> 8) % 3];
            uint256 free = emissions.votingPower(who) - emissions.votedOf(who) + emissions.voteOf(who, id);
            vote(who, id, (seed >> 16) % (free + 1));
            vm.warp(vm.getBlockTimestamp() + (seed >> 128) % 1 hours);
            try emissions.push(ids[(seed >> 4) % 3]) returns (uint256 amount) {
                pushed += amount;
            } catch {}
        }
        uint256 shares = pendingOf(ids[0]) + pendingOf(ids[1]) + pendingOf(ids[2]) + pushed;
        assertLe(shares, allotted());
        assertLe(allotted(), letOut(PER_DAY, DECAY, vm.getBlockTimestamp() - start));
        assertApproxEqAbs(shares, allotted(), 20 * DUST);
    }

    // ------------------------------------------------------------------ attacks

    function test_StakeDelegatedInThisBlockHasNoVote() public {
        turnOn();
        vm.warp(vm.getBlockTimestamp() + 2 days); // past the quantum of the first delegations
        uint256 task = post();
        stake(small, makeAddr("flash"), 1_000_000e18);
        assertApproxEqAbs(emissions.votingPower(small), 1000e18, 1 << 40);
        vm.expectRevert(
            abi.encodeWithSelector(
                IEmissions.EmissionsAbovePower.selector, small, 1_001_000e18, emissions.votingPower(small)
            )
        );
        vote(small, task, 1_001_000e18);
        vm.warp(vm.getBlockTimestamp() + 1);
        vote(small, task, 1_001_000e18);
    }

    function test_StakeUndelegatedInThisBlockHasNoVote() public {
        turnOn();
        vm.warp(vm.getBlockTimestamp() + 2 days); // past the quantum of the first delegations
        uint256 task = post();
        vm.prank(large);
        staking.undelegate(large, 2800e18, 0);
        uint256 power = emissions.votingPower(large);
        assertApproxEqAbs(power, 200e18, 1 << 40);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsAbovePower.selector, large, 3000e18, power));
        vote(large, task, 3000e18);
    }

    function test_StakeCountsOnceAcrossTasks() public {
        turnOn();
        uint256 first = post();
        uint256 second = post();
        vote(large, first, 2000e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsAbovePower.selector, large, 3001e18, 3000e18));
        vote(large, second, 1001e18);
        vote(large, second, 1000e18);
        vote(large, first, 1500e18); // a reduction is always allowed
        vote(large, second, 1500e18);
        assertEq(emissions.votedOf(large), 3000e18);
        assertEq(emissions.streamOf().totalWeight, 3000e18);
    }

    /// @dev Stake that redelegates has no vote at its new operator for an unbonding period.
    function test_RedelegatedStakeDoesNotVoteTwice() public {
        turnOn();
        uint256 task = post();
        address whale = makeAddr("whale");
        stake(small, whale, 2000e18);
        vm.warp(vm.getBlockTimestamp() + 1);
        vote(small, task, 3000e18);
        vm.prank(whale);
        uint256 entry = staking.redelegate(small, large, 2000e18, 0);
        vm.warp(vm.getBlockTimestamp() + 2 days);
        assertEq(staking.eligibleStake(large), 5000e18);
        assertEq(staking.movedIn(large), 2000e18);
        assertEq(emissions.votingPower(large), 3000e18);
        emissions.poke(small, task);
        assertEq(emissions.voteOf(small, task), 1000e18);
        vm.warp(vm.getBlockTimestamp() + TASK_LIFE);
        staking.withdraw(small, whale, entry);
        assertEq(emissions.votingPower(large), 5000e18);
    }

    /// @dev Who adds dust in the block of a poke hides stake that is new in its quantum; votes for it stay.
    function test_DustBeforeAPokeReducesNobodysVote() public {
        turnOn();
        uint256 task = post();
        vm.warp(vm.getBlockTimestamp() + 2 days);
        stake(large, makeAddr("whale"), 2000e18);
        vm.warp(vm.getBlockTimestamp() + 1);
        vote(large, task, 5000e18);
        vm.warp(vm.getBlockTimestamp() + 1);
        stake(large, makeAddr("griefer"), 1e15);
        assertLt(emissions.votingPower(large), 3001e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsNothingToPoke.selector, large, task));
        emissions.poke(large, task);
    }

    /// @dev Stake can move to another operator with a vote only after unbonding. No task that it voted for before is open then, because a task
    /// lives at most maxTaskLife, which is at most the unbonding period. So stake does not vote twice, even without `poke`.
    function test_StakeMovedToAnotherOperatorDoesNotVoteTwice() public {
        turnOn();
        uint256 task = post();
        stake(small, makeAddr("whale"), 5000e18);
        vm.warp(vm.getBlockTimestamp() + 1);
        vote(small, task, 6000e18);
        vm.prank(makeAddr("whale"));
        uint256 entry = staking.undelegate(small, 5000e18, 0);
        uint256 later = post();
        vm.warp(vm.getBlockTimestamp() + TASK_LIFE - 1);
        vm.expectRevert();
        staking.withdraw(small, makeAddr("whale"), entry);
        vm.warp(vm.getBlockTimestamp() + 1);
        assertEq(staking.withdraw(small, makeAddr("whale"), entry), 5000e18);
        // The first vote can no longer be paid, and anyone can drop it.
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskNotOpen.selector, task));
        emissions.push(task);
        assertEq(emissions.roomOf(task), 0);
        emissions.drop(task);
        assertEq(emissions.streamOf().totalWeight, 0);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskNotOpen.selector, later));
        vote(large, later, 1);
    }

    function test_AnyoneCanPokeAVoteWhoseStakeFell() public {
        turnOn();
        uint256 first = post();
        uint256 second = post();
        vote(large, first, 1000e18);
        vote(large, second, 2000e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsNothingToPoke.selector, large, first));
        emissions.poke(large, first);
        vm.prank(large);
        staking.undelegate(large, 1500e18, 0);
        emissions.poke(large, first);
        assertEq(emissions.voteOf(large, first), 0);
        assertEq(emissions.votedOf(large), 2000e18);
        emissions.poke(large, second);
        assertEq(emissions.voteOf(large, second), 1500e18);
        assertEq(emissions.votedOf(large), 1500e18);
        assertEq(emissions.streamOf().totalWeight, 1500e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsNothingToPoke.selector, large, second));
        emissions.poke(large, second);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsNothingToPoke.selector, small, second));
        emissions.poke(small, second);
    }

    function test_SlashAndJailReduceVotes() public {
        turnOn();
        uint256 task = post();
        vote(large, task, 3000e18);
        vm.startPrank(duty);
        (uint24 gen, uint48 net) = staking.earmark(large, 3000e18, uint48(vm.getBlockTimestamp() - 1));
        IStaking.SlashOrder memory given =
            IStaking.SlashOrder(large, 3000e18, 600e18, gen, net, address(0), false, false, false);
        staking.slash(given);
        vm.stopPrank();
        emissions.poke(large, task);
        assertEq(emissions.voteOf(large, task), 2400e18);
        (given.earmarked, given.amount, given.capped) = (2400e18, 2400e18, true);
        vm.prank(duty);
        staking.slash(given); // up to the absence cap, which jails
        assertEq(emissions.votingPower(large), 0);
        emissions.poke(large, task);
        assertEq(emissions.voteOf(large, task), 0);
    }

    function test_RevertIf_VoterIsNeitherOperatorNorSigner() public {
        turnOn();
        uint256 task = post();
        vm.prank(small);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsNotOperator.selector, small, large));
        emissions.vote(large, task, 1);
        vm.prank(large);
        emissions.vote(large, task, 1);
        address stranger = makeAddr("stranger"); // an account that is no operator has no stake
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsAbovePower.selector, stranger, 1, 0));
        emissions.vote(stranger, task, 1);
    }

    /// @dev An operator that votes for its own task receives only its stake's share of the stream.
    function testFuzz_SelfVotingYieldsAProportionalShare(uint256 own, uint256 others, uint256 elapsed) public {
        turnOn();
        own = bound(own, 1, 1000e18);
        others = bound(others, 1, 3000e18);
        elapsed = bound(elapsed, 1, TASK_LIFE - 1);
        uint256 mine = post();
        uint256 honest = post();
        vote(small, mine, own);
        vote(large, honest, others);
        vm.warp(vm.getBlockTimestamp() + elapsed);
        assertLe(pendingOf(mine), allotted() * own / (own + others) + 1);
        assertLe(pendingOf(mine) + pendingOf(honest), allotted());
    }

    function test_EndedTaskReceivesNothingAndAnyoneCanDropIt() public {
        turnOn();
        for (uint256 i = 1; i <= 3; ++i) {
            uint256 ended = post();
            uint256 other = post();
            vote(large, ended, 3000e18);
            vote(small, other, 1000e18);
            skip(1 days);
            tasks.end(ended, ITaskRegistry.Outcome(i));
            vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskNotOpen.selector, ended));
            emissions.push(ended);
            vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskNotOpen.selector, ended));
            vote(large, ended, 3000e18 + 1);
            uint256 forfeited = pendingOf(ended);
            uint256 before = allotted();
            uint256 supply = token.totalSupply();
            vm.prank(makeAddr("anyone"));
            emissions.drop(ended);
            assertEq(allotted(), before - forfeited); // not minted, and can be allotted again
            assertEq(token.totalSupply(), supply);
            assertEq(emissions.streamOf().totalWeight, 1000e18);
            emissions.poke(large, ended);
            assertEq(emissions.votedOf(large), 0);
            vote(small, other, 0);
        }
    }

    function test_PokingAVoteForAnEndedTaskDropsTheTask() public {
        turnOn();
        uint256 task = post();
        vote(large, task, 3000e18);
        vote(small, task, 1000e18);
        skip(1 days);
        tasks.end(task, ITaskRegistry.Outcome.Paid);
        emissions.poke(large, task);
        assertEq(emissions.votedOf(large), 0);
        assertEq(emissions.voteOf(small, task), 0);
        assertEq(emissions.votedOf(small), 1000e18);
        assertEq(emissions.streamOf().totalWeight, 0);
        vote(small, task, 0);
        assertEq(emissions.votedOf(small), 0);
    }

    function test_SettledAndExpiredTasksReceiveNothing() public {
        turnOn();
        uint256 settled = post();
        uint256 late = post();
        vote(large, settled, 1500e18);
        vote(large, late, 1500e18);
        skip(1 days);
        tasks.settle(settled);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskNotOpen.selector, settled));
        emissions.push(settled);
        emissions.drop(settled);
        skip(TASK_LIFE);
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsTaskNotOpen.selector, late));
        emissions.push(late);
        emissions.drop(late);
        assertLe(allotted(), DUST);
        assertEq(token.totalSupply(), SUPPLY);
    }

    // ------------------------------------------------------------------ governance

    function test_RevertIf_CallerMayNotConfigureOrMint() public {
        vm.prank(small);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, small));
        emissions.configure(defaults());
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(this)));
        token.mint(address(this), 1);
    }

    function test_ConfigurationBoundsAreEnforced() public {
        IEmissions.EmissionsConfig memory config = defaults();
        config.perDay = emissions.MAX_PER_DAY() + 1;
        refused(config, "perDay");
        config = defaults();
        config.decay = emissions.MIN_DECAY() - 1;
        refused(config, "decay");
        config.decay = 1e18 + 1;
        refused(config, "decay");
        config = defaults();
        config.taskCap = emissions.MAX_TASK_CAP() + 1;
        refused(config, "taskCap");
        config = defaults();
        config.quorum = emissions.MAX_QUORUM() + 1e18;
        refused(config, "quorum");
        config.quorum = 1e18 + 1;
        refused(config, "quorum");
        config = defaults();
        config.cap = token.MAX_SUPPLY() - SUPPLY + 1;
        refused(config, "cap");
        config.cap -= 1;
        config.perDay = emissions.MAX_PER_DAY();
        config.taskCap = emissions.MAX_TASK_CAP();
        config.decay = emissions.MIN_DECAY();
        config.quorum = emissions.MAX_QUORUM();
        emissions.configure(config);
        assertEq(emissions.cap(), config.cap);
        assertEq(emissions.taskCap(), config.taskCap);
        assertEq(emissions.decay(), config.decay);
        assertEq(emissions.quorum(), config.quorum);
        assertEq(emissions.streamOf().daily, config.perDay);
    }

    function test_CapStopsTheStreamAndCannotFallBelowTheAllotment() public {
        IEmissions.EmissionsConfig memory config = defaults();
        config.cap = 15_000e18;
        emissions.configure(config);
        uint256 task = post();
        vote(large, task, 3000e18);
        skip(5 days);
        assertEq(allotted(), 15_000e18);
        uint256 minted = emissions.push(task);
        assertLe(minted, 15_000e18);
        assertApproxEqAbs(minted, 15_000e18, DUST);
        config.cap = 14_999e18;
        refused(config, "cap");
        // Turned off; the pending allotments are still payable.
        config.cap = 15_000e18;
        config.perDay = 0;
        emissions.configure(config);
        skip(5 days);
        assertEq(allotted(), 15_000e18);
    }

    function test_FullDayAfterAChangeStreamsTheExactAmount() public {
        turnOn();
        uint256 task = post();
        vote(large, task, 3000e18);
        vm.warp(vm.getBlockTimestamp() + 12_345);
        IEmissions.EmissionsConfig memory config = defaults();
        config.perDay = 7777e18 + 7;
        uint256 first = PER_DAY * 12_345 / 1 days;
        emissions.configure(config);
        assertEq(allotted(), first);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        assertEq(allotted(), first + config.perDay);
    }

    function test_RevertIf_ZeroAddress() public {
        for (uint256 i = 0; i < 5; ++i) {
            address[5] memory given = [address(token), address(staking), address(tasks), address(tasks), address(tasks)];
            given[i] = address(0);
            vm.expectRevert(IEmissions.EmissionsZeroAddress.selector);
            this.create(given);
        }
    }

    /// @dev External, so that vm.expectRevert sees the revert of the constructor.
    function create(address[5] calldata given) external {
        new Emissions(address(manager), given[0], given[1], given[2], given[3], given[4]);
    }

    function refused(IEmissions.EmissionsConfig memory config, bytes32 name) internal {
        vm.expectRevert(abi.encodeWithSelector(IEmissions.EmissionsBadConfig.selector, name));
        emissions.configure(config);
    }
}
