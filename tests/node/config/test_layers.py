"""Loading settings: precedence of sources, one-line errors, relative paths, other models' tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from covey.config.errors import ConfigError
from covey.config.layers import load
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
