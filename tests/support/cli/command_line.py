"""Runs command lines in the test's process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from covey.cli.main import main


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one command line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


Covey = Callable[..., Outcome]
"""Runs a command line: `covey("task", "list")`."""


def runner(capsys: pytest.CaptureFixture[str]) -> Covey:
    """A function that runs a command line and captures its output."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(list(arguments))
        shown = capsys.readouterr()
        return Outcome(code, shown.out, shown.err)

    return run
