// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CoveyToken} from "../../../contracts/CoveyToken.sol";
import {Emissions} from "../../../contracts/Emissions.sol";
import {Staking} from "../../../contracts/Staking.sol";
import {IEmissions} from "../../../contracts/interfaces/IEmissions.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../../contracts/interfaces/ITaskRegistry.sol";
import {TaskStub} from "./TaskStub.sol";
import {Test} from "./Test.sol";

/// @notice Random votes of two operators, tasks that start, fill and end, changes and slashes of stake, and time.
contract EmissionsHandler is Test {
    uint256 public constant TASKS = 6;

    Emissions public immutable emissions;
    Staking public immutable staking;
    CoveyToken public immutable token;
    TaskStub public immutable tasks;
    address public immutable duty;
    address[2] public operators;
    uint256[] public ids;
    uint256 public pushed;
    uint256 public letOut; // amount emitted by the rule of the stream since the first configuration
    uint256 public wrong; // number of violations
    uint256 private _daily;
    uint256 private _decay;
    uint256 private _dayStart;
    uint256 private _countedTo;

    constructor(
        Emissions emissions_,
        Staking staking_,
        CoveyToken token_,
        TaskStub tasks_,
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

    /// @dev Sum the stream second by second, unlike the contract.
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
            if (!more) ++wrong; // a weight can always be reduced
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
            if (room != 0 && pending != 0) ++wrong; // a pending amount within the limit must be pushed
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
        ids[which % TASKS] = id; // replaced by a later task
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
        try staking.earmark(operator, amount, uint48(vm.getBlockTimestamp() - 1)) returns (uint24 gen, uint48 net) {
            uint256 taken =
                staking.slash(IStaking.SlashOrder(operator, amount, amount, gen, net, address(0), false, false, false));
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
