"""Loading settings: precedence of sources, one-line errors, relative paths, other models' tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from covey.config.commands import CommandSettings
from covey.config.errors import ConfigError
from covey.config.layers import load
from covey.config.node import NodeConfig
from covey.config.shared import SettingsGroup


class Limits(SettingsGroup):
    most: int = Field(5, ge=1)
    names: tuple[str, ...] = ()


class Model(BaseModel):
    """A small model with each kind of setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int
    second: str
    folder: Path = Path("default")
    files: tuple[Path, ...] = ()
    limits: Limits = Limits()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text('first = 1\nsecond = "file"\n[limits]\nmost = 2\n', encoding="utf-8")
    return path


def test_flag_overrides_variable_overrides_file(file: Path) -> None:
    environ = {"COVEY_SECOND": "variable", "COVEY_LIMITS_MOST": "3", "COVEY_LIMITS_NAMES": "a, b,"}
    loaded = load(Model, flags={"limits_most": 4, "second": None}, environ=environ, file=file)
    assert (loaded.first, loaded.second, loaded.limits.most) == (1, "variable", 4)
    assert loaded.limits.names == ("a", "b")
    assert load(Model, environ={}, file=file).limits.most == 2


def test_empty_variable_counts_as_unset(file: Path) -> None:
    assert load(Model, environ={"COVEY_LIMITS_MOST": ""}, file=file).limits.most == 2


