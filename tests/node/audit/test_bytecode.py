"""`covey audit bytecode` on a real chain: it agrees with what was deployed, and sees one changed byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import solcx
from eth_hash.auto import keccak

from covey.audit import compile as compiling
from covey.audit.bytecode import Checked, check_bytecode, encode_arguments, metadata_length, summary
from covey.audit.record import AuditError
from covey.audit.sources import canonical, from_checkout, from_deployment, input_hash, part_of
from covey.chain import artifacts
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.deployment import COMPILER_INPUT, Deployment
from covey.chain.rpc.client import Rpc
from covey.chain.signing.keystore import LocalSigner
from covey.cli.main import main
from covey.devnet.anvil import Anvil, find_anvil
from covey.devnet.errors import DevnetError

pytestmark = pytest.mark.daemon

ROOT = Path(__file__).resolve().parents[3]
SOLC = ROOT / ".toolchain" / "solcx"
CHOSEN = ("CoveyToken", "TaskBounds")
"""Contracts that compile fast: one with a domain separator and its own address, one with a struct for an argument."""
EIP1167 = "363d3d373d3d3d363d73"


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    try:
        program = find_anvil(install=False)
    except DevnetError as missing:
        if os.environ.get("COVEY_REQUIRE_ANVIL"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with Anvil(tmp_path_factory.mktemp("anvil") / "anvil.log", program=program) as running:
        yield running


@pytest.fixture(scope="module")
def chain(anvil: Anvil) -> tuple[Rpc, Deployment]:
    rpc = Rpc(anvil.url, timeout=60)
    deployer = LocalSigner.from_key(b"\1" * 32)
    anvil.set_balance(deployer.address, 10**21)
    return rpc, deploy(rpc, deployer, DeployConfig.devnet())


@pytest.fixture(scope="module", autouse=True)
def _one_compilation() -> Iterator[None]:
    """The compiler takes seconds: the same input is compiled once."""
    if not list(SOLC.glob("solc-v*")):
        pytest.skip("no compiler: run `make setup`")
    before, known = os.environ.get("SOLCX_BINARY_PATH"), dict[str, Any]()
    os.environ["SOLCX_BINARY_PATH"] = str(SOLC)
    compile_standard = solcx.compile_standard

    def once(given: dict[str, Any], **options: Any) -> Any:
        key = json.dumps([given, options], sort_keys=True)
        if key not in known:
            known[key] = compile_standard(given, **options)
        return known[key]

    solcx.compile_standard = once
    yield
    solcx.compile_standard = compile_standard
    os.environ.pop("SOLCX_BINARY_PATH") if before is None else os.environ.update(SOLCX_BINARY_PATH=before)


@pytest.fixture(scope="module")
def whole(chain: tuple[Rpc, Deployment]) -> dict[str, Any]:
    return from_checkout(ROOT, chain[1].contracts.values())


def check(chain: tuple[Rpc, Deployment], whole: dict[str, Any], name: str, **changes: Any) -> Checked:
    """What is found about one contract, with changes to its record."""
    rpc, deployment = chain
    records = deployment.contracts | {name: replace(deployment.contracts[name], **changes)}
    [found] = check_bytecode(rpc, replace(deployment, contracts=records), whole, [name])
    return found


def plant(rpc: Rpc, address: str, at: int) -> bytes:
    """Change one byte of a contract's code; returns the code before."""
    code = rpc.code(address)
    changed = bytearray(code)
    changed[at] ^= 1
    rpc.request("anvil_setCode", [address, "0x" + changed.hex()])
    return code


def test_the_inputs_in_a_checkout_are_those_of_the_shipped_artifacts(
    chain: tuple[Rpc, Deployment], whole: dict[str, Any]
) -> None:
    for name, record in chain[1].contracts.items():
        assert input_hash(part_of(whole, record)) == record.input_hash == artifacts.load(name).input_hash


@pytest.mark.parametrize("name", CHOSEN)
def test_what_was_deployed_is_what_the_sources_make(
    chain: tuple[Rpc, Deployment], whole: dict[str, Any], name: str
) -> None:
    found = check(chain, whole, name)
    assert found.differences == []
    assert found.unavailable == []
    assert found.immutables == len(artifacts.load(name).immutables) > 0
    assert found.bytes == len(artifacts.load(name).runtime_bytecode)
    assert "are what the sources make" in summary(found)


