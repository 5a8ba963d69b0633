"""Bad input to every command: exit code 2, one clear line, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from covey.cli.main import main

ADDRESS = "0x" + "ab" * 20
CHECKSUM_BROKEN = "0x" + "aB" * 20
SPEC = {"version": 1}
NODE = "--role trainer --keystore k --rpc-urls http://x --deployment d --data-dir data"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder and home, and no COVEY_ variable."""
    import os

    for name in [name for name in os.environ if name.startswith("COVEY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


CASES: list[tuple[str, str]] = [
    ("no-such-command", "No such command"),
    ("--no-such-option", "No such option"),
    # init
    ("init node --role juggler", "'trainer' or 'validator'"),
    ("init node --operator 0x12", "'0x12' is not an address"),
    ("init node --import-key missing.key", "cannot read the private key missing.key"),
    ("init node --password-file missing", "password_file missing: No such file"),
    ("init node", "no password"),
    # check, run, status
    ("check --config missing.toml", "missing.toml: no such settings file"),
    ("run --config missing.toml", "missing.toml: no such settings file"),
    ("run", "roles is not set"),
    ("run --role trainer", "rpc_urls is not set"),
    (f"run {NODE}", "needs training_records"),
    (f"run --role nobody {NODE}", "--roles: "),
    (f"run --worker-threads many {NODE}", "--worker-threads: "),
    (f"run --policy-max-fee -3CVY {NODE}", "--policy-max-fee: "),
    # tasks
    ("task create missing.json", "cannot read the spec missing.json"),
    ("task create bad.json", "bad.json: "),
    ("task create short.json", "short.json: task spec"),
    ("task create short.json --bounty lots", "--bounty: 'lots' is not an amount"),
    ("task create", "Missing argument"),
    ("task list", "no deployment"),
    ("task list --deployment .", "no chain"),
    ("task list --deployment empty --rpc-urls http://127.0.0.1:1", "no deployment records"),
    ("task show", "Missing argument"),
    ("task show zero", "valid integer"),
    ("task show 0", "greater than or equal to 1"),
    # stake
    ("stake 10", "'10' has no unit"),
    ("stake tenCVY", "is not an amount"),
    ("stake 0CVY", "must be greater than 0"),
    ("stake 1.0000000000000000001CVY", "finer than one wei"),
    ("stake 10CVY", "no deployment"),
    ("stake 10CVY --commission-bps 20000", "less than or equal to 10000"),
    (f"delegate {ADDRESS} 5", "'5' has no unit"),
    ("delegate 0x123 5CVY", "'0x123' is not an address"),
    (f"delegate {CHECKSUM_BROKEN} 5CVY", "wrong checksum"),
    (f"delegate {ADDRESS} 5CVY", "no deployment"),
    ("undelegate nobody all", "'nobody' is not an address"),
    (f"undelegate {ADDRESS} some", "is not an amount"),
    (f"undelegate {ADDRESS} all", "no deployment"),
    ("withdraw -1", "No such option"),
    ("withdraw one", "valid integer"),
    ("withdraw", "no deployment"),
    ("claim 0", "greater than or equal to 1"),
    ("claim", "no deployment"),
    ("enrol", "Missing argument"),
    ("enrol 1 5", "'5' has no unit"),
    ("enrol 1 5CVY", "no deployment"),
    # explain, devnet, demo
    ("explain", "Missing argument"),
    ("explain 1", "no deployment"),
    ("audit bytecode", "no deployment"),
    ("audit bytecode --deployment .", "no chain"),
    ("audit bytecode --deployment empty --rpc-urls http://127.0.0.1:1", "no deployment records"),
    ("audit replay", "no deployment"),
    ("audit replay 0", "greater than or equal to 1"),
    ("devnet --port 99999", "--port: "),
    ("devnet --accounts 0", "--accounts: "),
    ("devnet --block-time soon", "--block-time: "),
    ("demo --validators 2", "greater than or equal to 3"),
    ("demo --validators 99", "less than or equal to 9"),
    ("demo --seed -1", "greater than or equal to 0"),
    ("demo --seed x", "valid integer"),
]


@pytest.mark.parametrize(("line", "told"), CASES, ids=[line for line, _ in CASES])
def test_bad_input(line: str, told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    here = Path.cwd()
    (here / "bad.json").write_text("{not json")
    (here / "short.json").write_text(json.dumps(SPEC))
    before = sorted(tmp_path.rglob("*"))
    assert main(line.split()) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.err.count("\n") == 1, "one line"
    assert shown.err.startswith("covey: ")
    assert "Traceback" not in shown.err
    assert shown.out == ""
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


def test_demo_leaves_a_foreign_folder_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert main(["demo", "--out", str(mine)]) == 2
    assert "is not empty and not from an earlier run" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_demo_says_what_to_do_about_an_unknown_base(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", "--base", "no-such-base", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "no base model 'no-such-base'" in error
    assert "an existing folder" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.daemon
def test_status_without_a_node_or_a_chain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--health-listen", "127.0.0.1:1"]) == 2
    assert "nothing to show: no node answers, and no chain is configured" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["file", "key", "table"])
def test_bad_settings_file_is_named(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = {"file": "roles = [", "key": "rolls = ['trainer']", "table": "[demo]\nsed = 3"}[kind]
    Path("covey.toml").write_text(text)
    assert main(["status"]) == 2
    error = capsys.readouterr().err
    assert "covey.toml" in error
    assert {"file": "not valid TOML", "key": "'roles'", "table": "'demo.seed'"}[kind] in error
