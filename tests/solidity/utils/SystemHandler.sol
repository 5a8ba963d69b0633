// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../../contracts/interfaces/ICommittee.sol";
import {IRewards} from "../../../contracts/interfaces/IRewards.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../../contracts/interfaces/ITaskRegistry.sol";
import {ContestedWords} from "../../../contracts/libraries/ContestedWords.sol";
import {CoveyScenario} from "./CoveyScenario.sol";
import {PlainScores} from "./PlainScores.sol";

/// @notice Random use of the whole system: concurrent tasks, honest validators and others that act randomly, faults, appeals,
/// delegators, pauses and time. Stores totals that the contracts do not.
/// @dev Validators 0…3 are honest. In attended tasks they enrol with more stake than all others together; in other tasks they do not.
contract SystemHandler is CoveyScenario {
    using PlainScores for uint256[];

    uint256 private constant VIRTUAL = 1e12;
    uint256 private constant HONEST = 4;
    uint256 private constant PERMITTING = uint256(keccak256("an account that signs permits"));

    struct Manner {
        bool attended; // honest validators enrol
        bool lazy; // only the runner sends the steps
        bool withheld; // the sealed set is not opened
        uint8 silent; // trainers that do not reveal, one bit each
    }

    uint256 public fallen; // number of price falls without a slash
    uint256 public wrongSlashes; // slashes of an honest validator, or without a fault
    uint256 public blocked; // reverted duties of honest validators
    uint256 public intrusions; // successful privileged calls of an unauthorised account
    uint256 public slashes;
    uint256[] private _tasks;
    address[2] private _delegators;
    mapping(uint256 taskId => Manner) private _manner;
    mapping(uint256 taskId => uint256) public claimed; // claimed from the task's pools
    mapping(uint256 taskId => uint256) private _claimedAppeal;
    mapping(uint256 taskId => uint256) private _word; // its median word
    mapping(bytes32 key => address[]) private _revealed; // in order
    mapping(bytes32 key => mapping(address operator => bool)) private _done;
    mapping(bytes32 key => mapping(address operator => uint256)) private _wild; // seed of a row that is not honest

    function setUp() public override {
        super.setUp();
        joinAll(4, 0);
        for (uint256 j = 0; j < HONEST; ++j) {
            validators.push(join(string.concat("honest ", decimal(j)), 60_000e18));
        }
        for (uint256 j = 0; j < 4; ++j) {
            validators.push(join(string.concat("loose ", decimal(j)), 10_000e18));
        }
        // Honest, and never seated in a task, so that appeals draw them.
        for (uint256 j = 0; j < 4; ++j) {
            jurors.push(join(string.concat("juror ", decimal(j)), 40_000e18));
        }
        _delegators = [makeAddr("first delegator"), makeAddr("second delegator")];
        for (uint256 i = 0; i < 2; ++i) {
            require(token.transfer(_delegators[i], 1_000_000e18));
            vm.prank(_delegators[i]);
            token.approve(address(staking), type(uint256).max);
        }
        token.approve(address(rewards), type(uint256).max);
        skip(1 hours);
    }

    // ------------------------------------------------------------------ what the runner calls

    /// @dev A price falls only by a slash. Cross-multiplied, so that rounding hides no fall.
    modifier watched() {
        vm.pauseGasMetering(); // a run exceeds the gas of a block
        uint256 n = operators.length;
        IStaking.PoolView[] memory before = new IStaking.PoolView[](n);
        for (uint256 i = 0; i < n; ++i) {
            before[i] = staking.poolOf(operators[i]);
        }
        _;
        for (uint256 i = 0; i < n; ++i) {
            IStaking.PoolView memory later = staking.poolOf(operators[i]);
            bool active = (later.activeTokens + VIRTUAL) * (before[i].activeShares + VIRTUAL)
                < (before[i].activeTokens + VIRTUAL) * (later.activeShares + VIRTUAL);
            if (active) ++fallen;
        }
    }

    function postTask(uint256 random) external watched {
        random = uint256(keccak256(abi.encode(random))); // the runner prefers small numbers
        uint256 running = 0;
        for (uint256 i = 0; i < _tasks.length; ++i) {
            if (outcomeOf(_tasks[i]) == 0) ++running;
        }
        if (running >= 4 || _tasks.length >= 12) return;
        ITaskRegistry.TaskParams memory params = random & 1 == 0 ? localParams() : sealedParams();
        if (random & 1 == 1) params.windows.appeal = 1 days;
        params.targetSeats = uint16(12 + (random >> 8) % 19);
        params.tau = uint16(655 + (random >> 32) % 3441);
        params.h = uint16(8 + (random >> 16) % (params.tau / 16 - 7));
        params.minEntries = uint8(1 + (random >> 24) % 2);
        params.power = uint8(1 + (random >> 48) % 3);
        params.validatorBps = uint16(500 + (random >> 56) % 9500);
        params.bounty = uint128(10e18 + (random >> 72) % 600e18);
        params.bond = uint128(5e18 + (random >> 140) % 100e18);
        vm.warp(vm.getBlockTimestamp() + 12);
        vm.prank(creator);
        (bool ok, bytes memory data) = address(registry).call(abi.encodeCall(registry.createTask, (params)));
        if (!ok) return; // paused
        uint256 taskId = abi.decode(data, (uint256));
        _tasks.push(taskId);
        _manner[taskId] = Manner({
            attended: (random >> 200) % 4 != 0,
            lazy: (random >> 204) % 6 == 0,
            withheld: (random >> 208) % 6 == 0,
            silent: (random >> 212) % 2 == 0 ? uint8(random >> 216) : 0
        });
        for (uint256 i = 0; i < (random >> 224) % 5; ++i) {
            commitEntry(taskId, trainers[i]);
        }
    }

    /// @dev A random action of a dishonest validator, an appellant or a creator.
    function work(uint256 which, uint256 who, uint256 random) external watched {
        if (_tasks.length == 0) return;
        random = uint256(keccak256(abi.encode(random, which, who)));
        uint256 taskId = _tasks[which % _tasks.length];
        address operator = validators[HONEST + who % 4];
        address signer = signerOf(operator);
        // At least the stake of a seat. In attended tasks honest seats are a quorum.
        uint256 most = _manner[taskId].attended ? 600e18 : 3000e18;
        uint256 amount = 420e18 + random % (most - 420e18);
        call(signer, address(registry), abi.encodeCall(registry.enrol, (taskId, operator, amount)));
        call(signer, address(committee), abi.encodeCall(committee.enrol, (taskId, operator, 1 + random % most)));
        if (random % 16 == 3) call(creator, address(registry), abi.encodeCall(registry.cancelTask, (taskId)));
        if (random % 3 == 0 && scoring.isSettled(taskId)) {
            bytes32[6] memory proof = one(0).proof(0);
            if (random & 8 == 0) {
                call(appellant, address(appeals), abi.encodeCall(appeals.contest, (taskId, 0, _word[taskId], proof)));
            } else {
                contestByPermit(taskId, proof);
            }
        }
        act(scoring, taskId, operator, random);
        act(committee, taskId, operator, random >> 8);
    }

    function contestByPermit(uint256 taskId, bytes32[6] memory proof) private {
        uint256 key = PERMITTING;
        uint256 bond = appeals.bondOf(taskId);
        require(token.transfer(vm.addr(key), bond));
        (uint8 v, bytes32 r, bytes32 s) = permitOf(key, address(appeals), bond);
        call(
            vm.addr(key),
            address(appeals),
            abi.encodeCall(
                appeals.contestWithPermit, (taskId, 0, _word[taskId], proof, bond, type(uint256).max, v, r, s)
            )
        );
    }

    function permitOf(uint256 key, address spender, uint256 amount)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 terms = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                vm.addr(key),
                spender,
                amount,
                token.nonces(vm.addr(key)),
                type(uint256).max
            )
        );
        return vm.sign(key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), terms)));
    }

    function act(ICommittee c, uint256 taskId, address operator, uint256 random) private {
        bytes32 key = keyOf(c, taskId);
        if (random % 4 == 0) {
            if (call(signerOf(operator), address(c), abi.encodeCall(c.abstain, (taskId, operator)))) {
                _done[key][operator] = true;
            }
            return;
        }
        ICommittee.RowStatus status = c.rowOf(taskId, operator).status;
        if (status == ICommittee.RowStatus.None) {
            _wild[key][operator] = random % 2 == 0 ? 0 : random;
            commitRow(c, taskId, operator);
        } else if (random % 4 != 1) {
            revealRow(c, taskId, operator);
        }
    }

    function step(uint256 which) external watched {
        if (_tasks.length != 0) steps(_tasks[which % _tasks.length]);
    }

    /// @dev Report every fault of an operator in a task; reports without a fault must revert.
    function report(uint256 which, uint256 who) external {
        vm.pauseGasMetering();
        if (_tasks.length != 0) reportOne(_tasks[which % _tasks.length], operators[who % operators.length]);
    }

    function claim(uint256 which) external watched {
        if (_tasks.length != 0) claimAll(_tasks[which % _tasks.length]);
    }

    function elapse(uint256 seconds_) external watched {
        until(vm.getBlockTimestamp() + bound(seconds_, 1 minutes, 40 hours));
    }

    function money(uint256 who, uint256 which, uint256 amount) external watched {
        address person = _delegators[who & 1];
        address operator = operators[which % operators.length];
        uint256 choice = amount % 11;
        if (choice < 2) {
            amount = bound(amount, 1, 20_000e18);
            call(person, address(staking), abi.encodeCall(staking.delegate, (operator, amount, 0)));
        } else if (choice == 2) {
            undelegate(person, operator, bound(amount, 1, 1 + staking.sharesOf(operator, person)));
        } else if (choice == 3) {
            // Dishonest validators undelegate while their faults are open, but stay eligible.
            operator = validators[HONEST + which % 4];
            undelegate(operator, operator, staking.sharesOf(operator, operator) / 8);
        } else if (choice == 4) {
            call(operator, address(staking), abi.encodeCall(staking.unjail, ()));
            call(operator, address(staking), abi.encodeCall(staking.setCommission, (uint16(amount % 5001))));
            call(operator, address(staking), abi.encodeCall(staking.applyCommission, (operator)));
            call(operator, address(staking), abi.encodeCall(staking.accrue, (operator)));
        } else if (choice == 5) {
            withdrawEntries();
        } else if (choice == 6) {
            uint256 index = amount % (1 + staking.entryCount(operator, person));
            call(person, address(staking), abi.encodeCall(staking.cancel, (operator, index)));
        } else if (choice == 7) {
            address to = operators[(which + 1 + amount % (operators.length - 1)) % operators.length];
            uint256 shares = bound(amount, 1, 1 + staking.sharesOf(operator, person));
            call(person, address(staking), abi.encodeCall(staking.redelegate, (operator, to, shares, 0)));
        } else if (choice == 8) {
            uint256 key = PERMITTING;
            amount = bound(amount, 1, 1000e18);
            require(token.transfer(vm.addr(key), amount));
            (uint8 v, bytes32 r, bytes32 s) = permitOf(key, address(staking), amount);
            bytes memory data =
                abi.encodeCall(staking.delegateWithPermit, (operator, amount, 0, type(uint256).max, v, r, s));
            call(vm.addr(key), address(staking), data);
            undelegate(vm.addr(key), operator, staking.sharesOf(operator, vm.addr(key)));
        } else if (choice == 9) {
            identity(operator, which, amount);
        } else {
            payAll(operator);
            payAll(treasury);
            if (_tasks.length != 0) {
                uint256 taskId = _tasks[who % _tasks.length];
                call(address(this), address(rewards), abi.encodeCall(rewards.topUp, (taskId, 1 + amount % 50e18)));
            }
        }
    }

    /// @dev Signers and reward addresses change, strangers register, rewards come from anyone.
    function identity(address operator, uint256 which, uint256 amount) private {
        bytes memory consent = consentOf(signerKey(operator), operator);
        if (which & 3 == 0) {
            call(operator, address(staking), abi.encodeCall(staking.setSigner, (signerOf(operator), consent)));
        } else if (which & 3 == 1) {
            address to = amount & 1 == 0 ? operator : treasury;
            call(operator, address(staking), abi.encodeCall(staking.setRewardAddress, (to)));
        } else if (which & 3 == 2) {
            // A signer of another operator, and one that did not consent.
            address other = operators[amount % operators.length];
            consent = consentOf(signerKey(other), _delegators[0]);
            bytes memory data = abi.encodeCall(staking.registerOperator, (signerOf(other), _delegators[0], 0, consent));
            if (call(_delegators[0], address(staking), data)) ++intrusions;
            data = abi.encodeCall(staking.registerOperator, (keeper, _delegators[0], 0, consent));
            if (call(_delegators[0], address(staking), data)) ++intrusions;
        } else {
            token.approve(address(staking), type(uint256).max);
            bytes memory data = abi.encodeCall(staking.addReward, (operator, 1 + amount % 10e18, amount % 1e23));
            call(address(this), address(staking), data);
        }
    }

    function pause(uint256 random) external watched {
        bool value = random % 4 == 0;
        staking.setPaused(value);
        registry.setPaused(value);
    }

    /// @dev Calls that are restricted to other contracts or governance.
    function intrude(uint256 which, uint256 who) external watched {
        uint256 taskId = _tasks.length == 0 ? 1 : _tasks[which % _tasks.length];
        address operator = validators[who % validators.length];
        address payable[6] memory target = [
            payable(address(rewards)),
            payable(address(registry)),
            payable(address(scoring)),
            payable(address(staking)),
            payable(address(appeals)),
            payable(address(bounds))
        ];
        bytes32[6] memory proof;
        tryIntrude(target[0], abi.encodeCall(rewards.fund, (taskId, creator, 1, 1)));
        tryIntrude(target[0], abi.encodeCall(rewards.payFee, (taskId, operator, creator, 1)));
        tryIntrude(target[0], abi.encodeCall(rewards.tip, (taskId, reporter)));
        tryIntrude(target[0], abi.encodeCall(rewards.close, (taskId, ITaskRegistry.Outcome.Failed)));
        tryIntrude(target[0], abi.encodeCall(rewards.chargeAppeal, (taskId, 1, 1)));
        tryIntrude(target[1], abi.encodeCall(registry.endTask, (taskId, ITaskRegistry.Outcome.Failed, "x")));
        tryIntrude(target[1], abi.encodeCall(registry.extend, (taskId)));
        ITaskRegistry.SlashKind kind = ITaskRegistry.SlashKind.Overturned;
        tryIntrude(target[1], abi.encodeCall(registry.slashEarmark, (taskId, operator, 1, reporter, kind)));
        tryIntrude(payable(address(committee)), abi.encodeCall(committee.slash, (taskId, operator, 1, reporter, kind)));
        tryIntrude(target[1], abi.encodeCall(registry.setPaused, (true)));
        tryIntrude(target[2], abi.encodeCall(scoring.replaceWord, (taskId, 0, _word[taskId], 0, proof)));
        tryIntrude(target[3], abi.encodeCall(staking.earmark, (operator, 1, 1)));
        tryIntrude(target[3], abi.encodeCall(staking.releaseEarmark, (operator, 1)));
        IStaking.SlashOrder memory order;
        (order.operator, order.earmarked, order.amount, order.reporter) = (operator, 1, 1, reporter);
        tryIntrude(target[3], abi.encodeCall(staking.slash, (order)));
        tryIntrude(target[3], abi.encodeCall(staking.setDuty, (reporter, true)));
        tryIntrude(target[3], abi.encodeCall(staking.setPaused, (true)));
        tryIntrude(target[4], abi.encodeCall(appeals.settled, (taskId, 1)));
        tryIntrude(target[4], abi.encodeCall(appeals.tip, (taskId, reporter)));
        tryIntrude(target[5], abi.encodeCall(bounds.setConfig, (registryConfig())));
    }

    function tryIntrude(address target, bytes memory data) private {
        if (call(reporter, target, data)) ++intrusions;
    }

    // ------------------------------------------------------------------ the end

    /// @notice With everything paused: end every task, report all faults, claim everything and withdraw all stake.
    function finish() external {
        vm.pauseGasMetering();
        staking.setPaused(true);
        registry.setPaused(true);
        for (uint256 i = 0; i < _tasks.length; ++i) {
            _manner[_tasks[i]].lazy = false;
        }
        until(vm.getBlockTimestamp() + 60 days);
        for (uint256 i = 0; i < _tasks.length; ++i) {
            uint256 taskId = _tasks[i];
            assertTrue(outcomeOf(taskId) != 0, "a task that does not end");
            for (uint256 j = 0; j < operators.length; ++j) {
                reportOne(taskId, operators[j]);
            }
            claimAll(taskId);
            claimAll(taskId); // fees of the first are credits of the second
        }
        for (uint256 i = 0; i < operators.length; ++i) {
            assertEq(staking.poolOf(operators[i]).earmarked, 0, "stake left earmarked");
        }
        vm.warp(vm.getBlockTimestamp() + staking.dripPeriod());
        // Shares that moved come back with the first withdrawal.
        for (uint256 k = 0; k < 2; ++k) {
            for (uint256 i = 0; i < operators.length; ++i) {
                for (uint256 d = 0; d < 2; ++d) {
                    undelegate(_delegators[d], operators[i], staking.sharesOf(operators[i], _delegators[d]));
                }
            }
            leaveAll();
            withdrawEntries();
        }
        leaveAll();
        payAll(vm.addr(PERMITTING));
        assertLe(token.balanceOf(address(rewards)), 40 * _tasks.length, "left in Rewards");
        assertLe(token.balanceOf(address(appeals)), 40 * _tasks.length, "left in Appeals");
        assertLe(token.balanceOf(address(staking)), 1e14, "left in Staking");
    }

    // ------------------------------------------------------------------ sums

    function taskIds() external view returns (uint256[] memory) {
        return _tasks;
    }

    /// @return outcome outcome of the task
    /// @return round number of its last committee
    /// @return state of its appeal
    function historyOf(uint256 taskId) external view returns (uint256 outcome, uint256 round, uint256 state) {
        return (outcomeOf(taskId), scoring.roundOf(taskId).number, uint256(appeals.appealOf(taskId).state));
    }

    function escrowOf(uint256 taskId) external view returns (IRewards.Escrow memory) {
        return rewards.escrowOf(taskId);
    }

    function owedBy(uint256 which) private view returns (uint256 sum) {
        for (uint256 i = 0; i < operators.length; ++i) {
            sum += owed(which, operators[i]) + owed(which, signerOf(operators[i]));
        }
        sum += owed(which, creator) + owed(which, treasury) + owed(which, keeper) + owed(which, appellant)
        + owed(which, reporter) + owed(which, address(this)) + owed(which, vm.addr(PERMITTING));
    }

    function owed(uint256 which, address account) private view returns (uint256) {
        return which == 0 ? rewards.owedTo(account) : which == 1 ? appeals.owedTo(account) : staking.owedTo(account);
    }

    /// @return held balance
    /// @return due sum of the claims of pools, tasks and accounts
    function stakingSums() external returns (uint256 held, uint256 due) {
        for (uint256 i = 0; i < operators.length; ++i) {
            staking.accrue(operators[i]);
            IStaking.PoolView memory pool = staking.poolOf(operators[i]);
            due += pool.activeTokens + pool.unbondingTokens + pool.undripped;
        }
        return (token.balanceOf(address(staking)), due + owedBy(2));
    }

    function rewardsSums() external view returns (uint256 held, uint256 due) {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            IRewards.Escrow memory e = rewards.escrowOf(_tasks[i]);
            due += e.closed ? e.remaining : uint256(e.bounty) + e.bond + e.fees + e.extra - e.appealCost;
        }
        return (token.balanceOf(address(rewards)), due + owedBy(0));
    }

    function appealsSums() external view returns (uint256 held, uint256 due) {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            IAppeals.Appeal memory a = appeals.appealOf(_tasks[i]);
            due += (a.award + a.tip) * (a.contested - a.resolved) + a.tips + a.pool - _claimedAppeal[_tasks[i]];
        }
        return (token.balanceOf(address(appeals)), due + owedBy(1));
    }

    // ------------------------------------------------------------------ calls

    function call(address from, address target, bytes memory data) private returns (bool ok) {
        vm.prank(from);
        (ok,) = target.call(data);
    }

    function undelegate(address who, address operator, uint256 shares) private {
        if (shares == 0) return;
        call(who, address(staking), abi.encodeCall(staking.undelegate, (operator, shares, 0)));
    }

    function withdrawEntries() private {
        for (uint256 i = 0; i < operators.length; ++i) {
            withdrawFrom(operators[i], operators[i]);
            withdrawFrom(operators[i], _delegators[0]);
            withdrawFrom(operators[i], _delegators[1]);
            withdrawFrom(operators[i], vm.addr(PERMITTING));
        }
    }

    function withdrawFrom(address operator, address owner) private {
        uint256 count = staking.entryCount(operator, owner);
        for (uint256 index = 0; index < count; ++index) {
            if (staking.entryOf(operator, owner, index).tokens == 0) continue;
            call(keeper, address(staking), abi.encodeCall(staking.withdraw, (operator, owner, index)));
        }
    }

    function one(uint256 word) private pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = word;
    }

    function keyOf(ICommittee c, uint256 taskId) private view returns (bytes32) {
        return keyAt(c, taskId, c.roundOf(taskId).number);
    }

    function keyAt(ICommittee c, uint256 taskId, uint8 number) private pure returns (bytes32) {
        return keccak256(abi.encode(address(c), taskId, number));
    }

    // ------------------------------------------------------------------ rows

    /// @dev One word: a task has at most four entries.
    function rowFor(ICommittee c, uint256 taskId, address operator) private view returns (uint256[] memory row) {
        uint256 entries = registry.stateOf(taskId).revealed;
        row = new uint256[](address(c) == address(scoring) ? entries : 16);
        uint256 wild = _wild[keyOf(c, taskId)][operator];
        if (wild != 0 && wild % 5 == 0) return row; // nothing to be had
        // Another part of the set, except in some tasks, whose appeals look like copies.
        uint256 part = address(c) == address(scoring) || taskId % 3 == 0 ? 0 : 300;
        for (uint256 i = 0; i < entries; ++i) {
            uint256 truth = 1000 + uint256(keccak256(abi.encode(taskId, i))) % 20_000;
            row[i] = wild == 0 ? truth + part + uint160(operator) % 8 : uint256(keccak256(abi.encode(wild, i))) % 32_768;
        }
    }

    function commitRow(ICommittee c, uint256 taskId, address operator) private returns (bool) {
        bytes32 hash = keccak256(
            abi.encode(
                block.chainid,
                address(c),
                taskId,
                uint256(c.roundOf(taskId).number),
                operator,
                keccak256(abi.encodePacked(rowFor(c, taskId, operator).pack())),
                keccak256("evidence"),
                saltOf(operator)
            )
        );
        return call(signerOf(operator), address(c), abi.encodeCall(c.commitScores, (taskId, operator, hash)));
    }

    function revealRow(ICommittee c, uint256 taskId, address operator) private returns (bool ok) {
        uint256[] memory words = rowFor(c, taskId, operator).pack();
        ok = call(
            keeper,
            address(c),
            abi.encodeCall(c.revealScores, (taskId, operator, words, keccak256("evidence"), saltOf(operator)))
        );
        if (!ok) return false;
        _revealed[keyOf(c, taskId)].push(operator);
        _done[keyOf(c, taskId)][operator] = true;
    }

    // ------------------------------------------------------------------ time and duties

    /// @dev Advance to the next window boundary; honest validators act before each.
    function until(uint256 target) private {
        while (true) {
            for (uint256 i = 0; i < _tasks.length; ++i) {
                if (!_manner[_tasks[i]].lazy) steps(_tasks[i]);
                duties(_tasks[i]);
                if (!_manner[_tasks[i]].lazy) steps(_tasks[i]);
            }
            if (vm.getBlockTimestamp() >= target) return;
            uint256 next = target;
            for (uint256 i = 0; i < _tasks.length; ++i) {
                next = boundary(_tasks[i], next);
            }
            vm.warp(next);
            vm.roll(vm.getBlockNumber() + (next % 8 == 0 ? 300 : 5)); // sometimes a target leaves the history
        }
    }

    function boundary(uint256 taskId, uint256 next) private view returns (uint256) {
        IAppeals.Appeal memory a = appeals.appealOf(taskId);
        if (outcomeOf(taskId) != 0) return sooner(next, a.reportEnd);
        ITaskRegistry.Schedule memory s = registry.scheduleOf(taskId);
        next = sooner(sooner(sooner(next, s.entryCommitEnd), s.enrolEnd), s.entryRevealEnd);
        next = sooner(sooner(next, s.openEnd), s.expiresAt);
        ICommittee.Round memory r = scoring.roundOf(taskId);
        next = sooner(sooner(next, r.scoreCommitEnd), r.scoreRevealEnd);
        next = sooner(next, scoring.requestFromOf(taskId));
        if (r.settledAt != 0) next = sooner(next, r.settledAt + 1 days);
        r = committee.roundOf(taskId);
        next = sooner(sooner(next, r.scoreCommitEnd), r.scoreRevealEnd);
        return sooner(sooner(sooner(sooner(next, a.contestEnd), a.enrolEnd), a.deadline), a.reportEnd);
    }

    function sooner(uint256 next, uint256 time) private view returns (uint256) {
        return time > vm.getBlockTimestamp() && time < next ? time : next;
    }

    /// @dev The actions of honest accounts at this time.
    function duties(uint256 taskId) private {
        if (outcomeOf(taskId) != 0) return;
        Manner memory manner = _manner[taskId];
        for (uint256 i = 0; i < 4; ++i) {
            if ((manner.silent >> i) & 1 == 1) continue;
            bytes32 salt = saltOf(trainers[i]);
            bytes memory data =
                abi.encodeCall(registry.revealEntry, (taskId, trainers[i], entryDigest(trainers[i]), salt));
            call(keeper, address(registry), data);
        }
        if (!manner.withheld) {
            bytes memory data = abi.encodeCall(registry.openSealed, (taskId, keccak256("set"), keccak256("salt")));
            call(creator, address(registry), data);
        }
        for (uint256 j = 0; j < HONEST; ++j) {
            address operator = validators[j];
            if (!manner.attended) {
                // Dishonest validators enrol for tasks that honest ones do not attend.
                address other = validators[HONEST + j];
                call(signerOf(other), address(registry), abi.encodeCall(registry.enrol, (taskId, other, 1500e18)));
            } else {
                call(signerOf(operator), address(registry), abi.encodeCall(registry.enrol, (taskId, operator, 2000e18)));
            }
            duty(scoring, taskId, operator);
            duty(committee, taskId, operator);
        }
        for (uint256 j = 0; j < jurors.length; ++j) {
            if (manner.attended) {
                bytes memory data = abi.encodeCall(committee.enrol, (taskId, jurors[j], 2500e18));
                call(signerOf(jurors[j]), address(committee), data);
            }
            duty(committee, taskId, jurors[j]);
        }
    }

    function duty(ICommittee c, uint256 taskId, address operator) private {
        ICommittee.Round memory round = c.roundOf(taskId);
        if (round.scoreCommitEnd == 0) return;
        ICommittee.RowStatus status = c.rowOf(taskId, operator).status;
        if (vm.getBlockTimestamp() < round.scoreCommitEnd) {
            if (status != ICommittee.RowStatus.None || c.seatsOf(taskId, operator) == 0) return;
            if (!commitRow(c, taskId, operator)) ++blocked;
        } else if (vm.getBlockTimestamp() < round.scoreRevealEnd && status == ICommittee.RowStatus.Committed) {
            if (!revealRow(c, taskId, operator)) ++blocked;
        }
    }

    /// @dev Send every due step that anyone can send.
    function steps(uint256 taskId) private {
        if (outcomeOf(taskId) != 0) return;
        call(keeper, address(registry), abi.encodeCall(registry.closeTask, (taskId)));
        call(keeper, address(registry), abi.encodeCall(registry.expire, (taskId)));
        drawn(scoring, taskId);
        call(keeper, address(scoring), abi.encodeCall(scoring.failRound, (taskId)));
        settlement(scoring, taskId);
        drawn(committee, taskId);
        settlement(committee, taskId);
        call(keeper, address(appeals), abi.encodeCall(appeals.failAppeal, (taskId)));
        bytes32[6] memory proof = one(0).proof(0); // of a page of one word, whatever it is
        if (call(keeper, address(appeals), abi.encodeCall(appeals.resolve, (taskId, 0, proof)))) {
            if (appeals.appealOf(taskId).state == IAppeals.AppealState.Settled) {
                ITaskRegistry.ScoringTerms memory terms = registry.scoringTermsOf(taskId);
                uint256 tolerance = terms.tau > 2 * uint256(terms.h) ? terms.tau : 2 * uint256(terms.h);
                _word[taskId] = ContestedWords.merge(_word[taskId], committee.foundOf(taskId, 0), tolerance);
            }
        }
        call(keeper, address(scoring), abi.encodeCall(scoring.finalise, (taskId)));
    }

    function drawn(ICommittee c, uint256 taskId) private {
        call(keeper, address(c), abi.encodeCall(c.requestSeed, (taskId)));
        ICommittee.Round memory round = c.roundOf(taskId);
        if (round.target == 0 || round.seedAt != 0) return;
        uint256 number = vm.getBlockNumber();
        if (number > round.target + 256) return;
        bytes memory header = mine(round.target, keccak256(abi.encode(taskId, round.target, address(c))));
        if (number > round.target + 1) vm.roll(number);
        vm.setBlockhash(round.target, keccak256(header));
        call(keeper, address(c), abi.encodeCall(c.fixSeed, (taskId, header)));
    }

    function settlement(ICommittee c, uint256 taskId) private {
        address[] memory who = _revealed[keyOf(c, taskId)];
        if (who.length == 0 || c.roundOf(taskId).settledAt != 0) return;
        uint256[] memory seats = new uint256[](who.length);
        uint256[] memory heads = new uint256[](who.length);
        uint256[] memory words = new uint256[](who.length);
        uint256[][] memory rows = new uint256[][](who.length);
        for (uint256 j = 0; j < who.length; ++j) {
            seats[j] = c.rowOf(taskId, who[j]).seats;
            heads[j] = uint256(uint160(who[j])) | (seats[j] << 160);
            rows[j] = rowFor(c, taskId, who[j]);
            words[j] = rows[j].pack()[0];
        }
        uint256[] memory middle = PlainScores.medians(rows, seats).pack();
        bool first = address(c) == address(scoring);
        bytes memory data = first
            ? abi.encodeCall(scoring.settlePage, (taskId, 0, heads, middle, words))
            : abi.encodeCall(committee.settleContests, (taskId, 0, heads, middle, words));
        if (call(keeper, address(c), data) && first) _word[taskId] = middle[0];
    }

    // ------------------------------------------------------------------ faults and claims

    function reportOne(uint256 taskId, address operator) private {
        for (uint8 number = 0; number < 2; ++number) {
            accuse(scoring, taskId, number, operator);
            accuse(committee, taskId, number, operator);
        }
        silence(taskId, operator);
        if (committee.rowOf(taskId, operator).status == ICommittee.RowStatus.Revealed) {
            uint256[] memory row = rowFor(committee, taskId, operator).pack();
            if (call(reporter, address(faults), abi.encodeCall(faults.reportJuror, (taskId, operator, row)))) {
                ++slashes;
                if (isHonest(operator)) ++wrongSlashes;
            }
        }
        if (scoring.rowOf(taskId, operator).status != ICommittee.RowStatus.Revealed) return;
        uint256[] memory words = rowFor(scoring, taskId, operator).pack();
        bytes memory data = abi.encodeCall(appeals.reportOverturned, (taskId, operator, 0, words));
        if (call(reporter, address(appeals), data)) {
            ++slashes;
            // Honest jurors, where they enrolled, find the true scores, and only a dishonest row is far from them.
            if (committee.stakeOf(taskId, jurors[0]) != 0) {
                if (isHonest(operator) || _wild[keyOf(scoring, taskId)][operator] == 0) ++wrongSlashes;
            }
        }
    }

    function accuse(ICommittee c, uint256 taskId, uint8 number, address operator) private {
        bytes32 key = keyAt(c, taskId, number);
        uint256 before = poolValue(operator);
        bool ok = call(reporter, address(c), abi.encodeCall(c.reportAbsent, (taskId, number, operator)));
        bool also = call(reporter, address(c), abi.encodeCall(c.reportUnrevealed, (taskId, number, operator)));
        if (!ok && !also) {
            if (poolValue(operator) != before) ++wrongSlashes;
            return;
        }
        ++slashes;
        // One fault per row, of a validator that did not do its duty.
        if ((ok && also) || _done[key][operator] || isHonest(operator)) ++wrongSlashes;
    }

    /// @dev Reports of silence in missed rounds and appeals; nobody who revealed can be reported.
    function silence(uint256 taskId, address operator) private {
        for (uint8 number = 0; number < 2; ++number) {
            if (!call(reporter, address(faults), abi.encodeCall(faults.reportMissed, (taskId, number, operator)))) {
                continue;
            }
            ++slashes;
            if (isHonest(operator) || revealedBy(keyAt(scoring, taskId, number), operator)) ++wrongSlashes;
        }
        if (call(reporter, address(faults), abi.encodeCall(faults.reportSilentJuror, (taskId, operator)))) {
            ++slashes;
            if (isHonest(operator) || revealedBy(keyAt(committee, taskId, 0), operator)) ++wrongSlashes;
        }
    }

    function revealedBy(bytes32 key, address operator) private view returns (bool) {
        for (uint256 j = 0; j < _revealed[key].length; ++j) {
            if (_revealed[key][j] == operator) return true;
        }
        return false;
    }

    function isHonest(address operator) private view returns (bool) {
        for (uint256 j = 0; j < HONEST; ++j) {
            if (validators[j] == operator || jurors[j] == operator) return true;
        }
        return false;
    }

    function claimAll(uint256 taskId) private {
        bytes32[6] memory proof = one(0).proof(0);
        for (uint32 lane = 0; lane < 4; ++lane) {
            claimed[
                taskId
            ] += amountOf(address(rewards), abi.encodeCall(rewards.claimEntry, (taskId, lane, _word[taskId], proof)));
            amountOf(address(rewards), abi.encodeCall(rewards.claimFee, (taskId, trainers[lane])));
        }
        for (uint256 j = 0; j < operators.length; ++j) {
            address operator = operators[j];
            claimed[taskId] += amountOf(address(rewards), abi.encodeCall(rewards.claimScoring, (taskId, operator)));
            _claimedAppeal[
                taskId
            ] += amountOf(address(appeals), abi.encodeCall(appeals.claimAppeal, (taskId, operator)));
            call(keeper, address(registry), abi.encodeCall(registry.releaseEarmark, (taskId, operator)));
            call(keeper, address(committee), abi.encodeCall(committee.release, (taskId, operator)));
        }
    }

    function amountOf(address target, bytes memory data) private returns (uint256) {
        vm.prank(keeper);
        (bool ok, bytes memory result) = target.call(data);
        return ok ? abi.decode(result, (uint256)) : 0;
    }
}