def test_relative_paths_of_the_file_start_at_its_folder(file: Path) -> None:
    file.write_text('first = 1\nsecond = "s"\nfolder = "here"\nfiles = ["a", "/b"]\n')
    loaded = load(Model, environ={}, file=file)
    assert loaded.folder == file.parent / "here"
    assert loaded.files == (file.parent / "a", Path("/b"))
    assert load(Model, flags={"folder": "there"}, environ={}, file=file).folder == Path("there")


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ({"limits_mots": 4}, {}, "unknown setting 'limits_mots'; did you mean 'limits_most'?"),
        ({"limits_most": 0}, {}, "--limits-most: Input should be greater than or equal to 1"),
        ({}, {"COVEY_LIMITS_MOST": "many"}, "environment variable COVEY_LIMITS_MOST: Input should be a valid integer"),
    ],
)
def test_error_names_the_source(file: Path, flags: dict[str, object], environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Model, flags=flags, environ=environ, file=file)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_first_missing_setting_is_reported_with_all_its_sources() -> None:
    with pytest.raises(ConfigError) as caught:
        load(Model, environ={})
    assert str(caught.value) == "first is not set: give --first, COVEY_FIRST or the key first"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first = ", "not valid TOML"),
        ("[limits]\nmots = 1", "unknown key 'limits.mots'; did you mean 'limits.most'?"),
        ("[other]\nvalue = 1", "unknown key 'other'"),
        ("first = 1\nsecond = 2", "key second: Input should be a valid string"),
    ],
)
def test_invalid_file_is_rejected(file: Path, text: str, message: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(Model, environ={}, file=file)
    assert str(caught.value).startswith(f"{file}: {message}")


def test_missing_or_unreadable_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(Model, environ={}, file=tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(Model, environ={}, file=tmp_path)


def test_tables_of_other_models_are_ignored(file: Path) -> None:
    file.write_text(file.read_text() + "[task]\nbounty = 1\n")
    assert load(Model, environ={}, file=file, other_tables=frozenset({"task"})).limits.most == 2


# ---------------------------------------------------------------------- paths, marks, units


@pytest.mark.parametrize("source", ["file", "variable", "flag"])
@pytest.mark.parametrize("home", [True, False])
def test_paths_mean_the_same_in_every_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, home: bool
) -> None:
    """A relative path starts at the settings file, or at the working folder; ``~`` is the home folder in all."""
    start = tmp_path / "home" if home else tmp_path
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    lead = "~/" if home else ""
    given = {
        "data_dir": f"{lead}d",
        "deployment": f"{lead}deployments/1",
        "store": f"{lead}blocks",
        "executor": f"unix:{lead}run/workers.sock",
        "rpc_urls": f"{lead or './'}geth.ipc",
        "bases": f"{lead or './'}models/tiny",
        "remote_signer": f"clef:{lead or './'}clef.ipc",
        "training_records": f"{lead}records.jsonl",
        "roles": "trainer",
    }
    lists = ("rpc_urls", "bases", "roles")
    file, flags, environ = None, {}, {}
    if source == "file":
        file = tmp_path / "covey.toml"
        lines = [f"{name} = {json.dumps([value] if name in lists else value)}\n" for name, value in given.items()]
        file.write_text("".join(lines), encoding="utf-8")
    elif source == "variable":
        environ = {f"COVEY_{name.upper()}": value for name, value in given.items()}
    else:
        flags = {name: [value] if name in lists else value for name, value in given.items()}
    config = NodeConfig.load(flags=flags, environ=environ, file=file)
    assert config.data_dir.absolute() == start / "d"
    assert config.deployment.absolute() == start / "deployments" / "1"
    assert config.store == str(start / "blocks")
    assert config.executor == f"unix:{start}/run/workers.sock"
    assert config.rpc_urls == (str(start / "geth.ipc"),)
    assert config.bases == (str(start / "models" / "tiny"),)
    assert config.remote_signer == f"clef:{start}/clef.ipc"


def test_text_that_is_no_path_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "covey.toml"
    file.write_text(
        'roles = ["trainer"]\nrpc_urls = ["http://127.0.0.1:8545", "ws://[::1]:8546/x"]\n'
        'store = "/ip4/127.0.0.1/tcp/5001"\n'
        'bases = ["tiny", "Qwen/Qwen2.5-0.5B"]\nremote_signer = "web3signer:http://127.0.0.1:9000"\n'
        'deployment = "d"\ndata_dir = "d"\ntraining_records = "r"\n',
        encoding="utf-8",
    )
    config = NodeConfig.load(environ={}, file=file)
    assert config.rpc_urls == ("http://127.0.0.1:8545", "ws://[::1]:8546/x")
    assert config.bases == ("tiny", "Qwen/Qwen2.5-0.5B")
    assert (config.store, config.executor) == ("/ip4/127.0.0.1/tcp/5001", "subprocess")
    assert config.remote_signer == "web3signer:http://127.0.0.1:9000"


@pytest.mark.parametrize("name", ["data_dir", "store", "keystore"])
def test_unknown_home_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(ConfigError, match=f"COVEY_{name.upper()}: no home folder for ~/x: set HOME"):
        load(CommandSettings, environ={f"COVEY_{name.upper()}": "~/x"})


def test_byte_order_mark_of_a_settings_file_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "covey.toml"
    file.write_bytes(b"\xef\xbb\xbf" + b'rpc_urls = ["http://127.0.0.1:1"]\n')
    assert load(CommandSettings, environ={}, file=file).rpc_urls == ("http://127.0.0.1:1",)


@pytest.mark.parametrize("content", ["x = 1".encode("utf-16"), b"\xff", b"a = " + b"[" * 50_000])
def test_unreadable_settings_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "covey.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"covey\.toml: not"):
        load(CommandSettings, environ={}, file=file)


@pytest.mark.parametrize(
    "line", ["max_gas_price = 5", "max_priority_fee = 1.5", "task.entry_fee = 1", "task.bounty = 1000", "task.bond = 7"]
)
def test_bare_number_for_an_amount_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "covey.toml"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(ConfigError, match="has no unit: write"):
        load(CommandSettings, environ={}, file=file)


@pytest.mark.parametrize("name", ["task_entry_fee", "task_bounty", "task_bond", "task_min_stake", "max_gas_price"])
@pytest.mark.parametrize("text", ["1", "1.5", " 20 "])
def test_amount_without_unit_is_refused_in_flags_and_variables(name: str, text: str) -> None:
    sources: list[tuple[dict[str, object], dict[str, str]]] = [
        ({name: text}, {}),
        ({}, {f"COVEY_{name.upper()}": text}),
    ]
    for flags, environ in sources:
        with pytest.raises(ConfigError, match="has no unit: write"):
            load(CommandSettings, flags=flags, environ=environ)


WRONG_CHECKSUM = "0x195252803B0fEba9602419dd4727bB06D1C9B7d8"


@pytest.mark.parametrize("name", ["operator", "signer_address", "stake_signer", "stake_reward_address"])
def test_wrong_checksum_is_refused_in_every_setting(name: str) -> None:
    with pytest.raises(ConfigError, match="wrong checksum"):
        load(CommandSettings, flags={name: WRONG_CHECKSUM}, environ={})
    for right in (WRONG_CHECKSUM.lower(), "0x" + WRONG_CHECKSUM[2:].upper()):
        load(CommandSettings, flags={name: right}, environ={})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999/v3/SECRET", "host/v3/SECRET", "http://u:SE#CRET@host", "ftp://SECRET"]
)
def test_unusable_endpoint_is_refused_without_its_key(url: str) -> None:
    sources: list[tuple[dict[str, object], dict[str, str]]] = [({"rpc_urls": [url]}, {}), ({}, {"COVEY_RPC_URLS": url})]
    for flags, environ in sources:
        with pytest.raises(ConfigError, match="not an RPC address") as raised:
            load(CommandSettings, flags=flags, environ=environ)
        assert "CRET" not in str(raised.value)
