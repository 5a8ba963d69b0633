"""BeaconRandomness with the block headers of a real node."""

from __future__ import annotations

from typing import Any

import ape
import pytest
import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak
from tests.support.contracts.system import DISTANCE, System, contract_named

HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"  # EIP-2935
# Fields of a header in the order in which they are hashed, and whether they are numbers; later forks append.
FIELDS = {
    "parentHash": False,
    "sha3Uncles": False,
    "miner": False,
    "stateRoot": False,
    "transactionsRoot": False,
    "receiptsRoot": False,
    "logsBloom": False,
    "difficulty": True,
    "number": True,
    "gasLimit": True,
    "gasUsed": True,
    "timestamp": True,
    "extraData": False,
    "mixHash": False,
    "nonce": False,
    "baseFeePerGas": True,
    "withdrawalsRoot": False,
    "blobGasUsed": True,
    "excessBlobGas": True,
    "parentBeaconBlockRoot": False,
    "requestsHash": False,
}


def block_of(chain: Any, number: int) -> dict[str, str]:
    """Return the JSON of a block."""
    return dict(chain.provider.make_request("eth_getBlockByNumber", [hex(number), False]))


def header_of(block: dict[str, str]) -> bytes:
    """Return the RLP of a block's header."""

    def value(name: str) -> bytes:
        raw = block[name]
        if FIELDS[name]:
            number = int(raw, 16)
            return number.to_bytes((number.bit_length() + 7) // 8, "big")
        return bytes.fromhex(raw[2:])

    return bytes(rlp.encode([value(name) for name in FIELDS if name in block]))


@pytest.fixture
def target(system: System, chain: Any) -> int:
    """Return a target whose block is the last mined one."""
    number = int(system.randomness.request())
    assert number == chain.blocks.head.number + DISTANCE
    chain.mine(DISTANCE)
    return number


def test_header_of_a_real_node_yields_its_prevrandao(system: System, chain: Any, target: int) -> None:
    # The node answers a call as of the head, which is the target: its hash is known from the next block on.
    chain.mine(1)
    block = block_of(chain, target)
    header = header_of(block)
    assert keccak(header).hex() == block["hash"][2:]
    assert not system.randomness.isLost(target)
    assert bytes(system.randomness.reveal(target, header)).hex() == block["mixHash"][2:]


def test_reveal_reverts_before_the_target(system: System, chain: Any) -> None:
    number = int(system.randomness.request())
    with ape.reverts(system.randomness.RandomnessNotYet):
        system.randomness.reveal(number, header_of(block_of(chain, chain.blocks.head.number)))
    assert not system.randomness.isLost(number)


@pytest.mark.parametrize("spoil", ["other block", "mixHash", "cut", "empty"])
def test_reveal_reverts_with_another_proof(system: System, chain: Any, target: int, spoil: str) -> None:
    chain.mine(1)
    block = block_of(chain, target)
    proof = header_of(block)
    if spoil == "other block":
        proof = header_of(block_of(chain, target - 1))
    elif spoil == "mixHash":
        proof = header_of(block | {"mixHash": "0x" + "11" * 32})
    elif spoil == "cut":
        proof = proof[:-1]
    else:
        proof = b""
    with ape.reverts(system.randomness.RandomnessBadProof, error_inputs={"target": target}):
        system.randomness.reveal(target, proof)


def test_history_contract_proves_older_blocks(system: System, chain: Any, target: int) -> None:
    block = block_of(chain, target)
    chain.mine(300)  # BLOCKHASH knows 256
    assert not system.randomness.isLost(target)
    assert bytes(system.randomness.reveal(target, header_of(block))).hex() == block["mixHash"][2:]


def test_target_is_lost_after_256_blocks_without_history_contract(system: System, chain: Any, target: int) -> None:
    header = header_of(block_of(chain, target))
    chain.provider.set_code(HISTORY, "0x")
    chain.mine(256)
    assert not system.randomness.isLost(target)
    system.randomness.reveal(target, header)
    chain.mine(1)
    assert system.randomness.isLost(target)
    with ape.reverts(system.randomness.RandomnessTargetLost, error_inputs={"target": target}):
        system.randomness.reveal(target, header)


@pytest.mark.parametrize("distance", [0, 257])
def test_constructor_reverts_with_a_distance_out_of_range(system: System, distance: int) -> None:
    with ape.reverts(contract_named("BeaconRandomness").RandomnessBadDistance):
        system.governor.deploy(contract_named("BeaconRandomness"), distance)
