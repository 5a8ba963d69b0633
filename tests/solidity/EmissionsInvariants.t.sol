// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CoveyToken} from "../../contracts/CoveyToken.sol";
import {Emissions} from "../../contracts/Emissions.sol";
import {Staking} from "../../contracts/Staking.sol";
import {IEmissions} from "../../contracts/interfaces/IEmissions.sol";
import {ITaskRegistry} from "../../contracts/interfaces/ITaskRegistry.sol";
import {EmissionsFixture, TaskHarness} from "./utils/EmissionsFixture.sol";
import {Test} from "./utils/Test.sol";

/// @notice Two operators that vote, tasks that begin, fill up and end, stake that comes, goes and is slashed, and time.
contract EmissionsHandler is Test {
    uint256 public constant TASKS = 6;

    Emissions public immutable emissions;
    Staking public immutable staking;
    CoveyToken public immutable token;
    TaskHarness public immutable tasks;
    address public immutable duty;
    address[2] public operators;
    uint256[] public ids;
    uint256 public pushed;
    uint256 public letOut; // what the stream has let out by its rule, since the first configuration
    uint256 public wrong; // things that must not happen
    uint256 private _daily;
    uint256 private _decay;
    uint256 private _dayStart;
    uint256 private _countedTo;

    constructor(
        Emissions emissions_,
        Staking staking_,
        CoveyToken token_,
        TaskHarness tasks_,
        address duty_,
        address[2] memory operators_
    ) {
        emissions = emissions_;
        staking = staking_;
        token = token_;
        tasks = tasks_;
        duty = duty_;
        operators = operators_;
        for (uint256 i = 0; i < TASKS; ++i) {
            ids.push(tasks.post(0, 5000e18 * (i + 1), uint40(vm.getBlockTimestamp()) + 20 days));
        }
        (_decay, _countedTo, _dayStart) = (1e18, vm.getBlockTimestamp(), vm.getBlockTimestamp());
    }

    /// @dev Adds up second by second what is let out: another way than the contract's.
    modifier counted() {
        uint256 now_ = vm.getBlockTimestamp();
        while (_countedTo < now_) {
            uint256 until = _dayStart + 1 days < now_ ? _dayStart + 1 days : now_;
            letOut += _daily * (until - _dayStart) / 1 days - _daily * (_countedTo - _dayStart) / 1 days;
            _countedTo = until;
            if (until == _dayStart + 1 days) (_dayStart, _daily) = (until, _daily * _decay / 1e18);
        }
        _;
    }

    function vote(uint256 who, uint256 which, uint256 weight) external counted {
        address operator = operators[who & 1];
        uint256 id = ids[which % TASKS];
        uint256 free = emissions.votingPower(operator) + emissions.voteOf(operator, id);
        uint256 voted = emissions.votedOf(operator);
        weight = bound(weight, 0, free > voted ? free - voted : 1);
        bool more = weight > emissions.voteOf(operator, id);
        vm.prank(operator);
        try emissions.vote(operator, id, weight) {
            if (more && emissions.votedOf(operator) > emissions.votingPower(operator)) ++wrong;
            if (more && emissions.roomOf(id) == 0) ++wrong;
        } catch {
            if (!more) ++wrong; // less can always be voted
        }
    }

    function poke(uint256 who, uint256 which) external counted {
        address operator = operators[who & 1];
        uint256 id = ids[which % TASKS];
        uint256 before = emissions.votedOf(operator);
        try emissions.poke(operator, id) {
            if (emissions.votedOf(operator) >= before) ++wrong;
        } catch {}
    }

    function push(uint256 which) external counted {
        uint256 id = ids[which % TASKS];
        uint256 room = emissions.roomOf(id);
        uint256 supply = token.totalSupply();
        try emissions.push(id) returns (uint256 amount) {
            pushed += amount;
            if (amount > room || token.totalSupply() != supply + amount) ++wrong;
        } catch {
            uint256 pending = emissions.shareOf(id).pending;
            if (room != 0 && pending != 0) ++wrong; // what can be pushed is pushed
        }
    }

    function drop(uint256 which) external counted {
        uint256 id = ids[which % TASKS];
        bool open = emissions.roomOf(id) != 0;
        try emissions.drop(id) {
            if (open) ++wrong;
        } catch {
            IEmissions.ShareView memory share = emissions.shareOf(id);
            if (!open && share.weight + share.pending != 0) ++wrong;
        }
    }

    function end(uint256 which, uint256 how) external counted {
        uint256 id = ids[which % TASKS];
        if (how % 4 == 3) tasks.settle(id);
        else tasks.end(id, ITaskRegistry.Outcome(how % 3 + 1));
        ids[which % TASKS] = id; // it stays until another takes its place
    }

    function replace(uint256 which, uint256 limit) external counted {
        uint256 id = ids[which % TASKS];
        if (emissions.roomOf(id) != 0) return;
        try emissions.drop(id) {} catch {}
        for (uint256 i = 0; i < 2; ++i) {
            try emissions.poke(operators[i], id) {} catch {}
        }
        ids[which % TASKS] = tasks.post(0, bound(limit, 0, 50_000e18), uint40(vm.getBlockTimestamp()) + 20 days);
    }

    function delegate(uint256 who, uint256 amount) external counted {
        amount = bound(amount, 1e18, 10_000e18);
        token.approve(address(staking), amount);
        try staking.delegate(operators[who & 1], amount, 0) {} catch {}
    }

    function undelegate(uint256 who, uint256 shares) external counted {
        address operator = operators[who & 1];
        uint256 owned = staking.sharesOf(operator, address(this));
        if (owned != 0) staking.undelegate(operator, bound(shares, owned / 2 + 1, owned), 0);
    }

    function slash(uint256 who, uint256 amount) external counted {
        address operator = operators[who & 1];
        uint256 free = staking.eligibleStake(operator);
        if (free < 10e18) return;
        amount = bound(amount, 1, free / 10);
        vm.startPrank(duty);
        try staking.earmark(operator, amount, uint48(vm.getBlockTimestamp() - 1)) {
            uint256 taken = staking.slash(operator, amount, amount, address(0), false);
            staking.releaseEarmark(operator, amount - taken);
        } catch {}
        vm.stopPrank();
    }

    function configure(uint256 perDay, uint256 decay) external counted {
        IEmissions.EmissionsConfig memory config = IEmissions.EmissionsConfig({
            perDay: bound(perDay, 0, 50_000e18),
            decay: bound(decay, 0.9e18, 1e18),
            cap: 400_000e18,
            taskCap: 20_000e18,
            quorum: perDay % 3 == 0 ? 5000e18 : 0
        });
        if (config.cap < emissions.streamOf().allotted) ++wrong;
        vm.prank(address(0xC0FFEE));
        emissions.configure(config);
        (_daily, _decay, _dayStart) = (config.perDay, config.decay, vm.getBlockTimestamp());
    }

    function pass(uint256 elapsed) external counted {
        skip(bound(elapsed, 1, 3 days));
    }
}

