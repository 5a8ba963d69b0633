"""Isolation and a runner for tests of the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.cli.command_line import Covey, runner


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder and home, and an environment without settings and passwords."""
    for name in list(os.environ):
        if name.startswith("COVEY_") and not name.startswith("COVEY_REQUIRE_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def covey(capsys: pytest.CaptureFixture[str]) -> Covey:
    """Runs a command line in this process."""
    return runner(capsys)
