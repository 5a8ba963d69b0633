"""Bad input to every command: exit code 2, one line on standard error, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cli.command_line import Covey

ADDRESS = "0x" + "ab" * 20
WRONG_CHECKSUM = "0x" + "aB" * 20
SPEC = {"version": 1}
NODE = "--role trainer --keystore k --rpc-urls http://x --deployment d --data-dir data"


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
    (f"delegate {WRONG_CHECKSUM} 5CVY", "wrong checksum"),
    (f"delegate {ADDRESS} 5CVY", "no deployment"),
    ("undelegate nobody all", "'nobody' is not an address"),
    (f"undelegate {ADDRESS} some", "is not an amount"),
    (f"undelegate {ADDRESS} all", "no deployment"),
    ("withdraw -1", "No such option"),
    ("withdraw one", "is not an address"),
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


@pytest.mark.parametrize(("line", "message"), CASES, ids=[line for line, _ in CASES])
def test_bad_input_is_one_line_and_changes_nothing(line: str, message: str, covey: Covey, tmp_path: Path) -> None:
    Path("bad.json").write_text("{not json")
    Path("short.json").write_text(json.dumps(SPEC))
    before = sorted(tmp_path.rglob("*"))
    done = covey(*line.split())
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.startswith("covey: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_demo_leaves_an_unrelated_folder_unchanged(covey: Covey, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    done = covey("demo", "--out", str(folder))
    assert done.code == 2
    assert "is not empty and not from an earlier run" in done.err
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_demo_explains_an_unknown_base_model(covey: Covey, tmp_path: Path) -> None:
    done = covey("demo", "--base", "no-such-base", "--out", str(tmp_path / "out"))
    assert done.code == 2
    assert "no base model 'no-such-base'" in done.err
    assert "an existing folder" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.daemon
def test_status_without_a_node_or_a_chain(covey: Covey) -> None:
    done = covey("status", "--health-listen", "127.0.0.1:1")
    assert done.code == 2
    assert "nothing to show: no node answers, and no chain is configured" in done.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("roles = [", "not valid TOML"),
        ("rolls = ['trainer']", "unknown key 'rolls'; did you mean 'roles'?"),
        ("[demo]\nsed = 3", "unknown key 'demo.sed'; did you mean 'demo.seed'?"),
    ],
)
def test_invalid_settings_file_is_named(text: str, message: str, covey: Covey) -> None:
    Path("covey.toml").write_text(text)
    done = covey("status")
    assert done.code == 2
    assert done.err.startswith(f"covey: covey.toml: {message}")
