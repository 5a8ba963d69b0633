// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

import {AppealCommittee} from "../../../contracts/AppealCommittee.sol";
import {Appeals} from "../../../contracts/Appeals.sol";
import {BeaconRandomness} from "../../../contracts/BeaconRandomness.sol";
import {CoveyToken} from "../../../contracts/CoveyToken.sol";
import {Faults} from "../../../contracts/Faults.sol";
import {Rewards} from "../../../contracts/Rewards.sol";
import {Scoring} from "../../../contracts/Scoring.sol";
import {Staking} from "../../../contracts/Staking.sol";
import {TaskBounds} from "../../../contracts/TaskBounds.sol";
import {TaskRegistry} from "../../../contracts/TaskRegistry.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {ITaskRegistry} from "../../../contracts/interfaces/ITaskRegistry.sol";
import {PlainScores} from "./PlainScores.sol";
import {Test} from "./Test.sol";

/// @notice The whole system, and one function for each step of a task.
abstract contract CoveyFixture is Test {
    using PlainScores for uint256[];
    using RLP for RLP.Encoder;

    uint256 internal constant SUPPLY = 300_000_000e18;
    uint256 internal constant STAKE = 10_000e18;
    uint256 internal constant TIP = 1e18;
    uint64 internal constant DISTANCE = 4;

    AccessManager internal manager;
    CoveyToken internal token;
    Staking internal staking;
    BeaconRandomness internal randomness;
    TaskRegistry internal registry;
    TaskBounds internal bounds;
    Scoring internal scoring;
    Appeals internal appeals;
    AppealCommittee internal committee;
    Rewards internal rewards;
    Faults internal faults;
    address internal treasury = makeAddr("treasury");
    address internal creator = makeAddr("creator");
    address internal keeper = makeAddr("keeper"); // sends the steps that anyone can send
    address[] internal operators; // all registered operators

    function setUp() public virtual {
        manager = new AccessManager(address(this));
        token = new CoveyToken(address(manager), address(this), SUPPLY);
        staking = new Staking(address(manager), address(token), treasury, stakingConfig());
        vm.prevrandao(keccak256("a beacon")); // a chain with a constant is refused
        randomness = new BeaconRandomness(DISTANCE);
        uint64 nonce = vm.getNonce(address(this));
        address[6] memory next; // registry, scoring, rewards, appeals, their committee, faults
        for (uint256 i = 0; i < 6; ++i) {
            next[i] = vm.computeCreateAddress(address(this), nonce + 1 + i);
        }
        address stake = address(staking);
        bounds = new TaskBounds(address(manager), stake, registryConfig());
        registry =
            new TaskRegistry(address(manager), stake, next[1], next[2], next[3], next[4], next[5], address(bounds));
        scoring = new Scoring(next[0], stake, next[2], address(randomness), next[3]);
        rewards = new Rewards(next[0], next[1], next[3], stake, address(token), treasury, TIP);
        appeals = new Appeals(next[0], stake, next[1], next[2], next[4], address(token));
        committee = new AppealCommittee(next[0], stake, next[2], address(randomness), next[3]);
        faults = new Faults(next[0], next[1]);
        require(address(registry) == next[0] && address(scoring) == next[1] && address(rewards) == next[2]);
        require(address(appeals) == next[3] && address(committee) == next[4] && address(faults) == next[5]);
        staking.setDuty(address(registry), true);
        staking.setDuty(address(committee), true);
        require(token.transfer(creator, 1_000_000e18));
        vm.prank(creator);
        token.approve(address(rewards), type(uint256).max);
    }

    function stakingConfig() internal pure virtual returns (IStaking.StakingConfig memory) {
        return IStaking.StakingConfig({
            minSelfBond: 100e18,
            unbondingPeriod: 28 days,
            maxTaskLife: 28 days,
            dripPeriod: 7 days,
            commissionNotice: 3 days,
            maxCommissionBps: 5000,
            absenceCapBps: 500,
            jailPeriod: 2 days,
            leverage: 5
        });
    }

    function registryConfig() internal pure virtual returns (ITaskRegistry.RegistryConfig memory) {
        return ITaskRegistry.RegistryConfig({
            minWindows: ITaskRegistry.Windows({
                entryCommit: 1 hours,
                enrol: 1 hours,
                entryReveal: 1 hours,
                open: 1 hours,
                scoreCommit: 1 hours,
                scoreReveal: 1 hours,
                settle: 1 hours,
                appeal: 1 hours
            }),
            minBounty: 10e18,
            minBond: 5e18,
            stakeMultipleBps: 50_000,
            maxEntries: 4096,
            maxTargetSeats: 201,
            maxH: 8000,
            maxTau: 4095,
            maxFloor: 6554,
            minValidatorBps: 500,
            minSeats: 9,
            minSealedTau: 655
        });
    }

    function localParams() internal pure returns (ITaskRegistry.TaskParams memory) {
        return ITaskRegistry.TaskParams({
            specDigest: keccak256("spec"),
            sealedCommitment: 0,
            kind: ITaskRegistry.Kind.Arena,
            evaluation: ITaskRegistry.Evaluation.Local,
            validatorBps: 3000,
            targetSeats: 21,
            floorScore: 655,
            h: 300,
            tau: 1200,
            power: 2,
            maxEntries: 64,
            minEntries: 1,
            bounty: 1000e18,
            bond: 100e18,
            entryFee: 4e18,
            minStake: 5000e18,
            windows: ITaskRegistry.Windows({
                entryCommit: 1 days,
                enrol: 1 days,
                entryReveal: 1 days,
                open: 0,
                scoreCommit: 1 days,
                scoreReveal: 1 days,
                settle: 1 days,
                appeal: 0
            })
        });
    }

    function sealedParams() internal view returns (ITaskRegistry.TaskParams memory params) {
        params = localParams();
        params.evaluation = ITaskRegistry.Evaluation.Sealed;
        params.h = 75; // at most tau / 16
        params.sealedCommitment =
            keccak256(abi.encode(block.chainid, address(registry), creator, keccak256("set"), keccak256("salt")));
        params.windows.open = 1 hours;
        params.windows.appeal = 2 hours;
    }

    // ------------------------------------------------------------------ people

    function signerKey(address operator) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("signer", operator)));
    }

    function signerOf(address operator) internal pure returns (address) {
        return vm.addr(signerKey(operator));
    }

    /// @notice The signature by which the holder of a key agrees to sign for an operator.
    function consentOf(uint256 key, address operator) internal view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Covey Staking"),
                keccak256("1"),
                block.chainid,
                address(staking)
            )
        );
        bytes32 terms = keccak256(
            abi.encode(keccak256("Consent(address operator,uint256 nonce)"), operator, staking.consentNonceOf(operator))
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked("\x19\x01", domain, terms)));
        return abi.encodePacked(r, s, v);
    }

    /// @notice Register an operator with a self-bond of STAKE, whose signer can pay fees.
    function join(string memory name) internal returns (address operator) {
        return join(name, STAKE);
    }

    function join(string memory name, uint256 stake) internal returns (address operator) {
        operator = makeAddr(name);
        operators.push(operator);
        require(token.transfer(operator, stake));
        bytes memory consent = consentOf(signerKey(operator), operator);
        vm.startPrank(operator);
        staking.registerOperator(signerOf(operator), operator, 1000, consent);
        token.approve(address(staking), stake);
        staking.delegate(operator, stake, 0);
        vm.stopPrank();
        require(token.transfer(signerOf(operator), 1000e18));
        vm.prank(signerOf(operator));
        token.approve(address(rewards), type(uint256).max);
    }

    function joinMany(string memory name, uint256 count) internal returns (address[] memory all) {
        all = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            all[i] = join(string.concat(name, " ", decimal(i)));
        }
    }

    function decimal(uint256 value) internal pure returns (string memory text) {
        text = "";
        do {
            text = string.concat(string(abi.encodePacked(bytes1(uint8(48 + value % 10)))), text);
            value /= 10;
        } while (value != 0);
    }

    // ------------------------------------------------------------------ steps

    function post(ITaskRegistry.TaskParams memory params) internal returns (uint256 taskId) {
        // Stake must exist before the task is created.
        vm.warp(block.timestamp + 12);
        vm.prank(creator);
        return registry.createTask(params);
    }

    function entryDigest(address operator) internal pure returns (bytes32) {
        return keccak256(abi.encode("digest", operator));
    }

    function saltOf(address operator) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", operator));
    }

    function entryCommitment(uint256 taskId, address operator) internal view returns (bytes32) {
        return keccak256(
            abi.encode(block.chainid, address(registry), taskId, operator, entryDigest(operator), saltOf(operator))
        );
    }

    function commitEntry(uint256 taskId, address operator) internal {
        bytes32 commitment = entryCommitment(taskId, operator);
        vm.prank(signerOf(operator));
        registry.commitEntry(taskId, operator, commitment, type(uint256).max);
    }

    function revealEntry(uint256 taskId, address operator) internal {
        registry.revealEntry(taskId, operator, entryDigest(operator), saltOf(operator));
    }

    function enrol(uint256 taskId, address operator, uint256 amount) internal {
        vm.prank(signerOf(operator));
        registry.enrol(taskId, operator, amount);
    }

    /// @notice Run a posted task until its seed can be requested.
    function fill(uint256 taskId, address[] memory trainers, address[] memory validators) internal {
        ITaskRegistry.Schedule memory schedule = registry.scheduleOf(taskId);
        for (uint256 i = 0; i < trainers.length; ++i) {
            commitEntry(taskId, trainers[i]);
        }
        vm.warp(schedule.entryCommitEnd);
        for (uint256 i = 0; i < validators.length; ++i) {
            enrol(taskId, validators[i], STAKE);
        }
        vm.warp(schedule.enrolEnd);
        for (uint256 i = 0; i < trainers.length; ++i) {
            revealEntry(taskId, trainers[i]);
        }
        vm.warp(schedule.entryRevealEnd);
    }

    function headerOf(uint256 number, bytes32 prevrandao, bytes memory extraData) internal view returns (bytes memory) {
        RLP.Encoder memory fields = RLP.encoder();
        fields.push(bytes32(uint256(1))).push(bytes32(uint256(2))).push(address(3)).push(bytes32(uint256(4)));
        fields.push(bytes32(uint256(5))).push(bytes32(uint256(6))).push(new bytes(256)).push(uint256(0)).push(number);
        fields.push(uint256(60_000_000)).push(uint256(21_000)).push(block.timestamp).push(extraData).push(prevrandao);
        fields.push(bytes("\x00\x00\x00\x00\x00\x00\x00\x00")).push(uint256(7));
        return RLP.encode(fields);
    }

    /// @notice Return a header of block `number` with this prevrandao, and set its block hash.
    function mine(uint256 number, bytes32 prevrandao) internal returns (bytes memory header) {
        header = headerOf(number, prevrandao, "");
        vm.roll(number + 1);
        vm.setBlockhash(number, keccak256(header));
    }

    function drawSeed(uint256 taskId, bytes32 prevrandao) internal {
        waitForReports(taskId);
        vm.prank(keeper);
        scoring.requestSeed(taskId);
        bytes memory header = mine(scoring.roundOf(taskId).target, prevrandao);
        vm.prank(keeper);
        scoring.fixSeed(taskId, header);
    }

    /// @notice Wait until the seed of a second committee can be requested.
    function waitForReports(uint256 taskId) internal {
        uint40 from = scoring.requestFromOf(taskId);
        if (vm.getBlockTimestamp() < from) vm.warp(from);
    }

    function scoreCommitment(uint256 taskId, address operator, uint256[] memory words) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                block.chainid,
                address(scoring),
                taskId,
                uint256(scoring.roundOf(taskId).number),
                operator,
                keccak256(abi.encodePacked(words)),
                keccak256("evidence"),
                saltOf(operator)
            )
        );
    }

    function commitScores(uint256 taskId, address operator, uint256[] memory words) internal {
        bytes32 commitment = scoreCommitment(taskId, operator, words);
        vm.prank(signerOf(operator));
        scoring.commitScores(taskId, operator, commitment);
    }

    function revealScores(uint256 taskId, address operator, uint256[] memory words) internal {
        scoring.revealScores(taskId, operator, words, keccak256("evidence"), saltOf(operator));
    }

    /// @notice Commit and reveal all rows: rows[j] are the scores of validators[j], which must hold a seat.
    function score(uint256 taskId, address[] memory validators, uint256[][] memory rows) internal {
        for (uint256 j = 0; j < validators.length; ++j) {
            commitScores(taskId, validators[j], rows[j].pack());
        }
        vm.warp(scoring.roundOf(taskId).scoreCommitEnd);
        for (uint256 j = 0; j < validators.length; ++j) {
            revealScores(taskId, validators[j], rows[j].pack());
        }
    }

    struct PageCall {
        uint256[] heads;
        uint256[] medians;
        uint256[] words;
    }

    /// @notice Arguments of settlePage for one page; validators[j] revealed rows[j] as j-th.
    function pageCall(uint256 taskId, uint256 page, address[] memory validators, uint256[][] memory rows)
        internal
        view
        returns (PageCall memory call)
    {
        uint256[] memory seats = new uint256[](rows.length);
        call.heads = new uint256[](rows.length);
        for (uint256 j = 0; j < rows.length; ++j) {
            seats[j] = scoring.rowOf(taskId, validators[j]).seats;
            call.heads[j] = uint256(uint160(validators[j])) | (seats[j] << 160);
        }
        uint256[] memory middle = PlainScores.medians(rows, seats).pack();
        uint256 width = scoring.roundOf(taskId).pageWords;
        uint256 from = page * width;
        uint256 count = middle.length - from < width ? middle.length - from : width;
        call.medians = new uint256[](count);
        call.words = new uint256[](count * rows.length);
        for (uint256 k = 0; k < count; ++k) {
            call.medians[k] = middle[from + k];
        }
        for (uint256 j = 0; j < rows.length; ++j) {
            uint256[] memory packed = rows[j].pack();
            for (uint256 k = 0; k < count; ++k) {
                call.words[j * count + k] = packed[from + k];
            }
        }
    }

    function settle(uint256 taskId, uint256 page, PageCall memory call) internal {
        vm.prank(keeper);
        scoring.settlePage(taskId, page, call.heads, call.medians, call.words);
    }

    function settleAll(uint256 taskId, address[] memory validators, uint256[][] memory rows) internal {
        uint256 pages = scoring.roundOf(taskId).pages;
        for (uint256 page = 0; page < pages; ++page) {
            settle(taskId, page, pageCall(taskId, page, validators, rows));
        }
    }

    function finalise(uint256 taskId) internal {
        vm.prank(keeper);
        scoring.finalise(taskId);
    }

    function outcomeOf(uint256 taskId) internal view returns (uint256) {
        return uint256(registry.outcomeOf(taskId));
    }
}
