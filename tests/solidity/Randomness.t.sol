// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

import {BeaconRandomness} from "../../contracts/BeaconRandomness.sol";
import {IBeaconRandomness} from "../../contracts/interfaces/IBeaconRandomness.sol";
import {IRandomness} from "../../contracts/interfaces/IRandomness.sol";
import {Test} from "./utils/Test.sol";

contract RandomnessTest is Test {
    using RLP for RLP.Encoder;

    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    /// @dev Runtime code of the history contract, as EIP-2935 gives it.
    bytes internal constant HISTORY_CODE = hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f3560014303811160"
        hex"4257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500";

    BeaconRandomness internal randomness;

    function setUp() public {
        vm.prevrandao(keccak256("a beacon"));
        randomness = new BeaconRandomness(64);
        vm.etch(HISTORY, "");
    }

    function header(uint256 number, bytes32 prevrandao) internal pure returns (bytes memory) {
        RLP.Encoder memory fields = RLP.encoder();
        fields.push(bytes32(uint256(1))).push(bytes32(uint256(2))).push(address(3)).push(bytes32(uint256(4)));
        fields.push(bytes32(uint256(5))).push(bytes32(uint256(6))).push(new bytes(256)).push(uint256(0)).push(number);
        fields.push(uint256(60_000_000)).push(uint256(21_000)).push(uint256(1)).push(bytes("")).push(prevrandao);
        return RLP.encode(fields);
    }

    function test_RequestReturnsABlockAhead() public view {
        assertEq(randomness.request(), block.number + 64);
        assertEq(randomness.distance(), 64);
    }

    function test_RevertIf_DistanceIsOutOfRange() public {
        vm.expectRevert(IBeaconRandomness.RandomnessBadDistance.selector);
        this.create(0);
        vm.expectRevert(IBeaconRandomness.RandomnessBadDistance.selector);
        this.create(257);
        assertEq(this.create(256), 256);
    }

    /// @dev Chains without a beacon: a constant of any size that no random value has.
    function test_RevertIf_PrevrandaoIsAConstant() public {
        uint256[4] memory constants = [uint256(0), 1, 2_500_000_000_000_000, (1 << 128) - 1];
        for (uint256 i; i < constants.length; ++i) {
            vm.prevrandao(constants[i]);
            vm.expectRevert(abi.encodeWithSelector(IBeaconRandomness.RandomnessConstant.selector, constants[i]));
            this.create(64);
        }
        vm.prevrandao(uint256(1 << 128));
        assertEq(this.create(64), 64);
    }

    /// @dev External, so that vm.expectRevert sees the revert of the constructor.
    function create(uint64 distance) external returns (uint64) {
        return new BeaconRandomness(distance).distance();
    }

    function testFuzz_RevealWithinTheBlockhashWindow(uint256 age, bytes32 prevrandao) public {
        age = bound(age, 1, 256);
        uint64 target = randomness.request();
        bytes memory proof = header(target, prevrandao);
        vm.roll(target + age);
        vm.setBlockhash(target, keccak256(proof));
        assertFalse(randomness.isLost(target));
        assertEq(randomness.reveal(target, proof), prevrandao);
    }

    function test_RevertIf_TargetIsNotMined() public {
        uint64 target = randomness.request();
        bytes memory proof = header(target, "a");
        vm.roll(target);
        assertFalse(randomness.isLost(target));
        vm.expectRevert(abi.encodeWithSelector(IRandomness.RandomnessNotYet.selector, target, block.number));
        randomness.reveal(target, proof);
    }

    function testFuzz_RevertIf_ProofIsNotTheHeader(uint256 position, uint8 change, bytes calldata noise) public {
        uint64 target = randomness.request();
        bytes memory proof = header(target, "a");
        vm.roll(target + 1);
        vm.setBlockhash(target, keccak256(proof));
        vm.setBlockhash(target - 1, keccak256(header(target - 1, "b")));
        bytes memory bad = abi.encodeWithSelector(IRandomness.RandomnessBadProof.selector, target);
        bytes memory other = header(target - 1, "b"); // another block's own header
        vm.expectRevert(bad);
        randomness.reveal(target, other);
        vm.expectRevert(bad);
        randomness.reveal(target, noise);
        vm.assume(change != 0);
        position = bound(position, 0, proof.length - 1);
        proof[position] = bytes1(uint8(proof[position]) ^ change);
        vm.expectRevert(bad);
        randomness.reveal(target, proof);
    }

    function test_TargetIsLostAfter256BlocksWithoutHistoryContract() public {
        uint64 target = randomness.request();
        bytes memory proof = header(target, "a");
        vm.roll(target + 257);
        assertTrue(randomness.isLost(target));
        vm.expectRevert(abi.encodeWithSelector(IRandomness.RandomnessTargetLost.selector, target));
        randomness.reveal(target, proof);
    }

    function testFuzz_HistoryContractKeeps8191Blocks(uint256 age, bytes32 prevrandao) public {
        vm.etch(HISTORY, HISTORY_CODE);
        age = bound(age, 257, 8191);
        uint64 target = randomness.request();
        bytes memory proof = header(target, prevrandao);
        // As the chain does it: the system writes a block's hash at the start of the next.
        vm.store(HISTORY, bytes32(uint256(target % 8191)), keccak256(proof));
        vm.roll(target + age);
        assertFalse(randomness.isLost(target));
        assertEq(randomness.reveal(target, proof), prevrandao);
        vm.roll(target + 8192);
        assertTrue(randomness.isLost(target));
        vm.expectRevert(abi.encodeWithSelector(IRandomness.RandomnessTargetLost.selector, target));
        randomness.reveal(target, proof);
    }
}
