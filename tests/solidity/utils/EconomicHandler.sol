// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAppeals} from "../../../contracts/interfaces/IAppeals.sol";
import {ICommittee} from "../../../contracts/interfaces/ICommittee.sol";
import {ITaskRegistry} from "../../../contracts/interfaces/ITaskRegistry.sol";
import {CoveyScenario} from "./CoveyScenario.sol";
import {PlainScores} from "./PlainScores.sol";

/// @notice Lives of a coalition that holds less than half of the seats. Each life is lived twice from the same state and with the same
/// draws: honestly, and as an attack that calls every entry point with random arguments and breaks its duties. The attack must not end
/// with more tokens than honest play.
/// @dev The coalition: a creator (in some lives), two trainers, three validators, two jurors, an appellant, a delegator, and the sender
/// of all steps and reports, who so earns every tip and reward in both lives. Honest rows are equal, so that a minority cannot move a
/// median; scores of another part of the set differ from them by less than max(tau, 2h).
// The counters are read one by one.
// solhint-disable-next-line max-states-count
contract EconomicHandler is CoveyScenario {
    using PlainScores for uint256[];

    uint256 private constant HONEST_TRAINERS = 2;
    uint256 private constant HONEST_VALIDATORS = 4;
    uint256 private constant HONEST_JURORS = 4;
    /// @notice Kinds of moves, see `move`.
    uint256 public constant MOVES = 48;
    /// @dev Shares are rounded in favour of the pool; a pool's first tokens are the virtual shares'.
    uint256 private constant DUST = 1e14;

    /// @dev What the two lives have in common.
    struct Life {
        uint256 seed;
        uint256 bounty;
        uint256 start; // tokens of the coalition, staked ones included
        bool creates; // the creator is the coalition's
        bool isSealed;
        bool enters; // its trainers enter
        bool two; // two tasks in parallel
        bool retires; // an honest validator leaves before rewards are claimed
    }

    /// @dev What honest nodes cannot read.
    enum Hidden {
        Nothing,
        Own,
        All
    }

    /// @dev What happened in one of them.
    struct Record {
        bool minority; // the coalition never had half of the seats
        bool shown; // an honest entry was revealed
        bytes32 enrolled; // hash of all earmarks behind the tasks
        uint256 wealth;
        uint256 moves; // successful ones, one bit for each kind
    }

    /// @notice Lives whose attack was not left out, and those with a contest, a failed task, a void round, a slash.
    uint256 public lives;
    uint256 public leftOut;
    uint256 public movesSeen;
    uint256 public failed;
    uint256 public contests;
    uint256 public worse; // lives in which the attack lost
    /// @notice The largest gain of an attack over honest play, in wei, and the seed of that life.
    int256 public best = type(int256).min;
    uint256 public bestSeed;

    address private _villain = makeAddr("villain");
    address private _stash = makeAddr("stash");
    address[] private _gang;
    uint256[] private _tasks;
    bool private _attack;
    Hidden private _hidden;
    bool private _drawn; // the first seeds are fixed
    uint256 private _plan;
    uint256 private _done;
    mapping(bytes32 key => address[]) private _revealed;
    mapping(bytes32 key => mapping(address operator => uint256[])) private _rows;

    function setUp() public override {
        super.setUp();
        joinAll(4, 7);
        joinJury(6);
        for (uint256 i = 0; i < 2; ++i) {
            _gang.push(trainers[HONEST_TRAINERS + i]);
            _gang.push(jurors[HONEST_JURORS + i]);
        }
        for (uint256 j = HONEST_VALIDATORS; j < 7; ++j) {
            _gang.push(validators[j]);
        }
        address[5] memory more = [_villain, _stash, appellant, keeper, reporter];
        for (uint256 i = 0; i < 5; ++i) {
            _gang.push(more[i]);
            require(token.transfer(more[i], 20_000e18));
            vm.startPrank(more[i]);
            token.approve(address(rewards), type(uint256).max);
            token.approve(address(staking), type(uint256).max);
            token.approve(address(appeals), type(uint256).max);
            vm.stopPrank();
        }
        for (uint256 i = 0; i < _gang.length; ++i) {
            vm.prank(_gang[i]);
            token.approve(address(staking), type(uint256).max);
        }
        skip(1 hours);
    }

    // ------------------------------------------------------------------ what the runner calls

    /// @notice One life, honestly and as an attack.
    function live(uint256 seed) external {
        vm.pauseGasMetering();
        seed = uint256(keccak256(abi.encode(seed)));
        Life memory life = plan(seed);
        uint256 snapshot = vm.snapshotState();
        Record memory honest = play(life, false);
        vm.revertToState(snapshot);
        if (!honest.minority) {
            ++leftOut;
            return;
        }
        snapshot = vm.snapshotState();
        Record memory attack = play(life, true);
        bool fails = false;
        bool appealed = false;
        for (uint256 i = 0; i < _tasks.length; ++i) {
            fails = fails || registry.outcomeOf(_tasks[i]) == ITaskRegistry.Outcome.Failed;
            appealed = appealed || appeals.appealOf(_tasks[i]).contested != 0;
        }
        vm.revertToState(snapshot);
        if (!attack.minority || attack.enrolled != honest.enrolled) {
            ++leftOut;
            return;
        }
        ++lives;
        movesSeen |= attack.moves;
        if (fails) ++failed;
        if (appealed) ++contests;
        uint256 limit = honest.wealth;
        if (life.creates) {
            // A creator that shows nobody's work may have its tokens back; one that has seen it loses half of the bounty at least.
            uint256 kept = attack.shown ? life.start - life.bounty / 2 : life.start;
            if (kept > limit) limit = kept;
        }
        int256 gain = int256(attack.wealth) - int256(limit);
        if (gain < -int256(DUST)) ++worse;
        if (gain > best) (best, bestSeed) = (gain, seed);
        if (gain <= int256(DUST)) return;
        string memory story =
            string.concat("an attack paid ", vm.toString(uint256(gain)), " of ", vm.toString(life.bounty));
        story = string.concat(story, life.creates ? ", creates" : "", life.isSealed ? ", sealed" : "");
        story = string.concat(
            story, life.two ? ", two" : "", life.retires ? ", retires" : "", life.enters ? ", enters" : ""
        );
        story =
            string.concat(story, fails ? ", failed" : "", appealed ? ", appealed" : "", attack.shown ? ", shown" : "");
        revert(string.concat(story, ", moves ", vm.toString(bytes32(attack.moves))));
    }

    function plan(uint256 seed) private view returns (Life memory life) {
        life.seed = seed;
        life.creates = seed % 3 == 0;
        life.isSealed = (seed >> 8) % 3 != 0;
        life.enters = (seed >> 16) % 4 != 0;
        // A creator is judged by each of its tasks.
        life.two = !life.creates && (seed >> 24) % 4 == 0;
        life.retires = (seed >> 32) % 4 == 0;
        life.start = wealth();
        for (uint256 i = 0; i < _gang.length; ++i) {
            life.start += staking.poolOf(_gang[i]).selfBond;
        }
    }

    function wealth() private view returns (uint256 sum) {
        for (uint256 i = 0; i < _gang.length; ++i) {
            sum += token.balanceOf(_gang[i]) + token.balanceOf(signerOf(_gang[i]));
        }
    }

    function roll(uint256 salt) private view returns (uint256) {
        return uint256(keccak256(abi.encode(_plan, salt, _done)));
    }

    // ------------------------------------------------------------------ a life

    function play(Life memory life, bool attack) private returns (Record memory record) {
        (_attack, _plan, _hidden) = (attack, life.seed, Hidden.Nothing);
        (record.minority, life.bounty) = (true, 0);
        address poster = life.creates ? _villain : creator;
        for (uint256 t = 0; t < (life.two ? 2 : 1); ++t) {
            ITaskRegistry.TaskParams memory params = terms(life, t, poster);
            vm.warp(vm.getBlockTimestamp() + 12);
            vm.prank(poster);
            _tasks.push(registry.createTask(params));
            life.bounty += params.bounty;
        }
        act(record, 3);
        each(life, enter);
        act(record, 3);
        vm.warp(registry.scheduleOf(_tasks[_tasks.length - 1]).entryCommitEnd);
        each(life, enrolAll);
        act(record, 3);
        vm.warp(registry.scheduleOf(_tasks[_tasks.length - 1]).enrolEnd);
        steps();
        // Withheld bytes of its own entries score 0.
        if (attack && roll(1) % 8 == 0) _hidden = Hidden.Own;
        if (attack && life.creates && roll(3) % 6 == 0) _hidden = Hidden.All;
        each(life, showEntries);
        for (uint256 t = 0; t < _tasks.length; ++t) {
            (,, bool shown,,) = registry.commitmentOf(_tasks[t], trainers[0]);
            record.shown = record.shown || shown;
        }
        act(record, 3);
        vm.warp(registry.scheduleOf(_tasks[_tasks.length - 1]).entryRevealEnd);
        bool opens = !(attack && life.creates && roll(2) % 4 == 0);
        if (life.isSealed && opens) each(life, open);
        act(record, 3);
        record.enrolled = enrolments();
        _drawn = true;
        for (uint256 round = 0; round < 2; ++round) {
            committees(life, record, scoring);
        }
        if (life.isSealed) {
            act(record, 6);
            for (uint256 t = 0; t < _tasks.length; ++t) {
                enrolHonestJury(_tasks[t]);
            }
            act(record, 6);
            committees(life, record, committee);
        }
        finish(life, record);
    }

    function terms(Life memory life, uint256 t, address poster)
        private
        view
        returns (ITaskRegistry.TaskParams memory params)
    {
        uint256 r = uint256(keccak256(abi.encode(life.seed, "terms", t)));
        params = life.isSealed ? sealedParams() : localParams();
        params.sealedCommitment = life.isSealed
            ? keccak256(abi.encode(block.chainid, address(registry), poster, keccak256("set"), keccak256("salt")))
            : bytes32(0);
        uint16[3] memory seats = [uint16(9), 21, 51];
        params.targetSeats = seats[r % 3];
        params.bounty = uint128(100e18 + (r >> 8) % 1000e18);
        params.minStake = params.bounty * 5 + uint128((r >> 96) % 5000e18);
        params.bond = uint128(20e18 + (r >> 160) % 100e18);
        params.validatorBps = uint16(500 + (r >> 192) % 9000);
        params.power = uint8(1 + (r >> 208) % 3);
        params.floorScore = life.creates ? 6554 : 655;
        params.minEntries = uint8(1 + (r >> 224) % 3);
        params.windows.appeal = life.isSealed ? 1 days : 0;
    }

    function each(Life memory life, function(Life memory, uint256) step) private {
        for (uint256 t = 0; t < _tasks.length; ++t) {
            step(life, _tasks[t]);
        }
    }

    function enter(Life memory life, uint256 taskId) private {
        for (uint256 i = 0; i < 4; ++i) {
            // The coalition first, for fees rise.
            address trainer = trainers[(i + HONEST_TRAINERS) % 4];
            if (!life.enters && isOwn(trainer)) continue;
            bytes memory data = abi.encodeCall(
                registry.commitEntry, (taskId, trainer, entryCommitment(taskId, trainer), type(uint256).max)
            );
            send(signerOf(trainer), address(registry), data);
        }
    }

    /// @dev All enrol the same in both lives, so that no attack is lucky.
    function enrolAll(Life memory life, uint256 taskId) private {
        uint256 half = life.two ? 2 : 1;
        for (uint256 j = 0; j < 7; ++j) {
            uint256 r = uint256(keccak256(abi.encode(life.seed, "enrol", j)));
            uint256 amount = j < HONEST_VALIDATORS ? 6000e18 + r % 3999e18 : 1500e18 + r % 7000e18;
            bytes memory data = abi.encodeCall(registry.enrol, (taskId, validators[j], amount / half));
            send(signerOf(validators[j]), address(registry), data);
        }
    }

    function showEntries(Life memory, uint256 taskId) private {
        for (uint256 i = 0; i < 4; ++i) {
            if (i >= HONEST_TRAINERS && _attack && roll(200 + i) % 4 == 0) continue;
            bytes memory data = abi.encodeCall(
                registry.revealEntry, (taskId, trainers[i], entryDigest(trainers[i]), saltOf(trainers[i]))
            );
            send(keeper, address(registry), data);
        }
    }

    function enrolments() private view returns (bytes32 hash) {
        for (uint256 t = 0; t < _tasks.length; ++t) {
            for (uint256 i = 0; i < operators.length; ++i) {
                hash = keccak256(abi.encode(hash, registry.earmarkOf(_tasks[t], operators[i])));
            }
        }
    }

    function open(Life memory life, uint256 taskId) private {
        bytes memory data = abi.encodeCall(registry.openSealed, (taskId, keccak256("set"), keccak256("salt")));
        send(life.creates ? _villain : creator, address(registry), data);
    }

    // ------------------------------------------------------------------ committees

    /// @dev A round of every task, or of every appeal.
    function committees(Life memory life, Record memory record, ICommittee c) private {
        bool jury = address(c) == address(committee);
        uint256 last = 0;
        for (uint256 t = 0; t < _tasks.length; ++t) {
            uint256 wait = jury ? appeals.appealOf(_tasks[t]).enrolEnd : scoring.requestFromOf(_tasks[t]);
            if (registry.outcomeOf(_tasks[t]) == ITaskRegistry.Outcome.Running && wait > vm.getBlockTimestamp()) {
                vm.warp(wait);
            }
        }
        steps();
        for (uint256 t = 0; t < _tasks.length; ++t) {
            ICommittee.Round memory round = c.roundOf(_tasks[t]);
            if (round.scoreCommitEnd <= vm.getBlockTimestamp()) continue;
            last = round.scoreCommitEnd;
            if (!holdsMinority(c, _tasks[t])) record.minority = false;
            scoreOf(life, c, _tasks[t], false);
        }
        if (last == 0) return;
        act(record, 4);
        vm.warp(last);
        for (uint256 t = 0; t < _tasks.length; ++t) {
            scoreOf(life, c, _tasks[t], true);
        }
        act(record, 4);
        vm.warp(last + 1 days);
        steps();
    }

    /// @dev Honest seats alone are a quorum, and more than those of the coalition.
    function holdsMinority(ICommittee c, uint256 taskId) private view returns (bool) {
        (uint256 honest, uint256 theirs) = (0, 0);
        for (uint256 i = 0; i < operators.length; ++i) {
            uint256 seats = c.seatsOf(taskId, operators[i]);
            if (isOwn(operators[i])) theirs += seats;
            else honest += seats;
        }
        uint256 target = registry.paramsOf(taskId).targetSeats;
        return honest > theirs && 2 * honest > (address(c) == address(committee) ? 2 * target + 1 : target);
    }

    function isOwn(address operator) private view returns (bool) {
        for (uint256 i = 0; i < _gang.length; ++i) {
            if (_gang[i] == operator) return true;
        }
        return false;
    }

    /// @dev All operators with a seat commit, or reveal. Those of the coalition follow a random manner in an attack.
    function scoreOf(Life memory, ICommittee c, uint256 taskId, bool reveals) private {
        bytes32 key = keccak256(abi.encode(address(c), taskId, c.roundOf(taskId).number));
        for (uint256 i = 0; i < operators.length; ++i) {
            address operator = operators[i];
            uint256 manner =
                _attack && isOwn(operator) ? uint256(keccak256(abi.encode(_plan, "manner", key, operator))) % 9 : 9;
            if (!reveals) {
                if (c.seatsOf(taskId, operator) == 0 || manner == 0) continue;
                if (manner == 1) {
                    send(signerOf(operator), address(c), abi.encodeCall(c.abstain, (taskId, operator)));
                    continue;
                }
                _rows[key][operator] = rowFor(c, taskId, operator, manner);
                bytes32 hash = rowHash(c, taskId, operator, _rows[key][operator]);
                send(signerOf(operator), address(c), abi.encodeCall(c.commitScores, (taskId, operator, hash)));
            } else if (manner != 2 && c.rowOf(taskId, operator).status == ICommittee.RowStatus.Committed) {
                uint256[] memory words = _rows[key][operator].pack();
                bytes memory data =
                    abi.encodeCall(c.revealScores, (taskId, operator, words, keccak256("evidence"), saltOf(operator)));
                if (send(keeper, address(c), data)) _revealed[key].push(operator);
            }
        }
    }

    function rowHash(ICommittee c, uint256 taskId, address operator, uint256[] memory row)
        private
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                block.chainid,
                address(c),
                taskId,
                uint256(c.roundOf(taskId).number),
                operator,
                keccak256(abi.encodePacked(row.pack())),
                keccak256("evidence"),
                saltOf(operator)
            )
        );
    }

    /// @dev Scores that an honest node finds: 0 for what is withheld, else near the quality of the entry; on another part of the set
    /// they differ by up to 600.
    function truthOf(uint256 taskId, uint256 lane, uint256 part) private view returns (uint256) {
        address operator = registry.entrantOf(taskId, uint32(lane));
        if (_hidden == Hidden.All || (_hidden == Hidden.Own && isOwn(operator))) return 0;
        // What its jurors enter is worth nothing: a good entry would be honest work.
        if (isOwn(operator) && operator != trainers[2] && operator != trainers[3]) return 1;
        uint256 r = uint256(keccak256(abi.encode(_plan, operator)));
        uint256 quality = r % 8 == 0 ? 1 : 1500 + (r >> 8) % 28_000;
        if (part == 0 || quality == 1) return quality;
        return quality + uint256(keccak256(abi.encode(_plan, operator, part))) % 600;
    }

    /// @param manner 3: all 0, 4: its own entries praised, 5: rivals found worthless, 6: the same for all, 7: a shift, 8: the medians
    /// that are public, or random; 9: honest
    function rowFor(ICommittee c, uint256 taskId, address operator, uint256 manner)
        private
        view
        returns (uint256[] memory row)
    {
        bool jury = address(c) == address(committee);
        uint256 entries = registry.stateOf(taskId).revealed;
        row = new uint256[](jury ? 16 : entries);
        if (manner == 3) return row;
        uint256 part = jury ? 2 : c.roundOf(taskId).number;
        for (uint256 i = 0; i < entries; ++i) {
            uint256 score = truthOf(taskId, i, part);
            bool mine_ = isOwn(registry.entrantOf(taskId, uint32(i)));
            if (manner == 4 && mine_) {
                score = 32_767;
            } else if (manner == 5 && !mine_) {
                score = 1;
            } else if (manner == 6) {
                score = 16_000;
            } else if (manner == 7) {
                score = score + 1 + uint160(operator) % 3000;
            } else if (manner == 8) {
                score = jury ? truthOf(taskId, i, 0) : uint256(keccak256(abi.encode(_plan, i))) % 32_768;
            }
            row[i] = score > 32_767 ? 32_767 : score;
        }
    }

    // ------------------------------------------------------------------ steps

    /// @dev All steps that are due, sent by the coalition.
    function steps() private {
        for (uint256 t = 0; t < _tasks.length; ++t) {
            uint256 taskId = _tasks[t];
            if (registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Running) continue;
            send(keeper, address(registry), abi.encodeCall(registry.closeTask, (taskId)));
            drawn(scoring, taskId);
            settlement(scoring, taskId);
            send(keeper, address(scoring), abi.encodeCall(scoring.failRound, (taskId)));
            if (appeals.appealOf(taskId).state == IAppeals.AppealState.Open) {
                drawn(committee, taskId);
                settlement(committee, taskId);
                send(keeper, address(appeals), abi.encodeCall(appeals.failAppeal, (taskId)));
            }
            if (appeals.isOpen(taskId)) {
                bytes32 key = keccak256(abi.encode(address(scoring), taskId, scoring.roundOf(taskId).number));
                bytes32[6] memory proof = medianWord(key, scoring, taskId).proof(0);
                send(keeper, address(appeals), abi.encodeCall(appeals.resolve, (taskId, 0, proof)));
            }
            send(keeper, address(scoring), abi.encodeCall(scoring.finalise, (taskId)));
        }
    }

    function drawn(ICommittee c, uint256 taskId) private {
        send(keeper, address(c), abi.encodeCall(c.requestSeed, (taskId)));
        ICommittee.Round memory round = c.roundOf(taskId);
        if (round.target == 0 || round.seedAt != 0) return;
        // Nobody knows the value before, and it does not depend on what the coalition did.
        bytes32 value = keccak256(abi.encode(_plan, taskId, address(c), round.number));
        bytes memory header = mine(round.target, value);
        send(keeper, address(c), abi.encodeCall(c.fixSeed, (taskId, header)));
    }

    function medianWord(bytes32 key, ICommittee c, uint256 taskId) private view returns (uint256[] memory words) {
        address[] memory who = _revealed[key];
        if (who.length == 0) return new uint256[](1);
        uint256[] memory seats = new uint256[](who.length);
        uint256[][] memory rows = new uint256[][](who.length);
        for (uint256 j = 0; j < who.length; ++j) {
            seats[j] = c.rowOf(taskId, who[j]).seats;
            rows[j] = _rows[key][who[j]];
        }
        return PlainScores.medians(rows, seats).pack();
    }

    /// @dev A task has one word.
    function settlement(ICommittee c, uint256 taskId) private {
        bytes32 key = keccak256(abi.encode(address(c), taskId, c.roundOf(taskId).number));
        address[] memory who = _revealed[key];
        if (who.length == 0) return;
        uint256[] memory heads = new uint256[](who.length);
        uint256[] memory words = new uint256[](who.length);
        for (uint256 j = 0; j < who.length; ++j) {
            heads[j] = uint256(uint160(who[j])) | (uint256(c.rowOf(taskId, who[j]).seats) << 160);
            words[j] = _rows[key][who[j]].pack()[0];
        }
        uint256[] memory found = medianWord(key, c, taskId);
        send(
            keeper,
            address(c),
            address(c) == address(scoring)
                ? abi.encodeCall(scoring.settlePage, (taskId, 0, heads, found, words))
                : abi.encodeCall(committee.settleContests, (taskId, 0, heads, found, words))
        );
    }

    function enrolHonestJury(uint256 taskId) private {
        for (uint256 j = 0; j < HONEST_JURORS; ++j) {
            bytes memory data = abi.encodeCall(committee.enrol, (taskId, jurors[j], STAKE / _tasks.length));
            send(signerOf(jurors[j]), address(committee), data);
        }
    }

    function send(address from, address to, bytes memory data) private returns (bool ok) {
        vm.prank(from);
        (ok,) = to.call(data);
    }

    // ------------------------------------------------------------------ moves

    function act(Record memory record, uint256 count) private {
        if (!_attack) return;
        for (uint256 i = 0; i < 3 * count; ++i) {
            ++_done;
            uint256 r = roll(i);
            uint256 kind = r % MOVES;
            if (move(kind, r >> 16)) record.moves |= 1 << kind;
        }
    }

    /// @dev One call of the coalition. Most revert.
    function move(uint256 kind, uint256 r) private returns (bool) {
        uint256 taskId = _tasks[r % _tasks.length];
        if (kind < 13) return moveTask(kind, r >> 8, taskId);
        if (kind < 27) return moveAppeal(kind - 13, r >> 8, taskId);
        if (kind < 31) return moveClaim(kind - 27, r >> 8, taskId);
        return moveStake(kind - 31, r >> 8);
    }

    function own(uint256 r) private view returns (address) {
        return _gang[r % 7]; // the operators
    }

    function moveTask(uint256 kind, uint256 r, uint256 taskId) private returns (bool) {
        address operator = own(r);
        address signer = signerOf(operator);
        address to = address(registry);
        if (kind == 0) return send(_villain, to, abi.encodeCall(registry.cancelTask, (taskId)));
        if (kind == 1) {
            // Its validators stay validators, so that both lives draw the same seats.
            // Its trainers enter in both lives or in neither.
            operator = _gang[1 + 2 * (r % 2)];
            signer = signerOf(operator);
            bytes32 commitment = entryCommitment(taskId, operator);
            return send(signer, to, abi.encodeCall(registry.commitEntry, (taskId, operator, commitment, 100e18)));
        }
        if (kind == 2) {
            address entrant = r >> 8 & 1 == 0 ? operator : trainers[(r >> 9) % 4];
            bytes memory data =
                abi.encodeCall(registry.revealEntry, (taskId, entrant, entryDigest(entrant), saltOf(entrant)));
            return send(keeper, to, data);
        }
        if (kind == 3) return send(keeper, to, abi.encodeCall(registry.closeTask, (taskId)));
        if (kind == 4) return send(keeper, to, abi.encodeCall(registry.expire, (taskId)));
        if (kind == 5) return send(keeper, to, abi.encodeCall(registry.releaseEarmark, (taskId, operator)));
        if (kind == 6) return send(_stash, address(rewards), abi.encodeCall(rewards.topUp, (taskId, 1 + r % 100e18)));
        to = address(scoring);
        if (kind == 7) return send(keeper, to, abi.encodeCall(scoring.failRound, (taskId)));
        if (kind == 8) return send(keeper, to, abi.encodeCall(scoring.finalise, (taskId)));
        if (kind == 9) return send(signer, to, abi.encodeCall(scoring.abstain, (taskId, operator)));
        uint8 round = uint8(r >> 16) & 1;
        address any = operators[(r >> 24) % operators.length];
        if (kind == 10) return send(reporter, to, abi.encodeCall(scoring.reportAbsent, (taskId, round, any)));
        if (kind == 11) return send(reporter, to, abi.encodeCall(scoring.reportUnrevealed, (taskId, round, any)));
        return send(reporter, address(faults), abi.encodeCall(faults.reportMissed, (taskId, round, any)));
    }

    function moveAppeal(uint256 kind, uint256 r, uint256 taskId) private returns (bool) {
        address operator = own(r);
        address signer = signerOf(operator);
        address any = operators[(r >> 24) % operators.length];
        bytes32 key = keccak256(abi.encode(address(scoring), taskId, scoring.roundOf(taskId).number));
        uint256[] memory word = medianWord(key, scoring, taskId);
        bytes32[6] memory proof = word.proof(0);
        address to = address(appeals);
        if (kind < 2) return send(appellant, to, abi.encodeCall(appeals.contest, (taskId, 0, word[0], proof)));
        if (kind == 2) return send(keeper, to, abi.encodeCall(appeals.failAppeal, (taskId)));
        if (kind == 3) return send(keeper, to, abi.encodeCall(appeals.resolve, (taskId, 0, proof)));
        if (kind == 4) {
            uint256[] memory row = _rows[key][any];
            if (row.length == 0) return false;
            return send(reporter, to, abi.encodeCall(appeals.reportOverturned, (taskId, any, 0, row.pack())));
        }
        if (kind == 5) return send(keeper, to, abi.encodeCall(appeals.claimAppeal, (taskId, operator)));
        if (kind == 6) return send(keeper, to, abi.encodeCall(appeals.withdraw, (keeper)));
        to = address(committee);
        if (kind < 9) return enrolJuror(r, taskId, operator);
        if (kind == 9) return send(signer, to, abi.encodeCall(committee.abstain, (taskId, operator)));
        if (kind == 10) return send(reporter, to, abi.encodeCall(committee.reportAbsent, (taskId, 0, any)));
        if (kind == 11) return send(reporter, to, abi.encodeCall(committee.reportUnrevealed, (taskId, 0, any)));
        if (kind == 12) return send(keeper, to, abi.encodeCall(committee.release, (taskId, operator)));
        uint256[] memory juryRow = _rows[keccak256(abi.encode(address(committee), taskId, uint8(0)))][any];
        if (juryRow.length == 0) return false;
        bytes memory data = r >> 40 & 1 == 0
            ? abi.encodeCall(faults.reportJuror, (taskId, any, juryRow.pack()))
            : abi.encodeCall(faults.reportSilentJuror, (taskId, any));
        return send(reporter, address(faults), data);
    }

    function enrolJuror(uint256 r, uint256 taskId, address operator) private returns (bool) {
        address juror = r >> 8 & 3 == 0 ? operator : jurors[HONEST_JURORS + (r >> 10) % 2];
        return
            send(
                signerOf(juror), address(committee), abi.encodeCall(committee.enrol, (taskId, juror, (r >> 16) % STAKE))
            );
    }

    function moveClaim(uint256 kind, uint256 r, uint256 taskId) private returns (bool) {
        address to = address(rewards);
        address any = operators[(r >> 24) % operators.length];
        if (kind == 0) return send(keeper, to, abi.encodeCall(rewards.claimScoring, (taskId, any)));
        if (kind == 1) return send(keeper, to, abi.encodeCall(rewards.claimFee, (taskId, any)));
        if (kind == 2) return send(keeper, to, abi.encodeCall(rewards.withdraw, (keeper)));
        bytes32 key = keccak256(abi.encode(address(scoring), taskId, scoring.roundOf(taskId).number));
        uint256[] memory word = medianWord(key, scoring, taskId);
        return send(keeper, to, abi.encodeCall(rewards.claimEntry, (taskId, uint32(r % 4), word[0], word.proof(0))));
    }

    /// @dev Delegations to honest pools are dust: more would earn its fair share.
    function moveStake(uint256 kind, uint256 r) private returns (bool) {
        if (kind > 1 && kind < 7) return moveShares(kind, r);
        if (kind > 6 && kind < 16) return movePool(kind, r);
        address to = address(staking);
        uint256 amount = 1 + (r >> 40) % 3000e18;
        if (kind == 0) return send(_stash, to, abi.encodeCall(staking.delegate, (own(r), amount, 0)));
        if (kind == 1) {
            address any = operators[(r >> 24) % operators.length];
            return send(_stash, to, abi.encodeCall(staking.delegate, (any, 1 + amount % 1e12, 0)));
        }
        return send(_stash, to, abi.encodeCall(staking.delegate, (_stash, amount, 0)));
    }

    /// @dev Shares leave, come back, or move to another own pool.
    function moveShares(uint256 kind, uint256 r) private returns (bool) {
        address operator = own(r);
        if (kind < 4) {
            address who = kind == 2 || !_drawn ? _stash : operator;
            uint256 left = staking.sharesOf(operator, who);
            if (left == 0) return false;
            return send(who, address(staking), abi.encodeCall(staking.undelegate, (operator, 1 + r % left, 0)));
        }
        address owner = r >> 16 & 1 == 0 || !_drawn ? _stash : operator;
        uint256 index = r >> 32 & 3;
        if (kind == 4) return send(owner, address(staking), abi.encodeCall(staking.cancel, (operator, index)));
        if (kind == 6) {
            return send(keeper, address(staking), abi.encodeCall(staking.withdraw, (operator, owner, index)));
        }
        uint256 shares = staking.sharesOf(operator, owner);
        if (shares == 0) return false;
        bytes memory data = abi.encodeCall(staking.redelegate, (operator, own(r >> 8), 1 + r % shares, 0));
        return send(owner, address(staking), data);
    }

    /// @dev Terms, rewards and registration of pools.
    function movePool(uint256 kind, uint256 r) private returns (bool) {
        address to = address(staking);
        address operator = own(r);
        address any = operators[(r >> 24) % operators.length];
        uint256 amount = 1 + (r >> 40) % 3000e18;
        if (kind == 7) return send(operator, to, abi.encodeCall(staking.setCommission, (uint16(amount % 5001))));
        if (kind == 8) return send(keeper, to, abi.encodeCall(staking.applyCommission, (operator)));
        if (kind == 9) {
            bytes memory data = abi.encodeCall(staking.addReward, (any, 1 + amount % 1e18, (r >> 100) % 1e22));
            return send(_stash, to, data);
        }
        if (kind == 10) return send(keeper, to, abi.encodeCall(staking.accrue, (any)));
        if (kind == 11) return send(operator, to, abi.encodeCall(staking.unjail, ()));
        if (kind == 12) return send(keeper, to, abi.encodeCall(staking.payOwed, (reporter)));
        if (kind == 13) return send(operator, to, abi.encodeCall(staking.setRewardAddress, (_stash)));
        if (kind == 14) {
            // An own signer that pays from the coalition's tokens.
            bytes memory consent = consentOf(signerKey(operator), operator);
            return send(operator, to, abi.encodeCall(staking.setSigner, (signerOf(operator), consent)));
        }
        bytes memory late = consentOf(uint256(keccak256("late")), _stash);
        address signer = vm.addr(uint256(keccak256("late")));
        return send(_stash, to, abi.encodeCall(staking.registerOperator, (signer, _stash, 0, late)));
    }

    // ------------------------------------------------------------------ the end

    /// @dev Every fault is reported by the coalition, everything is claimed, and its stake leaves.
    function finish(Life memory life, Record memory record) private {
        for (uint256 k = 0; k < 4; ++k) {
            vm.warp(vm.getBlockTimestamp() + 2 days);
            steps();
        }
        for (uint256 t = 0; t < _tasks.length; ++t) {
            uint256 taskId = _tasks[t];
            vm.warp(vm.getBlockTimestamp() + 5 days);
            send(keeper, address(registry), abi.encodeCall(registry.expire, (taskId)));
            require(registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Running, "a task that does not end");
        }
        act(record, 6);
        for (uint256 t = 0; t < _tasks.length; ++t) {
            for (uint256 i = 0; i < operators.length; ++i) {
                report(_tasks[t], operators[i]);
                send(keeper, address(registry), abi.encodeCall(registry.releaseEarmark, (_tasks[t], operators[i])));
                send(keeper, address(committee), abi.encodeCall(committee.release, (_tasks[t], operators[i])));
            }
        }
        if (life.retires) quit(validators[0], validators[0]);
        act(record, 6);
        for (uint256 t = 0; t < _tasks.length; ++t) {
            for (uint256 kind = 0; kind < 2; ++kind) {
                for (uint256 i = 0; i < operators.length; ++i) {
                    moveClaim(kind, i << 24, _tasks[t]);
                }
            }
            for (uint256 lane = 0; lane < 4; ++lane) {
                moveClaim(3, lane, _tasks[t]);
            }
            for (uint256 i = 0; i < operators.length; ++i) {
                send(keeper, address(appeals), abi.encodeCall(appeals.claimAppeal, (_tasks[t], operators[i])));
            }
        }
        vm.warp(vm.getBlockTimestamp() + staking.dripPeriod());
        for (uint256 k = 0; k < 2; ++k) {
            // Shares that moved come back after the first time.
            for (uint256 i = 0; i < _gang.length; ++i) {
                for (uint256 p = 0; p < operators.length; ++p) {
                    quit(_gang[i], operators[p]);
                }
                quit(_gang[i], _stash);
            }
            vm.warp(vm.getBlockTimestamp() + staking.unbondingPeriod());
            for (uint256 i = 0; i < _gang.length; ++i) {
                for (uint256 p = 0; p < operators.length; ++p) {
                    collect(_gang[i], operators[p]);
                }
                collect(_gang[i], _stash);
            }
        }
        for (uint256 i = 0; i < _gang.length; ++i) {
            if (staking.signerOf(_gang[i]) != address(0)) staking.accrue(_gang[i]);
            payAll(_gang[i]);
            payAll(signerOf(_gang[i]));
        }
        record.wealth = wealth();
    }

    function report(uint256 taskId, address operator) private {
        for (uint8 number = 0; number < 2; ++number) {
            send(reporter, address(scoring), abi.encodeCall(scoring.reportAbsent, (taskId, number, operator)));
            send(reporter, address(scoring), abi.encodeCall(scoring.reportUnrevealed, (taskId, number, operator)));
            send(reporter, address(faults), abi.encodeCall(faults.reportMissed, (taskId, number, operator)));
        }
        send(reporter, address(committee), abi.encodeCall(committee.reportAbsent, (taskId, 0, operator)));
        send(reporter, address(committee), abi.encodeCall(committee.reportUnrevealed, (taskId, 0, operator)));
        send(reporter, address(faults), abi.encodeCall(faults.reportSilentJuror, (taskId, operator)));
    }

    function quit(address owner, address operator) private {
        uint256 shares = staking.sharesOf(operator, owner);
        if (shares != 0) send(owner, address(staking), abi.encodeCall(staking.undelegate, (operator, shares, 0)));
    }

    function collect(address owner, address operator) private {
        uint256 count = staking.entryCount(operator, owner);
        for (uint256 index = 0; index < count; ++index) {
            send(keeper, address(staking), abi.encodeCall(staking.withdraw, (operator, owner, index)));
        }
    }
}
