"""Verifies that deployed bytecode matches the sources, by compiling every contract again.

Four comparisons for each contract:

- the sources with the hash in its record;
- the compiled runtime code with the code on chain, byte for byte, immutables excluded;
- the input of the transaction that created it with the compiled creation code and the encoded constructor arguments;
- the immutables with those of a trial construction: the endpoint executes the creation code in an eth_call. Values
  derived from the contract's own address or from the time of its block differ between the two; they are translated
  before they are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from eth_hash.auto import keccak

from covey.audit.compile import Compiled, compile_contract
from covey.audit.record import AuditError
from covey.audit.sources import input_hash, part_of
from covey.chain.abi.layout import canonical_type
from covey.chain.contracts.base import snake
from covey.chain.deploy.deploy import create_address
from covey.chain.errors import ChainError

if TYPE_CHECKING:
    from covey.chain.deployment import ContractRecord, Deployment
    from covey.chain.rpc.client import Rpc

Progress = Callable[[str], None]

CREATOR = "0x" + "c0" * 20
"""Sender of trial constructions; its nonce is 0."""
EIP712_TYPE_HASH = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
TIME_OF_DEPLOYMENT = "DEPLOYED_AT"
"""Immutable of CoveyToken: the time of the block that created it."""
FULL_WIDTH = 32
SHOWN = 3


@dataclass(slots=True)
class Checked:
    """Result for one contract.

    Attributes:
        bytes: length of its code on chain.
        immutables: number of immutables that hold the value the constructor gives them.
        differences: deviations from the record or the compiled code; empty if the contract matches.
        unavailable: checks that were not possible, and why.
    """

    name: str
    address: str
    bytes: int = 0
    immutables: int = 0
    differences: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)


def check_bytecode(
    rpc: Rpc,
    deployment: Deployment,
    whole: dict[str, Any],
    only: Iterable[str] = (),
    progress: Progress = lambda _line: None,
) -> list[Checked]:
    """Compare contracts of a deployment with their compiled sources.

    Args:
        whole: compiler input of the whole deployment.
        only: names of the contracts to check; empty is all.
        progress: called with a line before each contract.

    Raises:
        AuditError: a name is unknown, or the sources cannot be compiled.
        ChainError: the chain cannot be read.
    """
    chosen = list(only) or list(deployment.contracts)
    unknown = sorted(set(chosen) - deployment.contracts.keys())
    if unknown:
        raise AuditError(f"the deployment has no {', '.join(unknown)}; it has {', '.join(deployment.contracts)}")
    found = []
    for number, name in enumerate(chosen, 1):
        record = deployment.contracts[name]
        progress(f"compiling {name} ({number} of {len(chosen)})")
        found.append(_check(rpc, deployment.chain_id, record, part_of(whole, record)))
    return found


def _check(rpc: Rpc, chain_id: int, record: ContractRecord, part: dict[str, Any]) -> Checked:
    checked = Checked(record.name, record.address)
    differ = checked.differences.append
    if input_hash(part) != record.input_hash:
        differ(f"the sources hash to {input_hash(part)}, the record has {record.input_hash}")
    compiled = compile_contract(part, record)
    code = rpc.code(record.address)
    checked.bytes = len(code)
    if not code:
        differ(f"there is no code at {record.address}")
        return checked
    if "0x" + keccak(code).hex() != record.runtime_hash:
        differ("the hash of the code is not the recorded one")
    creation = compiled.creation + encode_arguments(compiled.abi, record.constructor_args)
    _compare_code(checked, compiled, code)
    _compare_creation(checked, rpc, record, creation)
    if len(code) == len(compiled.runtime):
        _compare_immutables(checked, rpc, chain_id, record, compiled, code, creation)
    return checked


def encode_arguments(abi: list[dict[str, Any]], given: list[Any]) -> bytes:
    """ABI-encode the constructor arguments of a record, which has structs by field name and large numbers as text.

    Raises:
        AuditError: the arguments do not fit the constructor.
    """
    inputs: list[dict[str, Any]] = next((item["inputs"] for item in abi if item["type"] == "constructor"), [])
    try:
        values = [_value(parameter, value) for parameter, value in zip(inputs, given, strict=True)]
        return encode([canonical_type(parameter) for parameter in inputs], values)
    except (ValueError, TypeError, KeyError, EncodingError) as error:
        raise AuditError(f"the recorded constructor arguments do not fit the constructor: {error}") from None


def _value(parameter: dict[str, Any], value: Any) -> Any:
    if parameter["type"] == "tuple":
        return tuple(_value(part, value[snake(part["name"])]) for part in parameter["components"])
    return int(value) if parameter["type"].startswith(("uint", "int")) else value


# -------------------------------------------------------------------- comparisons


def masked(code: bytes, compiled: Compiled) -> bytes:
    """Code with its immutables set to zero."""
    kept = bytearray(code)
    for _, start, length in compiled.immutables:
        kept[start : start + length] = bytes(min(length, max(0, len(kept) - start)))
    return bytes(kept)


def metadata_length(code: bytes) -> int:
    """Length of the CBOR metadata at the end of code, including its two length bytes; 0 if there is none."""
    length = int.from_bytes(code[-2:], "big") + 2
    return length if length <= len(code) and code[-length] >> 5 == 5 else 0  # major type 5: a map


def _compare_code(checked: Checked, compiled: Compiled, code: bytes) -> None:
    deployed, expected = masked(code, compiled), masked(compiled.runtime, compiled)
    if deployed == expected:
        return
    if len(deployed) != len(expected):
        checked.differences.append(f"{len(deployed)} bytes of code on the chain, {len(expected)} compiled")
    offsets = [at for at, (a, b) in enumerate(zip(deployed, expected, strict=False)) if a != b]
    if not offsets:
        return
    metadata_start = len(expected) - metadata_length(expected)
    where = "metadata" if offsets[0] >= metadata_start else "code"
    shown = ", ".join(f"{at} is 0x{deployed[at]:02x}, compiled 0x{expected[at]:02x}" for at in offsets[:SHOWN])
    more = f" and {len(offsets) - SHOWN} more" if len(offsets) > SHOWN else ""
    checked.differences.append(f"{where}: byte {shown}{more}")


def _compare_creation(checked: Checked, rpc: Rpc, record: ContractRecord, creation: bytes) -> None:
    transaction, receipt = rpc.transaction(record.tx_hash), rpc.receipt(record.tx_hash)
    if transaction is None or receipt is None:
        checked.unavailable.append("the endpoint no longer has the transaction that created it")
        return
    if (receipt.contract_address or "").lower() != record.address.lower() or receipt.block != record.block:
        checked.differences.append(
            f"transaction {record.tx_hash} created {receipt.contract_address} in block {receipt.block}, "
            f"the record has {record.address} in block {record.block}"
        )
    if bytes.fromhex(transaction["input"][2:]) != creation:
        checked.differences.append("the creating transaction has other code or constructor arguments than the record")


def _compare_immutables(
    checked: Checked, rpc: Rpc, chain_id: int, record: ContractRecord, compiled: Compiled, code: bytes, creation: bytes
) -> None:
    if not compiled.immutables:
        return
    try:
        answer = rpc.request("eth_call", [{"from": CREATOR, "data": "0x" + creation.hex()}, "latest"])
        trial = bytes.fromhex(str(answer)[2:])
        if len(trial) != len(code):
            raise ValueError(f"{len(trial)} bytes")
    except (ChainError, ValueError) as error:
        checked.unavailable.append(f"immutables: the endpoint does not execute constructors ({str(error)[:100]})")
        return
    deployed, constructed = _values(compiled, code), _values(compiled, trial)
    own, other = int(checked.address, 16), int(create_address(CREATOR, rpc.nonce(CREATOR)), 16)
    for name, start, length in compiled.immutables:
        actual, wanted = (int.from_bytes(source[start : start + length], "big") for source in (code, trial))
        if wanted == other:
            wanted = own
        elif name == "_cachedDomainSeparator" and wanted == _domain(constructed, chain_id, other):
            wanted = _domain(deployed, chain_id, own)
        elif name == TIME_OF_DEPLOYMENT:
            wanted = rpc.block(record.block).timestamp
        if actual == wanted:
            checked.immutables += 1
        else:
            checked.differences.append(
                f"immutable {name} at byte {start} is {_shown(actual, length)}, constructed {_shown(wanted, length)}"
            )


def _values(compiled: Compiled, code: bytes) -> dict[str, int]:
    return {name: int.from_bytes(code[start : start + length], "big") for name, start, length in compiled.immutables}


def _domain(values: dict[str, int], chain_id: int, address: int) -> int:
    """The EIP-712 domain separator, from the hashes that OpenZeppelin's EIP712 stores."""
    words = [int.from_bytes(EIP712_TYPE_HASH, "big"), values.get("_hashedName", 0), values.get("_hashedVersion", 0)]
    packed = b"".join(word.to_bytes(32, "big") for word in (*words, chain_id, address))
    return int.from_bytes(keccak(packed), "big")


def _shown(value: int, length: int) -> str:
    return f"0x{value:0{2 * length}x}" if length < FULL_WIDTH or value >> 200 else hex(value)


def summary(checked: Checked) -> str:
    """The result in one line."""
    if checked.differences:
        return checked.differences[0]
    return f"{checked.bytes} bytes and {checked.immutables} immutables match the sources"
