"""Settings: flag before environment before file, for commands and for the node; what `covey init` writes reads back."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import typer

from covey.cli.main import main
from covey.cli.settings import Settings, load_node, load_settings, with_settings
from covey.config.node import CVY, NodeConfig

KEY = "11" * 32


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("COVEY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("file", "variable", "flag", "seed"),
    [
        (None, None, None, 7),
        ("1", None, None, 1),
        ("1", "2", None, 2),
        ("1", "2", "3", 3),
        (None, None, "3", 3),
        ("1", None, "3", 3),
    ],
)
def test_flag_before_environment_before_file(
    file: str | None, variable: str | None, flag: str | None, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if file:
        Path("covey.toml").write_text(f"[demo]\nseed = {file}\n")
    if variable:
        monkeypatch.setenv("COVEY_DEMO_SEED", variable)
    seen: list[int] = []

    @with_settings(table="demo")
    def command(*, settings: Settings) -> None:
        seen.append(settings.demo.seed)

    app = typer.Typer()
    app.command()(command)
    app(args=["--seed", flag] if flag else [], standalone_mode=False)
    assert seen == [seed]


def test_one_file_serves_node_and_commands() -> None:
    Path("covey.toml").write_text(
        'roles = ["trainer"]\nkeystore = "k.json"\nrpc_urls = ["http://a", "http://b"]\n'
        'deployment = "d"\ndata_dir = "data"\n'
        'training_records = "t.jsonl"\nworker_threads = 3\nowner_keystore = "cold.json"\n'
        '[policy]\nmax_fee = "5 CVY"\n[demo]\nseed = 9\n[task]\nbounty = "70 CVY"\n'
    )
    here = Path.cwd()
    node, settings = load_node({}, None), load_settings({}, None)
    assert (node.worker_threads, node.policy.max_fee, node.keystore.resolve()) == (3, 5 * CVY, here / "k.json")
    assert (settings.demo.seed, settings.task.bounty) == (9, 70 * CVY)
    assert settings.owner_keystore is not None
    assert settings.owner_keystore.resolve() == here / "cold.json"
    assert settings.rpc_urls == node.rpc_urls == ("http://a", "http://b")


@pytest.mark.parametrize("where", ["flag", "variable", "here", "home"])
def test_settings_file_is_found(where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = {"here": tmp_path / "covey.toml", "home": tmp_path / "home/.covey/covey.toml"}
    for seed, path in enumerate([tmp_path / "flag.toml", tmp_path / "variable.toml", *places.values()]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[demo]\nseed = {seed}\n")
    order = ["flag", "variable", "here", "home"]
    if where in ("flag", "variable"):
        monkeypatch.setenv("COVEY_CONFIG", "variable.toml")
    if where == "home":
        places["here"].unlink()
    assert load_settings({}, "flag.toml" if where == "flag" else None).demo.seed == order.index(where)


def test_init_writes_a_private_key_and_settings_that_read_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "correct horse")
    Path("key.hex").write_text(KEY)
    Path("d").mkdir()
    line = "init node --role validator --heldout-records h.jsonl --rpc-urls http://a --deployment d"
    assert main([*line.split(), "--import-key", "key.hex", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["signer"] == "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    keystore = Path(made["keystore"])
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    assert KEY not in keystore.read_text()
    node = load_node({}, made["settings"])
    assert Path(node.keystore or "").resolve() == Path.cwd() / "node/signer.json"
    assert Path(node.heldout_records or "").resolve() == Path.cwd() / "h.jsonl"
    assert Path(node.data_dir or "").resolve() == Path.cwd() / "node/data"
    text = Path(made["settings"]).read_text()
    assert all(f"{name} =" in text for name in NodeConfig.model_fields if name != "policy"), "every key is there"
    assert all(f"{name} =" in text for name in type(node.policy).model_fields)


def test_init_overwrites_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "correct horse")
    assert main(["init", "node"]) == 0
    before = {path: path.read_bytes() for path in Path("node").iterdir()}
    assert main(["init", "node"]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("node").iterdir()} == before


def test_init_refuses_a_short_password(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "short")
    assert main(["init", "node"]) == 2
    assert "at least 8" in capsys.readouterr().err
    assert not Path("node").exists()


def test_check_works_without_any_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json"]) == 0
    found = {one["check"]: one["state"] for one in json.loads(capsys.readouterr().out)}
    assert found["contracts"] == found["tiny base"] == found["libraries"] == "ok"
    assert found["settings"] == found["chain"] == found["keystore"] == "not set"


def test_check_names_what_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "correct horse")
    assert main(["init", "node", "--heldout-records", "h.jsonl"]) == 0
    Path("h.jsonl").write_text('{"text": "a", "stratum": "s"}\n{"text": "b"}\n')
    Path("node/signer.json").chmod(0o644)
    capsys.readouterr()
    assert main(["check", "--config", "node/covey.toml", "--json"]) == 1
    shown = capsys.readouterr()
    found = {one["check"]: one["message"] for one in json.loads(shown.out) if one["state"] == "failed"}
    assert set(found) == {"keystore", "held-out records"}
    assert "chmod 600" in found["keystore"]
    assert "h.jsonl:2" in found["held-out records"]
    assert "2 of" in shown.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('min_free_disk = "lots"', "key min_free_disk"),
        ("rpc_quorum = -1", "rpc_quorum"),
    ],
)
def test_check_refuses_what_a_node_would(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "correct horse")
    assert main(["init", "node"]) == 0
    file = Path("node/covey.toml")
    file.write_text(f"{line}\n{file.read_text()}")
    capsys.readouterr()
    assert main(["check", "--config", str(file), "--json"]) == 1
    found = {one["check"]: one["message"] for one in json.loads(capsys.readouterr().out) if one["state"] == "failed"}
    assert told in found["settings"]


def test_start_up_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = ("torch", "web3", "transformers", "rich.table")
    code = f"import sys, covey.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
