"""Options of commands: precedence of sources, the settings file, one file for node and commands."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from covey.chain.units import CVY
from covey.cli.errors import InputError
from covey.cli.settings import Settings, load_node, load_settings, with_settings


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
def test_flag_overrides_variable_overrides_file(
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


def test_error_names_the_flag_without_its_table() -> None:
    @with_settings(table="demo")
    def command(*, settings: Settings) -> None:
        raise AssertionError("not reached")

    app = typer.Typer()
    app.command()(command)
    with pytest.raises(InputError, match=r"^--seed: "):
        app(args=["--seed", "x"], standalone_mode=False)


def test_repeated_and_boolean_options_reach_the_settings() -> None:
    seen: list[Settings] = []

    @with_settings("peers", "store_token_in_clear", "roles")
    def command(*, settings: Settings) -> None:
        seen.append(settings)

    app = typer.Typer()
    app.command()(command)
    app(args=["--peers", "a", "--peers", "b", "--store-token-in-clear", "--role", "trainer"], standalone_mode=False)
    app(args=["--no-store-token-in-clear"], standalone_mode=False)
    assert (seen[0].peers, seen[0].store_token_in_clear, seen[0].roles) == (("a", "b"), True, ("trainer",))
    assert (seen[1].peers, seen[1].store_token_in_clear, seen[1].roles) == ((), False, ())


def test_one_file_serves_node_and_commands() -> None:
    Path("covey.toml").write_text(
        'roles = ["trainer"]\nkeystore = "k.json"\nrpc_urls = ["http://a", "http://b"]\n'
        'deployment = "d"\ndata_dir = "data"\n'
        'training_records = "t.jsonl"\nworker_threads = 3\nowner_keystore = "cold.json"\n'
        '[policy]\nmax_fee = "5 CVY"\n[demo]\nseed = 9\n[task]\nbounty = "70 CVY"\n'
    )
    folder = Path.cwd()
    node, settings = load_node({}, None), load_settings({}, None)
    assert (node.worker_threads, node.policy.max_fee) == (3, 5 * CVY)
    assert node.keystore is not None
    assert node.keystore.resolve() == folder / "k.json"
    assert (settings.demo.seed, settings.task.bounty) == (9, 70 * CVY)
    assert settings.owner_keystore is not None
    assert settings.owner_keystore.resolve() == folder / "cold.json"
    assert settings.rpc_urls == node.rpc_urls == ("http://a", "http://b")


@pytest.mark.parametrize("source", ["flag", "variable", "working folder", "home"])
def test_settings_file_is_found(source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {
        "flag": Path("flag.toml"),
        "variable": Path("variable.toml"),
        "working folder": Path("covey.toml"),
        "home": tmp_path / "home/.covey/covey.toml",
    }
    for seed, path in enumerate(files.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[demo]\nseed = {seed}\n")
    if source in ("flag", "variable"):
        monkeypatch.setenv("COVEY_CONFIG", "variable.toml")
    if source == "home":
        files["working folder"].unlink()
    settings = load_settings({}, "flag.toml" if source == "flag" else None)
    assert settings.demo.seed == list(files).index(source)


@pytest.mark.parametrize("source", ["flag", "variable"])
def test_missing_settings_file_is_an_error(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_CONFIG", "none.toml")
    with pytest.raises(InputError, match=r"none\.toml: no such settings file; create one with `covey init`"):
        load_settings({}, "none.toml" if source == "flag" else None)
