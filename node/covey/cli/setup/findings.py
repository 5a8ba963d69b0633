"""Results of checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from covey.cli.errors import CliError
from covey.client.errors import ClientError

State = Literal["ok", "failed", "not set"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check, with a message of one line."""

    check: str
    state: State
    message: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


class CheckFailed(CliError):
    """A check failed. The message says what is wrong and how to fix it."""


def perform(name: str, check: Callable[[], str | None]) -> Finding:
    """Run a check. It returns a message, or None for something that is not configured, and raises on failure."""
    try:
        message = check()
    except (CliError, ClientError) as error:
        return Finding(name, "failed", str(error))
    if message is None:
        return Finding(name, "not set", "not configured")
    return Finding(name, "ok", message)
