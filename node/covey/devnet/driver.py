"""Drives a task on a local network: waits until all nodes have acted, then advances chain time to the window's end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from covey.audit.chain import Chain
from covey.audit.record import RoundRecord, TaskRecord, gather
from covey.audit.rules import HashDomain, rule, seats_of
from covey.chain.events.decoder import Event
from covey.devnet.anvil import Anvil
from covey.devnet.errors import DevnetError
from covey.protocol.types import Outcome

POLL_S = 0.2
REVEALED = "entries are revealed"
STALL_TIMEOUT_S = 3_600.0
"""Time without progress after which the driver gives up; a real base on a slow machine trains for long."""
QUIET_STALL_TIMEOUT_S = 120.0
"""The same for steps without training and scoring."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the task.

    `count` returns (done, total) in units of `unit`, from the chain's events. When all is done, chain time advances to
    `until`, if given. `slow` steps include training or scoring.
    """

    name: str
    unit: str
    count: Callable[[TaskRecord], tuple[int, int]]
    until: Callable[[TaskRecord], int] | None = None
    slow: bool = False


@dataclass(slots=True)
class TaskWatcher:
    """Collects one task's events, and advances chain time."""

    chain: Chain
    anvil: Anvil
    task: int
    skipped_s: int = 0
    events: list[Event] = field(default_factory=list)
    _next: int = 0

    def record(self) -> TaskRecord:
        """The task as of the newest block."""
        first = self._next or self.chain.deployment.start_block
        last = self.chain.rpc.block_number()
        if last >= first:
            self.events += self.chain.events_from(first, last)
            self._next = last + 1
        return gather(self.events)[self.task]

    def jump(self, until: int) -> None:
        """Advance chain time to `until`."""
        self.skipped_s += self.anvil.jump_to(until)


def steps(entrants: int, validators: int, domain: HashDomain) -> Iterator[Step]:
    """The steps of an arena task in which every operator acts."""
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
    yield Step("validators score", "rows committed", partial(_answers, domain), _commit_end, slow=True)
    yield Step("scores are revealed", "rows revealed", _reveals)
    yield Step("the task is settled", "tasks ended", lambda t: (1 if t.ended is not None else 0, 1))


def claims(watch: TaskWatcher) -> Step:
    """The last step: all rewards are claimed."""
    ruling = rule(watch.record(), watch.chain.domain)
    lanes = {entry.lane for entry in ruling.entries if entry.reward}
    rows = {row.operator for row in ruling.rows if row.reward}

    def count(task: TaskRecord) -> tuple[int, int]:
        paid = {int(args["lane"]) for args, _ in task.entry_claims} & lanes
        scored = {str(args["operator"]) for args, _ in task.scoring_claims} & rows
        return len(paid) + len(scored), len(lanes) + len(rows)

    return Step("rewards are claimed", "rewards claimed", count)


def run_step(
    watch: TaskWatcher, step: Step, check_alive: Callable[[], None], report: Callable[[int, int], None]
) -> TaskRecord:
    """Wait until a step is done, then advance chain time.

    Args:
        check_alive: raises if a required process has exited.
        report: called with (done, total) at every poll.

    Raises:
        DevnetError: the task ended with another outcome, or made no progress for too long.
    """
    timeout = STALL_TIMEOUT_S if step.slow else QUIET_STALL_TIMEOUT_S
    last_progress, before = time.monotonic(), -1
    while True:
        record = watch.record()
        done, total = step.count(record)
        report(done, total)
        if record.ended is not None and Outcome(int(record.ended["outcome"])) != Outcome.PAID:
            outcome = Outcome(int(record.ended["outcome"])).name.lower()
            raise DevnetError(f"the task ended as {outcome} while the driver waited for: {step.name}")
        if done >= total:
            break
        if record.last_round is not None and record.last_round.fixed is None:
            watch.anvil.mine()  # the seed is the randomness of a later block
        if done != before:
            last_progress, before = time.monotonic(), done
        if time.monotonic() - last_progress > timeout:
            raise DevnetError(f"no progress for {timeout:.0f} s while {step.name}: {done} of {total} {step.unit}")
        check_alive()
        time.sleep(POLL_S)
    if step.until is not None:
        watch.jump(step.until(record))
    return record


def _round(task: TaskRecord) -> RoundRecord:
    if task.last_round is None:
        raise DevnetError(f"task {task.id} has no committee")
    return task.last_round


def _fixed(task: TaskRecord) -> bool:
    return task.last_round is not None and task.last_round.fixed is not None


def _answers(domain: HashDomain, task: TaskRecord) -> tuple[int, int]:
    """Committed rows and abstentions, of the number of operators with a seat."""
    round_ = _round(task)
    seated = sum(seats_of(task, round_, domain, str(args["operator"])) > 0 for args in task.enrolled)
    return len(round_.committed) + len(round_.abstained), seated


def _commit_end(task: TaskRecord) -> int:
    round_ = _round(task)
    if round_.fixed is None:
        raise DevnetError(f"task {task.id}: its seed is not fixed")
    return int(round_.fixed["scoreCommitEnd"])


def _reveals(task: TaskRecord) -> tuple[int, int]:
    round_ = _round(task)
    return len(round_.revealed), len(round_.committed)
