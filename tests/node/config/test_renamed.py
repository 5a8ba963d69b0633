"""Former names of settings: an error that gives the new name, in every source."""

from __future__ import annotations

from pathlib import Path

import pytest

from covey.cli.main import main
from covey.config.errors import ConfigError
from covey.config.node import NodeConfig
from covey.config.renamed import RENAMED, renamed_flag
from covey.config.schema import environment_name, flag_name, flag_of, leaves

NAMES = pytest.mark.parametrize(("former", "new"), RENAMED.items())


def key_of(dotted: str) -> tuple[str, ...]:
    return tuple(dotted.split("."))


@NAMES
def test_new_name_exists_and_former_name_does_not(former: str, new: str) -> None:
    known = {key for key, _ in leaves(NodeConfig)}
    assert key_of(new) in known
    assert key_of(former) not in known


@NAMES
def test_former_key_in_file_gives_new_name(former: str, new: str, tmp_path: Path) -> None:
    *table, name = key_of(former)
    file = tmp_path / "covey.toml"
    file.write_text("".join(f"[{part}]\n" for part in table) + f"{name} = 1\n")
    with pytest.raises(ConfigError) as caught:
        NodeConfig.load(environ={}, file=file)
    assert str(caught.value) == f"{file}: key {former} was renamed to {new}"


@NAMES
def test_former_environment_variable_gives_new_name(former: str, new: str) -> None:
    name = environment_name(key_of(former))
    with pytest.raises(ConfigError) as caught:
        NodeConfig.load(environ={name: "1"})
    assert str(caught.value) == f"environment variable {name} was renamed to {environment_name(key_of(new))}"


@NAMES
def test_former_flag_gives_new_name(former: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    flag, new_flag = flag_of(key_of(former)), flag_of(key_of(new))
    with pytest.raises(ConfigError, match=f"^{flag} was renamed to {new_flag}$"):
        NodeConfig.load(flags={flag_name(key_of(former)): "1"}, environ={})
    assert main(["run", flag, "1"]) == 2
    assert capsys.readouterr().err == f"covey: {flag} was renamed to {new_flag}\n"


def test_other_flags_are_not_renamed() -> None:
    assert renamed_flag("--no-such-flag") is None
    assert renamed_flag("") is None


@pytest.mark.parametrize("command", [["status"], ["run"], ["task", "list"]])
def test_commands_report_a_former_key(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "covey.toml"
    file.write_text("poll_seconds = 1\n")
    assert main([*command, "--config", str(file)]) == 2
    assert capsys.readouterr().err == f"covey: {file}: key poll_seconds was renamed to poll_interval_seconds\n"