@pytest.mark.parametrize("name", CHOSEN)
def test_one_changed_byte_is_found_wherever_it_is(
    chain: tuple[Rpc, Deployment], whole: dict[str, Any], name: str
) -> None:
    rpc, deployment = chain
    artifact, address = artifacts.load(name), deployment.address(name)
    size = len(artifact.runtime_bytecode)
    immutable, start, _ = artifact.immutables[0]
    for at, told in (
        (0, "code: byte 0 is"),
        (size // 2, f"code: byte {size // 2} is"),
        (size - metadata_length(artifact.runtime_bytecode), "metadata: byte"),
        (size - 1, "metadata: byte"),
        (start + 31, f"immutable {immutable} at byte {start} is"),
    ):
        before = plant(rpc, address, at)
        found = check(chain, whole, name, runtime_hash="0x" + keccak(rpc.code(address)).hex())
        assert [line for line in found.differences if line.startswith(told)] == found.differences
        assert len(found.differences) == 1
        # The hash in the record is one more witness.
        assert "the code is not the one whose hash the record has" in check(chain, whole, name).differences
        rpc.request("anvil_setCode", [address, "0x" + before.hex()])
    assert check(chain, whole, name).differences == []


def test_other_code_altogether(chain: tuple[Rpc, Deployment], whole: dict[str, Any]) -> None:
    rpc, deployment = chain
    address = deployment.address("TaskBounds")
    code = rpc.code(address)
    rpc.request("anvil_setCode", [address, "0x" + EIP1167])
    assert any("10 bytes of code on the chain" in line for line in check(chain, whole, "TaskBounds").differences)
    rpc.request("anvil_setCode", [address, "0x"])
    assert f"there is no code at {address}" in check(chain, whole, "TaskBounds").differences
    rpc.request("anvil_setCode", [address, "0x" + code.hex()])


def test_a_record_that_tells_another_story(chain: tuple[Rpc, Deployment], whole: dict[str, Any]) -> None:
    record = chain[1].contracts["TaskBounds"]
    assert check(chain, whole, "TaskBounds", input_hash="0x12").differences[0].startswith("the sources hash to 0x")
    [told] = check(chain, whole, "TaskBounds", block=record.block + 1).differences
    assert told.endswith(f"the record has {record.address} in block {record.block + 1}")
    manager, staking, config = record.constructor_args
    arguments = [manager, staking, config | {"max_tau": config["max_tau"] - 1}]
    assert check(chain, whole, "TaskBounds", constructor_args=arguments).differences == [
        "it was created with other code or constructor arguments than recorded"
    ]
    forgotten = check(chain, whole, "TaskBounds", tx_hash="0x" + "12" * 32)
    assert forgotten.differences == []
    assert forgotten.unavailable == ["the endpoint no longer has the transaction that created it"]


def test_changed_sources_are_found(chain: tuple[Rpc, Deployment], whole: dict[str, Any]) -> None:
    unit = "contracts/TaskBounds.sol"
    content = whole["sources"][unit]["content"].replace("MAX_TAU = 0x0fff", "MAX_TAU = 0x0ffe")
    assert content != whole["sources"][unit]["content"]
    changed = whole | {"sources": whole["sources"] | {unit: {"content": content}}}
    told = check(chain, changed, "TaskBounds").differences
    assert told[0].startswith("the sources hash to 0x")
    assert any(line.startswith("code: byte") for line in told)


def test_what_cannot_be_compiled_says_what_to_do(
    chain: tuple[Rpc, Deployment], whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = chain[1].contracts["TaskBounds"]
    part = part_of(whole, record)
    with pytest.raises(AuditError, match=r"solc 0\.8\.28 is not installed: run `make setup`"):
        compiling.compile_contract(part, replace(record, compiler="0.8.28+commit.1"))
    version = record.compiler.split("+")[0]
    with pytest.raises(AuditError, match=rf"this machine's solc {version} is .*; TaskBounds was compiled with"):
        compiling.compile_contract(part, replace(record, compiler=version + "+commit.1"))
    with pytest.raises(AuditError, match=r"has no contract Task$"):
        compiling.compile_contract(part, replace(record, name="Task"))
    broken = part | {"sources": part["sources"] | {record.source_name: {"content": "contract {"}}}
    with pytest.raises(AuditError, match=r"TaskBounds does not compile: .*Error"):
        compiling.compile_contract(broken, record)
    monkeypatch.setitem(__import__("sys").modules, "solcx", None)
    with pytest.raises(AuditError, match=r"pip install 'covey\[audit\]'"):
        compiling.compile_contract(part, record)


def test_arguments_that_do_not_fit(whole: dict[str, Any]) -> None:
    abi = artifacts.load("CoveyToken").abi
    address = "0x" + "12" * 20
    assert len(encode_arguments(abi, [address, address, str(10**24)])) == 96
    for wrong in ([address, address], [address, address, "many"], [address, "0x12", "1"], [address, address, "-1"]):
        with pytest.raises(AuditError, match="do not fit the constructor"):
            encode_arguments(abi, wrong)


def test_the_command(
    anvil: Anvil,
    chain: tuple[Rpc, Deployment],
    whole: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rpc, deployment = chain
    folder = deployment.save(tmp_path)
    access = ["audit", "bytecode", "--deployment", str(folder), "--rpc-urls", anvil.url, "--contract", "TaskBounds"]
    assert main(access) == 2
    assert f"no sources: {folder} has no {COMPILER_INPUT}; give --sources" in capsys.readouterr().err
    assert main([*access, "--sources", str(ROOT)]) == 0
    assert "TaskBounds" in capsys.readouterr().out

    deployment.save(tmp_path, canonical(whole))
    assert Deployment.load(folder) == deployment
    assert from_deployment(folder) == whole
    assert main([*access, "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["contracts"]
    assert found["name"] == "TaskBounds" and found["differences"] == []

    before = plant(rpc, deployment.address("TaskBounds"), 100)
    assert main(access) == 1
    shown = capsys.readouterr()
    assert "code: byte 100 is" in shown.out
    assert "covey: 1 of 1 contracts differ; TaskBounds: " in shown.err
    rpc.request("anvil_setCode", [deployment.address("TaskBounds"), "0x" + before.hex()])

    assert main([*access[:-1], "Nothing"]) == 2
    assert "the deployment has no Nothing; it has AccessManager" in capsys.readouterr().err
    assert main([*access, "--sources", str(tmp_path)]) == 2
    assert "name a checkout of covey after `make setup`" in capsys.readouterr().err
    (folder / COMPILER_INPUT).write_text("{}")
    assert main(access) == 2
    assert "not a compiler input" in capsys.readouterr().err