contract EmissionsInvariantsTest is EmissionsFixture {
    EmissionsHandler internal handler;

    function setUp() public override {
        super.setUp();
        manager.grantRole(0, address(0xC0FFEE), 0);
        handler = new EmissionsHandler(emissions, staking, token, tasks, duty, [small, large]);
        require(token.transfer(address(handler), 10_000_000e18));
        handler.configure(PER_DAY, DECAY);
        handler.vote(0, 0, 500e18);
        handler.vote(1, 1, 2000e18);
        targetContract(address(handler));
    }

    function invariantWhatWasMintedAndPromisedIsAllottedAndWithinTheCap() public view {
        IEmissions.StreamView memory stream = emissions.streamOf();
        uint256 pending;
        for (uint256 i = 0; i < handler.TASKS(); ++i) {
            pending += emissions.shareOf(handler.ids(i)).pending;
        }
        assertEq(stream.minted, handler.pushed());
        assertLe(stream.minted + pending, stream.allotted);
        assertLe(stream.allotted, emissions.cap());
        assertEq(token.totalSupply(), SUPPLY + stream.minted);
        assertEq(token.balanceOf(address(tasks)), stream.minted);
        assertEq(token.balanceOf(address(emissions)), 0);
    }

    function invariantNoMoreIsMintedThanTheStreamLetOut() public {
        handler.pass(1);
        handler.pass(1); // the second counts the first's second
        assertLe(emissions.streamOf().minted, handler.letOut());
    }

    function invariantWeightsAreTheVotesThatCount() public view {
        uint256 total;
        uint256[2] memory cast;
        for (uint256 i = 0; i < handler.TASKS(); ++i) {
            uint256 id = handler.ids(i);
            uint256 weight;
            for (uint256 k = 0; k < 2; ++k) {
                uint256 voted = emissions.voteOf(handler.operators(k), id);
                weight += voted;
                cast[k] += voted;
            }
            assertEq(weightOf(id), weight);
            total += weight;
        }
        assertEq(emissions.streamOf().totalWeight, total);
        for (uint256 k = 0; k < 2; ++k) {
            assertLe(cast[k], emissions.votedOf(handler.operators(k)));
        }
    }

    function invariantNothingHappensThatMustNot() public view {
        assertEq(handler.wrong(), 0);
    }
}
