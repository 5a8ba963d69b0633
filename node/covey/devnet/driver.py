"""Drives a task on a local network: waits for everybody, then lets chain time pass to the end of the window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from covey.audit.chain import Chain
from covey.audit.record import TaskRecord, gather
from covey.audit.rules import HashDomain, rule, seats_of
from covey.chain.events.decoder import Event
from covey.devnet.anvil import Anvil
from covey.devnet.errors import DevnetError
from covey.protocol.types import Outcome

POLL_S = 0.2
REVEALED = "entries are revealed"
PATIENCE_S = 3_600.0
"""How long nothing may happen before the driver gives up; a real base on a slow machine trains for long."""
QUIET_PATIENCE_S = 120.0
"""The same for steps that need no training and no scoring."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the driver waits for: `done` of `total` counted on chain; then time jumps to `until` (None: no jump)."""

    name: str
    unit: str
    count: Callable[[TaskRecord], tuple[int, int]]
    until: Callable[[TaskRecord], int] | None = None
    slow: bool = False


@dataclass(slots=True)
class Watch:
    """One task's events so far."""

    chain: Chain
    anvil: Anvil
    task: int
    skipped_s: int = 0
    events: list[Event] = field(default_factory=list)
    _next: int = 0

    def record(self) -> TaskRecord:
        """The task after the newest block."""
        first = self._next or self.chain.deployment.start_block
        last = self.chain.rpc.block_number()
        if last >= first:
            self.events += self.chain.events_from(first, last)
            self._next = last + 1
        return gather(self.events)[self.task]

    def jump(self, until: int) -> None:
        """Let chain time pass to `until`."""
        self.skipped_s += self.anvil.jump_to(until)


def steps(entrants: int, validators: int, names: HashDomain) -> Iterator[Step]:
    """The steps of an arena task in which everybody acts."""
    yield Step(
        "trainers train", "entries committed", lambda t: (len(t.committed), entrants),
        lambda t: int(t.created["schedule"]["entryCommitEnd"]), slow=True,
    )  # fmt: skip
    yield Step(
        "validators enrol", "validators enrolled", lambda t: (len(t.enrolled), validators),
        lambda t: int(t.created["schedule"]["enrolEnd"]),
    )  # fmt: skip
    yield Step(
        REVEALED, "entries revealed", lambda t: (len(t.revealed), entrants),
        lambda t: int(t.created["schedule"]["entryRevealEnd"]),
    )  # fmt: skip
    yield Step("a seed is drawn", "seeds fixed", lambda t: (1 if _fixed(t) else 0, 1))
    yield Step("validators score", "rows committed", partial(_answers, names), _commit_end, slow=True)
    yield Step("scores are revealed", "rows revealed", _reveals)
    yield Step("the task is settled", "tasks ended", lambda t: (1 if t.ended is not None else 0, 1))


def claims(watch: Watch) -> Step:
    """The last step: everybody who earned something has claimed it."""
    ruling = rule(watch.record(), watch.chain.domain)
    lanes = {entry.lane for entry in ruling.entries if entry.reward}
    rows = {row.operator for row in ruling.rows if row.reward}

    def count(task: TaskRecord) -> tuple[int, int]:
        paid = {int(args["lane"]) for args, _ in task.entry_claims} & lanes
        scored = {str(args["operator"]) for args, _ in task.scoring_claims} & rows
        return len(paid) + len(scored), len(lanes) + len(rows)

    return Step("rewards are claimed", "rewards claimed", count)


def follow(watch: Watch, step: Step, alive: Callable[[], None], tell: Callable[[int, int], None]) -> TaskRecord:
    """Wait until a step is done, then jump.

    Args:
        alive: raises when a process that is needed has ended.
        tell: told (done, total) at every look.

    Raises:
        DevnetError: the task ended another way, or nothing moved for too long.
    """
    patience = PATIENCE_S if step.slow else QUIET_PATIENCE_S
    moved, before = time.monotonic(), -1
    while True:
        record = watch.record()
        done, total = step.count(record)
        tell(done, total)
        if record.ended is not None and Outcome(int(record.ended["outcome"])) != Outcome.PAID:
            outcome = Outcome(int(record.ended["outcome"])).name.lower()
            raise DevnetError(f"the task ended as {outcome} while the driver waited for: {step.name}")
        if done >= total:
            break
        if record.last_round is not None and record.last_round.fixed is None:
            watch.anvil.mine()  # the seed is the randomness of a block that must come first
        if done != before:
            moved, before = time.monotonic(), done
        if time.monotonic() - moved > patience:
            raise DevnetError(
                f"nothing has moved for {patience:.0f} s while {step.name}: {done} of {total} {step.unit}"
            )
        alive()
        time.sleep(POLL_S)
    if step.until is not None:
        watch.jump(step.until(record))
    return record


def _fixed(task: TaskRecord) -> bool:
    return task.last_round is not None and task.last_round.fixed is not None


def _answers(names: HashDomain, task: TaskRecord) -> tuple[int, int]:
    """Rows committed and abstentions, of the operators that the seed gave a seat."""
    round_ = task.last_round
    assert round_ is not None
    seated = sum(seats_of(task, round_, names, str(one["operator"])) > 0 for one in task.enrolled)
    return len(round_.committed) + len(round_.abstained), seated


def _commit_end(task: TaskRecord) -> int:
    assert task.last_round is not None
    assert task.last_round.fixed is not None
    return int(task.last_round.fixed["scoreCommitEnd"])


def _reveals(task: TaskRecord) -> tuple[int, int]:
    round_ = task.last_round
    assert round_ is not None
    return len(round_.revealed), len(round_.committed)
