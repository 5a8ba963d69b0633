"""Checks of one node's settings."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from covey.chain.errors import FatalError
from covey.chain.signing.keystore import LocalSigner, create_keystore
from covey.cli.errors import CliError
from covey.cli.settings import Settings
from covey.cli.setup.findings import CheckFailed
from covey.cli.setup.node_checks import (
    check_base,
    check_chain,
    check_operator,
    check_peers,
    check_records,
    check_signer,
    check_store,
)
from covey.client.network import Network
from covey.ipfs import BlockStore, Gateway, StoreBusy
from covey.lora.bases.resolve import tiny_folder

SIGNER = LocalSigner.from_key(b"\x01" * 32)
OPERATOR = "0x" + "77" * 20
CVY = 10**18


@dataclass
class Pool:
    registered: bool = True
    signer: str = SIGNER.address
    self_bond: int = 5 * CVY
    active_tokens: int = 9 * CVY
    jailed_until: int = 0


def fake_network(pool: Pool | None = None, *, eligible: bool = True, coin: int = CVY) -> Any:
    network = Mock(spec=Network)
    network.operator_of.return_value = OPERATOR
    network.contracts = Mock()
    network.contracts.staking.pool_of.return_value = pool or Pool()
    network.contracts.staking.is_eligible.return_value = eligible
    network.contracts.staking.min_self_bond.return_value = 10 * CVY
    network.contracts.token.balance_of.return_value = 2 * CVY
    network.rpc = Mock()
    network.rpc.balance.return_value = coin
    return network


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


@pytest.fixture
def keystore(folder: Path) -> str:
    create_keystore(folder / "signer.json", "secret", key=SIGNER.key, iterations=1 << 10)
    (folder / "password").write_text("secret\n")
    (folder / "password").chmod(0o600)
    return "signer.json"


def test_chain_check_reports_the_head() -> None:
    network = fake_network()
    network.deployment = Mock(chain_id=31337)
    network.rpc.block.return_value = Mock(number=12)
    assert check_chain(network) == "chain 31337, block 12, contracts match the records"
    network.deployment.verify.side_effect = FatalError("Staking has other code")
    with pytest.raises(CheckFailed, match="Staking has other code"):
        check_chain(network)


def test_signer_check_tries_the_password_if_one_is_given(keystore: str, folder: Path) -> None:
    assert check_signer(settings()) is None
    assert check_signer(settings(keystore=keystore)) == f"{SIGNER.address} (password not checked: none given)"
    opened = settings(keystore=keystore, password_file="password")
    assert check_signer(opened) == f"{SIGNER.address}, password correct"
    (folder / "password").chmod(0o644)
    assert "others can read password: chmod 600 password" in (check_signer(opened) or "")


def test_signer_check_fails_for_a_readable_or_broken_keystore(keystore: str, folder: Path) -> None:
    (folder / keystore).chmod(0o644)
    with pytest.raises(CheckFailed, match=r"signer\.json is readable by others: chmod 600"):
        check_signer(settings(keystore=keystore))
    (folder / "broken.json").write_text("{}")
    with pytest.raises(CheckFailed, match=r"broken\.json"):
        check_signer(settings(keystore="broken.json"))


def test_operator_check_reports_stake_and_balances(keystore: str) -> None:
    message = check_operator(settings(keystore=keystore), fake_network())
    assert message == f"{OPERATOR}, stake 9.0000 CVY; signer has 1.0000 coin and 2.0000 CVY"
    assert check_operator(settings(keystore=keystore), None) is None
    assert check_operator(settings(), fake_network()) is None


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (fake_network(Pool(registered=False)), "has no pool yet: open one with `covey stake`"),
        (fake_network(Pool(signer="0x" + "99" * 20)), "not this node's"),
        (fake_network(eligible=False), r"its self-bond is 5\.0000 CVY of 10\.0000$"),
        (fake_network(Pool(jailed_until=1), eligible=False), "and it is jailed"),
        (fake_network(coin=0), "has no native coin for gas"),
    ],
)
def test_operator_check_fails_with_the_remedy(keystore: str, network: Any, message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        check_operator(settings(keystore=keystore), network)


def test_records_are_counted_by_stratum(folder: Path) -> None:
    (folder / "r.jsonl").write_text('{"text": "a", "stratum": "s"}\n{"text": "b", "stratum": "t"}\n')
    assert check_records(Path("r.jsonl")) == "2 records: s 1, t 1"
    assert check_records(None) is None
    (folder / "empty.jsonl").write_text("")
    with pytest.raises(CheckFailed, match=r"empty\.jsonl"):
        check_records(Path("empty.jsonl"))


def test_store_check_opens_the_store_or_reports_its_creation(folder: Path) -> None:
    assert check_store(settings()) is None
    assert check_store(settings(data_dir="data")) == "data/blocks (created when the node first starts)"
    (folder / "file").write_text("")
    with pytest.raises(CliError, match="--store file: "):
        check_store(settings(store="file"))
    BlockStore(folder / "blocks").close()
    assert check_store(settings(store="blocks")) == "embedded, blocks, 0 pins, quota 20.0GiB"


def test_store_check_passes_while_another_process_holds_the_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(store: BlockStore) -> None:
        raise StoreBusy("locked")

    monkeypatch.setattr(BlockStore, "pins", busy)
    (folder / "blocks").mkdir()
    assert check_store(settings(store="blocks")) == "blocks, in use by another process"


@pytest.mark.daemon
def test_peers_are_counted_and_failures_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_peers(settings()) is None
    dead = "http://127.0.0.1:1"
    with pytest.raises(CheckFailed, match=f"none of 1 peers answers: {dead}"):
        check_peers(settings(peers=[dead]))
    with BlockStore(folder / "blocks") as store, Gateway(store) as gateway:
        assert check_peers(settings(peers=[gateway.url, dead])) == "1 of 2 answer"
    assert f"covey: {dead}: " in capsys.readouterr().err


def test_base_check_names_the_file_at_fault(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_folder(), base)
    assert check_base(str(base), None) == f"{base}, qwen3, 4,096 embeddings, {base}"
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "vocab_size": 4000}))
    with pytest.raises(CheckFailed, match=r"tokenizer\.json has token .* with id 4000"):
        check_base(str(base), None)
    (base / "config.json").write_text(json.dumps({**config, "eos_token_id": -1}))
    with pytest.raises(CheckFailed, match=r"config\.json has eos_token_id -1"):
        check_base(str(base), None)
    (base / "tokenizer.json").unlink()
    with pytest.raises(CheckFailed, match=r"lacks tokenizer\.json"):
        check_base(str(base), None)


def test_base_check_downloads_nothing(tmp_path: Path) -> None:
    assert check_base("Qwen/Qwen3-0.6B", tmp_path) == (
        "Qwen/Qwen3-0.6B is not on this machine yet; the node downloads it when a task needs it"
    )
    with pytest.raises(CheckFailed, match="no base model 'nowhere'"):
        check_base("nowhere", tmp_path)
