"""When events are compared with the contracts, and what follows where they do not tell the whole truth.

Nothing is asked while this operator has no part in a running task. Where it has, its tasks are compared in every phase
and each sixth of the shortest window in which something is due, so that what was left out is found before a window's
last third. Without asking anybody, each look sees gaps in the numbers of tasks, events that cannot follow those before
them, and settled transactions of our own that left no event.

Events found wrong are forgotten back to before the task they are about, durably, and read again from other endpoints.
While no endpoint gives them all, what the contracts say is owed is done without them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial

from covey.chain.errors import ChainError, Disagreement
from covey.chain.events.decoder import EventReader
from covey.chain.events.follower import Checkpoint, Progress
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.quorum import quorum_read
from covey.chain.rpc.responses import Block
from covey.chain.tx.store import SqliteTxStore, TxRequest, TxStatus
from covey.daemon.assemble import Parts
from covey.daemon.context import log
from covey.daemon.integrity.crosscheck import (
    OnChainTaskState,
    differences,
    differences_in_all,
    gap,
    owed,
    share,
    standing,
)
from covey.daemon.monitoring.health import HealthState
from covey.daemon.planning.duty import Duty
from covey.daemon.state.pruning import has_part
from covey.daemon.state.world import ChainState, EventMissing, Task
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

STATE_KEPT = 100
"""Blocks below the head whose state any node has: full nodes keep 128."""
_SHARE = 6  # comparisons in the shortest of a task's windows
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 15.0, 600.0
"""Between two times that events are read again; doubled each time, from the start after four times the last pause."""
_OF_ALL = "events"


class EventResync:
    """Compares, and has events read again. Used by one thread."""

    def __init__(self, parts: Parts, health_state: HealthState) -> None:
        self._parts = parts
        self._vitals = health_state
        self._start = parts.context.contracts.deployment.start_block
        self._transactions = SqliteTxStore(parts.context.journal.db)
        self._reader = EventReader.of(parts.context.contracts.deployment)
        self._compared: dict[int, tuple[Phase, int]] = {}  # task -> phase, chain time
        self._standings: dict[int, OnChainTaskState] = {}  # of tasks in doubt
        self._compared_all = False
        self._seen: set[int] = set()  # requests whose events were seen
        self._missing: set[int] = set()  # and those whose were not
        self._problems: dict[str, str] = {}
        self._pause, self._next = 0.0, 0.0
        self._broken_ahead = False

    @property
    def problems(self) -> Mapping[str, str]:
        """What health tells: by what it is about, why events are not believed, or cannot be compared."""
        return self._problems

    def check(self, head: Block, progress: Progress, ahead: ChainState) -> bool:
        """Compare what is to be compared now. True where events were forgotten: look again before acting on any.

        Args:
            head: the chain's newest block.
            progress: of the follower; it must have caught up.
            ahead: all events up to the head.
        """
        self._broken_ahead = False
        settled, checkpoint = self._parts.log.world, progress.checkpoint
        if (missing := gap(settled)) is not None:
            return self._doubt(_OF_ALL, f"nothing was told of task {missing}", missing)
        if self._unseen(settled, checkpoint):
            return True
        if self._compared_all and not self._missing:
            self._problems.pop(_OF_ALL, None)
        at, world = checkpoint, settled
        if head.number - checkpoint.block > STATE_KEPT:  # finality is late, and old state may be gone
            at, world = Checkpoint(head.number, head.hash), ahead
            if self._parts.head.block != head.number:
                return False
        return self._compare(world, at)

    def owed(self, world: ChainState, now: int) -> list[Duty]:
        """What the contracts say is due of this operator in tasks whose events are in doubt."""
        standings = ((world.tasks[task], told) for task, told in self._standings.items() if task in world.tasks)
        return [duty for task, told in standings for duty in owed(task, told, now)]

    def missing(self, error: EventMissing, *, ahead: bool = False) -> None:
        """An event did not follow from those before it. Above the settled blocks (`ahead`) a reorganisation may be
        the reason, so there it must happen twice in a row."""
        if ahead and not self._broken_ahead:
            self._broken_ahead = True
            return
        self._doubt(_OF_ALL, str(error), error.task)

    # ------------------------------------------------------------------ own transactions

    def _unseen(self, world: ChainState, checkpoint: Checkpoint) -> bool:
        """Whether events were forgotten because some of a transaction of ours are missing."""
        ctx = self._parts.context
        for request in self._done(checkpoint.block):
            tx_hash, task, pause = request.tx_hash, int(request.key.split("/")[1]), f"receipt {request.id}"
            if not _may_run(world, task):
                self._seen.add(request.id)
            if tx_hash is None or request.id in self._seen or not ctx.backoff.ready(pause):
                continue
            ctx.backoff.failed(pause)
            try:
                told = quorum_read(ctx.contracts.rpc, partial(self._told, tx_hash))
            except ChainError as error:
                log.warning("a receipt cannot be read", extra={"hash": tx_hash, "reason": str(error)})
                continue
            if told is None or told[0] > checkpoint.block:
                continue  # undone, and perhaps mined again later
            if ctx.journal.log_indexes(told[0], tx_hash) != told[1]:
                self._missing.add(request.id)
                return self._doubt(
                    _OF_ALL, f"those of our own {request.key} in block {request.block} are not all there", task
                )
            self._missing.discard(request.id)
            self._seen.add(request.id)
            ctx.backoff.reset(pause)
        return False

    def _done(self, block: int) -> list[TxRequest]:
        """Settled successful requests up to a block whose events were not seen yet."""
        signer = self._parts.context.me.signer
        if self._transactions.count_by_status(signer)[TxStatus.DONE] == len(self._seen):
            return []
        return [request for request in self._transactions.done_requests(signer, block) if request.id not in self._seen]

    def _told(self, tx_hash: str, rpc: Rpc) -> tuple[int, set[int]] | None:
        """Block of a transaction, and the places in it of the events that it left; None where there is none such."""
        receipt = rpc.receipt(tx_hash)
        if receipt is None:
            return None
        return receipt.block, {event.log_index for event in self._reader.read_all(receipt.logs)}

    # ------------------------------------------------------------------ contracts

    def _compare(self, world: ChainState, at: Checkpoint) -> bool:
        if not self._compared_all and self._compare_all(world, at):
            return True
        for task in self._due(world):
            name = f"task {task.id}"
            if told := self._ask(name, at, task):
                return self._doubt(name, told, task.id)
        return False

    def _due(self, world: ChainState) -> Iterator[Task]:
        """Tasks to compare now."""
        ctx = self._parts.context
        for task in list(world.tasks.values()):
            if task.outcome != Outcome.RUNNING or not has_part(task, ctx.me.operator):
                self._forget(task.id)
            elif ctx.now >= task.schedule.enrol_end and ctx.backoff.ready(f"compare task {task.id}"):
                windows = task.params.windows
                period = min(windows.entry_reveal, windows.score_commit, windows.score_reveal) // _SHARE
                phase, last = self._compared.get(task.id, (None, 0))
                if phase != task.phase(ctx.now) or ctx.now - last >= period:
                    yield task

    def _forget(self, task: int) -> None:
        self._compared.pop(task, None)
        self._standings.pop(task, None)
        self._problems.pop(f"task {task}", None)

    def _ask(self, name: str, at: Checkpoint, task: Task) -> str:
        """How a task's events differ from the contracts; empty where they agree, or where it cannot be told now."""
        ctx = self._parts.context
        deployment, operator = ctx.contracts.deployment, ctx.me.operator
        try:
            told = quorum_read(
                ctx.contracts.rpc, lambda one: standing(one, deployment, task.id, operator), at=(at.block, at.hash)
            )
        except ChainError as error:
            self._unsure(name, error)
            return ""
        found = "; ".join(differences(task, ctx.me, told))
        if found:
            self._standings[task.id] = told
        else:
            self._standings.pop(task.id, None)
            ctx.backoff.reset(f"compare {name}")
            self._problems.pop(name, None)
            self._compared[task.id] = (task.phase(ctx.now), ctx.now)
        return found

    def _compare_all(self, world: ChainState, at: Checkpoint) -> bool:
        """Once after a start, and after all was read again."""
        ctx = self._parts.context
        if not ctx.backoff.ready(f"compare {_OF_ALL}"):
            return False
        deployment, operator = ctx.contracts.deployment, ctx.me.operator
        try:
            told = quorum_read(ctx.contracts.rpc, lambda one: share(one, deployment, operator), at=(at.block, at.hash))
        except ChainError as error:
            self._unsure(_OF_ALL, error)
            return False
        if found := "; ".join(differences_in_all(world, ctx.me, told)):
            return self._doubt(_OF_ALL, found, 0)
        ctx.backoff.reset(f"compare {_OF_ALL}")
        self._problems.pop(_OF_ALL, None)
        self._compared_all = True
        return False

    def _unsure(self, name: str, error: ChainError) -> None:
        """It could not be compared; it is tried again soon."""
        self._parts.context.backoff.failed(f"compare {name}")
        log.warning("events cannot be compared with the contracts", extra={"about": name, "reason": str(error)})
        if isinstance(error, Disagreement):
            self._problems[name] = f"cannot be compared with the contracts: {error}"

    # ------------------------------------------------------------------ reading again

    def _doubt(self, name: str, told: str, task: int) -> bool:
        """Forget events from before the task on, all of them where it is 0. True where that was done."""
        self._problems[name] = f"an RPC endpoint left events out, or invented some: {told}"
        now = time.monotonic()
        if now < self._next:
            self._parts.context.backoff.failed(f"compare {name}")
            return False
        fresh = now > self._next + 4 * self._pause
        pause = _FIRST_PAUSE_S if fresh else min(_LONGEST_PAUSE_S, 2 * self._pause)
        created = None if task == 0 else self._parts.context.journal.created(task)
        before = self._start - 1 if created is None else max(created, self._start) - 1
        self._forget_above(before)
        self._pause, self._next = pause, now + pause
        doubted = self._parts.context.contracts.rpc.penalise_log_sources()
        self._vitals.rereads.inc()
        self._compared.clear()
        self._seen.clear()
        self._missing.clear()
        self._compared_all = False
        self._parts.context.backoff.reset(f"compare {name}")
        log.warning(
            "events were left out or invented; they are read again",
            extra={"about": name, "reason": told, "from_block": before + 1, "given_by": doubted},
        )
        return True

    def _forget_above(self, block: int) -> None:
        with suppress(EventMissing):  # the gap is deeper yet: the next look finds it
            if block < self._start:
                self._parts.log.rewind(block)
                return
            known = quorum_read(self._parts.context.contracts.rpc, lambda one: one.block(block).hash)
            self._parts.log.reread(Checkpoint(block, known))


def _may_run(world: ChainState, task: int) -> bool:
    """Whether a task runs, or nothing is known of it although it has a number."""
    known = world.tasks.get(task)
    return task > 0 and task not in world.past and (known is None or known.outcome == Outcome.RUNNING)
