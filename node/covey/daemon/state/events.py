"""The part of an event that folding needs, and the errors of an event stream with gaps or forged events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from covey.chain.errors import Unreachable

Args = Mapping[str, Any]
"""Arguments of an event by name, as the ABI names them."""


class EventLike(Protocol):
    """An event, from the follower, the journal or a test."""

    @property
    def contract(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def args(self) -> Args: ...


class MissingState(LookupError):
    """A committee, appeal or page is used before the event that creates it."""


class EventMissing(Unreachable):
    """An event does not follow from the events before it: an endpoint omitted one, or forged one."""

    def __init__(self, name: str, task: int) -> None:
        super().__init__(f"{name} of task {task} does not follow from the events before it")
        self.task = task


def bytes_of(value: str) -> bytes:
    """Decode 0x-prefixed hex, the form in which events carry bytes."""
    return bytes.fromhex(value[2:])
