"""`covey audit bytecode` on a real chain: it accepts the deployed code and reports a single changed byte."""

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
"""Contracts that compile fast: one has a domain separator and its own address, one a struct argument."""
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
    """Compile each input once; the compiler takes seconds."""
    if not list(SOLC.glob("solc-v*")):
        pytest.skip("no compiler: run `make setup`")
    known: dict[str, Any] = {}
    compile_standard = solcx.compile_standard

    def once(given: dict[str, Any], **options: Any) -> Any:
        key = json.dumps([given, options], sort_keys=True)
        if key not in known:
            known[key] = compile_standard(given, **options)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOLCX_BINARY_PATH", str(SOLC))
        patch.setattr(solcx, "compile_standard", once)
        yield


@pytest.fixture(scope="module")
def whole(chain: tuple[Rpc, Deployment]) -> dict[str, Any]:
    return from_checkout(ROOT, chain[1].contracts.values())


def check(chain: tuple[Rpc, Deployment], whole: dict[str, Any], name: str, **changes: Any) -> Checked:
    """Check one contract, with changes to its record."""
    rpc, deployment = chain
    records = deployment.contracts | {name: replace(deployment.contracts[name], **changes)}
    [found] = check_bytecode(rpc, replace(deployment, contracts=records), whole, [name])
    return found


def plant(rpc: Rpc, address: str, at: int) -> bytes:
    """Change one byte of a contract's code; returns the original code."""
    code = rpc.code(address)
    changed = bytearray(code)
    changed[at] ^= 1
    rpc.request("anvil_setCode", [address, "0x" + changed.hex()])
    return code


def test_checkout_inputs_match_shipped_artifacts(chain: tuple[Rpc, Deployment], whole: dict[str, Any]) -> None:
    for name, record in chain[1].contracts.items():
        assert input_hash(part_of(whole, record)) == record.input_hash == artifacts.load(name).input_hash


@pytest.mark.parametrize("name", CHOSEN)
def test_deployed_code_matches_sources(chain: tuple[Rpc, Deployment], whole: dict[str, Any], name: str) -> None:
    found = check(chain, whole, name)
    assert found.differences == []
    assert found.unavailable == []
    assert found.immutables == len(artifacts.load(name).immutables) > 0
    assert found.bytes == len(artifacts.load(name).runtime_bytecode)
    assert "match the sources" in summary(found)


@pytest.mark.parametrize("name", CHOSEN)
def test_single_changed_byte_is_reported(chain: tuple[Rpc, Deployment], whole: dict[str, Any], name: str) -> None:
    rpc, deployment = chain
    artifact, address = artifacts.load(name), deployment.address(name)
    size = len(artifact.runtime_bytecode)
    immutable, start, _ = artifact.immutables[0]
    for at, message in (
        (0, "code: byte 0 is"),
        (size // 2, f"code: byte {size // 2} is"),
        (size - metadata_length(artifact.runtime_bytecode), "metadata: byte"),
        (size - 1, "metadata: byte"),
        (start + 31, f"immutable {immutable} at byte {start} is"),
    ):
        before = plant(rpc, address, at)
        found = check(chain, whole, name, runtime_hash="0x" + keccak(rpc.code(address)).hex())
        assert [line for line in found.differences if line.startswith(message)] == found.differences
        assert len(found.differences) == 1
        # The hash in the record shows it too.
        assert "the hash of the code is not the recorded one" in check(chain, whole, name).differences
        rpc.request("anvil_setCode", [address, "0x" + before.hex()])
    assert check(chain, whole, name).differences == []


def test_different_or_missing_code_is_reported(chain: tuple[Rpc, Deployment], whole: dict[str, Any]) -> None:
    rpc, deployment = chain
    address = deployment.address("TaskBounds")
    code = rpc.code(address)
    rpc.request("anvil_setCode", [address, "0x" + EIP1167])
    assert any("10 bytes of code on the chain" in line for line in check(chain, whole, "TaskBounds").differences)
    rpc.request("anvil_setCode", [address, "0x"])
    assert f"there is no code at {address}" in check(chain, whole, "TaskBounds").differences
    rpc.request("anvil_setCode", [address, "0x" + code.hex()])


def test_wrong_record_is_reported(chain: tuple[Rpc, Deployment], whole: dict[str, Any]) -> None:
    record = chain[1].contracts["TaskBounds"]
    assert check(chain, whole, "TaskBounds", input_hash="0x12").differences[0].startswith("the sources hash to 0x")
    [message] = check(chain, whole, "TaskBounds", block=record.block + 1).differences
    assert message.endswith(f"the record has {record.address} in block {record.block + 1}")
    manager, staking, config = record.constructor_args
    arguments = [manager, staking, config | {"max_tau": config["max_tau"] - 1}]
    assert check(chain, whole, "TaskBounds", constructor_args=arguments).differences == [
        "the creating transaction has other code or constructor arguments than the record"
    ]
    pruned = check(chain, whole, "TaskBounds", tx_hash="0x" + "12" * 32)
    assert pruned.differences == []
    assert pruned.unavailable == ["the endpoint no longer has the transaction that created it"]


def test_changed_sources_are_reported(chain: tuple[Rpc, Deployment], whole: dict[str, Any]) -> None:
    unit = "contracts/BeaconRandomness.sol"  # compiles fastest
    content = whole["sources"][unit]["content"].replace("distance_ > 256", "distance_ > 255")
    assert content != whole["sources"][unit]["content"]
    changed = whole | {"sources": whole["sources"] | {unit: {"content": content}}}
    differences = check(chain, changed, "BeaconRandomness").differences
    assert differences[0].startswith("the sources hash to 0x")
    assert any("transaction has other code" in line for line in differences)


def test_compilation_errors_name_the_fix(
    chain: tuple[Rpc, Deployment], whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = chain[1].contracts["TaskBounds"]
    part = part_of(whole, record)
    with pytest.raises(AuditError, match=r"solc 0\.8\.28 is not installed: run `make setup`"):
        compiling.compile_contract(part, replace(record, compiler="0.8.28+commit.1"))
    version = record.compiler.split("+")[0]
    with pytest.raises(AuditError, match=rf"the installed solc {version} is .*; TaskBounds was compiled with"):
        compiling.compile_contract(part, replace(record, compiler=version + "+commit.1"))
    with pytest.raises(AuditError, match=r"has no contract Task$"):
        compiling.compile_contract(part, replace(record, name="Task"))
    broken = part | {"sources": part["sources"] | {record.source_name: {"content": "contract {"}}}
    with pytest.raises(AuditError, match=r"TaskBounds does not compile: .*Error"):
        compiling.compile_contract(broken, record)
    monkeypatch.setitem(__import__("sys").modules, "solcx", None)
    with pytest.raises(AuditError, match=r"pip install 'covey\[audit\]'"):
        compiling.compile_contract(part, record)


def test_unfitting_constructor_arguments_are_refused(whole: dict[str, Any]) -> None:
    abi = artifacts.load("CoveyToken").abi
    address = "0x" + "12" * 20
    assert len(encode_arguments(abi, [address, address, str(10**24)])) == 96
    for wrong in ([address, address], [address, address, "many"], [address, "0x12", "1"], [address, address, "-1"]):
        with pytest.raises(AuditError, match="do not fit the constructor"):
            encode_arguments(abi, wrong)


def test_bytecode_command(
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
    assert "give a checkout of covey after `make setup`" in capsys.readouterr().err
    (folder / COMPILER_INPUT).write_text("{}")
    assert main(access) == 2
    assert "not a compiler input" in capsys.readouterr().err
