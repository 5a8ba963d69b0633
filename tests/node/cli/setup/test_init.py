"""`covey init`."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.support.cli.command_line import Covey

from covey.chain.signing.keystore import create_keystore
from covey.cli.settings import load_node

KEY = "11" * 32
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "correct horse")


def test_init_writes_a_private_key_and_settings_that_load(covey: Covey) -> None:
    Path("key.hex").write_text(KEY)
    Path("d").mkdir()
    line = "init node --role validator --heldout-records h.jsonl --rpc-urls http://a --deployment d"
    created = covey(*line.split(), "--import-key", "key.hex", "--json").json
    assert created["signer"] == ADDRESS
    keystore = Path(created["keystore"])
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    assert KEY not in keystore.read_text()
    node = load_node({}, created["settings"])
    folder = Path.cwd()
    assert node.keystore is not None
    assert node.keystore.resolve() == folder / "node/signer.json"
    assert node.heldout_records is not None
    assert node.heldout_records.resolve() == folder / "h.jsonl"
    assert node.data_dir.resolve() == folder / "node/data"


def test_init_uses_an_existing_keystore(covey: Covey) -> None:
    create_keystore(Path("mine.json"), "another", key=bytes.fromhex(KEY), iterations=1 << 10)
    created = covey("init", "node", "--keystore", "mine.json", "--json").json
    assert (created["signer"], created["keystore"]) == (ADDRESS, "mine.json")
    assert not Path("node/signer.json").exists()
    refused = covey("init", "other", "--keystore", "mine.json", "--import-key", "mine.json")
    assert refused.code == 2
    assert not Path("other").exists()


def test_init_overwrites_no_file(covey: Covey) -> None:
    assert covey("init", "node").code == 0
    before = {path: path.read_bytes() for path in Path("node").iterdir()}
    again = covey("init", "node")
    assert again.code == 2
    assert "never overwritten" in again.err
    assert {path: path.read_bytes() for path in Path("node").iterdir()} == before


def test_init_rejects_a_short_password(covey: Covey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "short")
    refused = covey("init", "node")
    assert refused.code == 2
    assert "at least 8" in refused.err
    assert not Path("node").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("file", "file is a file: choose another folder"),
        ("node --import-key wrong.hex", "wrong.hex: not a private key"),
        ("node --import-key wrong.hex --remote-signer clef:http://127.0.0.1:1", "cannot be combined"),
    ],
)
def test_init_rejects_input_before_writing(covey: Covey, arguments: str, message: str) -> None:
    Path("file").write_text("")
    Path("wrong.hex").write_text("12")
    refused = covey("init", *arguments.split())
    assert (refused.code, message in refused.err) == (2, True), refused.err
    assert not Path("node").exists()


def test_init_shows_the_next_steps(covey: Covey) -> None:
    shown = covey("init", "node").out
    assert "covey check --config node/covey.toml" in shown
    assert "covey run --config node/covey.toml" in shown
