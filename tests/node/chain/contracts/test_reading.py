"""Small readers: headers, reverts, amounts, structs, artifacts; and the other transports."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from tests.support.chain.anvil import Chain

from covey.chain import artifacts
from covey.chain.abi.reverts import decode_revert
from covey.chain.contracts import Contracts
from covey.chain.contracts.base import snake, struct
from covey.chain.errors import ChainError, ContractReverted, FatalError, Unreachable, WrongDeployment
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.header import header_proof, header_rlp
from covey.chain.units import cvy, to_wei
from covey.devnet.anvil import find_anvil, free_port

# ---------------------------------------------------------------------- headers


@pytest.mark.daemon
def test_a_header_hashes_to_its_block(chain: Chain) -> None:
    chain.mine(3)
    for number in range(1, chain.rpc.block_number() + 1):
        assert "0x" + keccak(header_proof(chain.rpc, number)).hex() == chain.rpc.block(number).hash


@pytest.mark.daemon
def test_a_header_that_was_changed_is_not_believed(chain: Chain) -> None:
    fields = chain.rpc.block_json("latest")
    assert header_rlp(fields)
    for change in ({"mixHash": "0x" + "00" * 31 + "01"}, {"gasUsed": "0x1"}, {"withdrawalsRoot": None}):
        with pytest.raises(Unreachable, match="does not hash"):
            header_rlp(fields | change)
    for change in ({"number": "x"}, {"parentHash": "0xzz"}, {"hash": None}):
        with pytest.raises(Unreachable, match="unusable field"):
            header_rlp(fields | change)


@pytest.mark.daemon
def test_a_block_that_is_not_there(chain: Chain) -> None:
    with pytest.raises(Unreachable, match="no block"):
        chain.rpc.block(chain.rpc.block_number() + 10)


# ---------------------------------------------------------------------- reverts


def test_custom_errors_become_words() -> None:
    data = keccak(b"StakingStakeTooLow(address,uint256,uint256)")[:4] + encode(
        ["address", "uint256", "uint256"], ["0x" + "ab" * 20, 3, 7]
    )
    reason = decode_revert(data)
    assert reason.name == "StakingStakeTooLow"
    assert (reason.args["free"], reason.args["wanted"]) == (3, 7)
    assert str(reason).startswith("the operator's free stake is too low [StakingStakeTooLow(operator=0xab")


def test_names_in_bytes32_become_text() -> None:
    data = keccak(b"RegistryBadParam(bytes32)")[:4] + b"maxTau".ljust(32, b"\0")
    assert str(decode_revert(data)) == "RegistryBadParam(name=maxTau)"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (bytes.fromhex("08c379a0") + encode(["string"], ["no"]), "no"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]), "arithmetic overflow"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x99]), "panic 0x99"),
        (b"", "reverted without a reason"),
        (b"\1\2\3\4\5", "unknown error 0x0102030405"),
        (keccak(b"RegistryBadParam(bytes32)")[:4] + b"\0", "unknown error 0x"),
    ],
)
def test_other_reverts(data: bytes, text: str) -> None:
    assert str(decode_revert(data)).startswith(text)


@given(st.binary(max_size=200))
def test_any_bytes_decode_to_something(data: bytes) -> None:
    assert str(decode_revert(data))


@pytest.mark.daemon
def test_a_view_that_reverts_says_why(contracts: Contracts) -> None:
    with pytest.raises(ContractReverted) as caught:
        contracts.registry.params_of(999)
    assert caught.value.name == "RegistryUnknownTask"
    assert caught.value.reason.args == {"taskId": 999}


# ---------------------------------------------------------------------- bindings


@dataclass(frozen=True)
class Two:
    first_part: int
    second: int


def test_structs_by_name_and_not_by_place() -> None:
    components = [{"name": n, "type": "uint256"} for n in ("second", "extra", "firstPart")]
    assert struct(Two, components, (2, 9, 1)) == Two(1, 2)
    with pytest.raises(WrongDeployment, match="no field first_part of Two"):
        struct(Two, components[:2], (2, 9))
    assert [snake(n) for n in ("entryCommitEnd", "h", "pageWords", "openEnd")] == [
        "entry_commit_end",
        "h",
        "page_words",
        "open_end",
    ]


@pytest.mark.daemon
def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(contracts: Contracts) -> None:
    with pytest.raises(ValueError, match="commitEntry: "):
        contracts.registry.commit_entry(1, "0x12", bytes(32), 0)
    with pytest.raises(ValueError, match="setCommission: "):
        contracts.staking.set_commission(-1)


def test_artifacts_are_complete_and_an_unknown_one_is_told() -> None:
    for name in artifacts.CONTRACTS:
        artifact = artifacts.load(name)
        assert artifact.name == name
        assert artifact.bytecode
        assert artifacts.immutable_values(name, artifact.runtime_bytecode) is not None
        assert artifacts.immutable_values(name, artifact.runtime_bytecode[:-1] + b"\xfe\xfe") is None
    with pytest.raises(FatalError, match="no compiled contract Nothing"):
        artifacts.load("Nothing")


# ---------------------------------------------------------------------- amounts


@given(st.integers(0, 10**26))
def test_amounts_round_trip(amount: int) -> None:
    assert to_wei(cvy(amount)) == amount
    assert to_wei(format(Decimal(amount).scaleb(-18), "f")) == amount


@pytest.mark.parametrize("bad", ["", "x", "-1", "nan", "inf", "1e-19", "1e-99999999", "1e27", "1 2", "0x10"])
def test_what_is_no_amount(bad: str) -> None:
    with pytest.raises(ValueError, match=r"CVY|decimals"):
        to_wei(bad)


def test_amounts_for_people() -> None:
    assert cvy(0) == "0 CVY"
    assert cvy(12_500_000_000_000_000_000) == "12.5 CVY"
    assert cvy(-1) == "-0.000000000000000001 CVY"


# ---------------------------------------------------------------------- transports


@pytest.fixture
def two_transports(anvil: Chain, tmp_path: Path) -> Iterator[list[str]]:
    """An anvil of its own that also listens on an ipc socket: its ws address and the socket's path."""
    port, socket = free_port(), tmp_path / "anvil.ipc"
    command = [str(find_anvil(install=False)), "--port", str(port), "--ipc", str(socket), "--silent"]
    process = subprocess.Popen(command)
    try:
        end = time.monotonic() + 30
        while not socket.exists():
            assert time.monotonic() < end, "anvil did not open its socket"
            time.sleep(0.05)
        yield [f"ws://127.0.0.1:{port}", str(socket)]
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.daemon
def test_websocket_and_ipc_endpoints(two_transports: list[str]) -> None:
    for url in two_transports:
        rpc = Rpc(url, 31337, timeout=10)
        assert rpc.block_number() == 0
        assert rpc.balance("0x" + "12" * 20) == 0
        with pytest.raises(ChainError):
            rpc.request("no_such_method", [])


@pytest.mark.daemon
def test_other_transports_that_are_not_there(tmp_path: Path) -> None:
    for url in ("ws://127.0.0.1:9", str(tmp_path / "nothing.ipc")):
        with pytest.raises(Unreachable):
            Rpc(url, timeout=2).block_number()
