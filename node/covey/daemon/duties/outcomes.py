"""Outcomes of advancing a duty."""

from __future__ import annotations

from dataclasses import dataclass

from covey.daemon.storage.journal import DutyStatus


@dataclass(frozen=True, slots=True)
class Waiting:
    """The duty is not done; advance it again in the next cycle. `reason` is for the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The duty ended locally without a trace on the chain, so the journal records it."""

    status: DutyStatus
    note: str


Step = Waiting | Ended
"""Outcome of advancing a duty. A duty that the chain shows as done is no longer planned, so it needs no outcome."""


def declined(note: str) -> Ended:
    return Ended(DutyStatus.DECLINED, note)


def given_up(note: str) -> Ended:
    return Ended(DutyStatus.GIVEN_UP, note)


def done(note: str) -> Ended:
    return Ended(DutyStatus.DONE, note)
