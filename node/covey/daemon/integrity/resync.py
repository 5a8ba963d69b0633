"""Cross-checks projected events against contract state, and resyncs when an endpoint omits or forges logs.

Each cycle checks without extra requests for gaps in task numbers, events that cannot follow those before them, and own
settled transactions without their events. While the operator has a part in running tasks, these tasks are also
compared with the contracts: in every phase, and at every sixth of the task's shortest window. So an omission is found
before the last third of a window. An operator without a part in any task makes no extra request.

On a discrepancy, events are deleted durably back to the task's creation and read again from other endpoints. Until some
endpoint delivers them all, `owed_duties` gives the duties that follow from contract state alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from covey.chain.contracts import Contracts
from covey.chain.errors import ChainError, Disagreement
from covey.chain.events.decoder import EventReader
from covey.chain.events.follower import Checkpoint, Progress
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.quorum import quorum_read
from covey.chain.rpc.responses import Block
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.daemon.integrity.crosscheck import (
    OnChainTaskState,
    first_missing_task,
    owed_duties,
    read_task_state,
    read_totals,
    task_discrepancies,
    total_discrepancies,
)
from covey.daemon.planning.duty import Duty, Identity, task_of_key
from covey.daemon.state.events import EventMissing
from covey.daemon.state.projection import ChainLog, HeadProjection
from covey.daemon.state.pruning import has_part
from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.daemon.storage.journal import Journal
from covey.daemon.workers.backoff import Backoff
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

log = logging.getLogger("covey.daemon")

STATE_DEPTH = 100
"""Blocks below the head whose state every node serves: full nodes keep 128."""
_CHECKS_PER_WINDOW = 6  # comparisons within the shortest of a task's windows
_FIRST_DELAY_S, _LONGEST_DELAY_S = 15.0, 600.0
"""Delay between two resyncs: doubled each time, and reset after four times the last delay without one."""
_ALL_TASKS = "events"


class EventResync:
    """Checks events for omissions and forgeries, and resyncs. Used by one thread.

    Args:
        on_resync: called after each resync.
    """

    def __init__(
        self,
        *,
        contracts: Contracts,
        identity: Identity,
        journal: Journal,
        transactions: SqliteTxStore,
        chain_log: ChainLog,
        head: HeadProjection,
        backoff: Backoff,
        on_resync: Callable[[], object],
    ) -> None:
        self._rpc = contracts.rpc
        self._deployment = contracts.deployment
        self._identity = identity
        self._journal = journal
        self._transactions = transactions
        self._chain_log = chain_log
        self._head = head
        self._backoff = backoff
        self._on_resync = on_resync
        self._start = contracts.deployment.start_block
        self._reader = EventReader.of(contracts.deployment)
        self._compared: dict[int, tuple[Phase, int]] = {}  # task -> phase and chain time of the last comparison
        self._on_chain: dict[int, OnChainTaskState] = {}  # of tasks with a discrepancy
        self._totals_compared = False
        self._verified: set[int] = set()  # own requests whose events are stored
        self._missing: set[int] = set()  # own requests whose events are not stored
        self._problems: dict[str, str] = {}
        self._delay, self._next = 0.0, 0.0
        self._head_failed = False

    @property
    def problems(self) -> Mapping[str, str]:
        """Problems for the health report by subject: a discrepancy, or a comparison that endpoints disagree about."""
        return self._problems

    def check(self, now: int, head: Block, progress: Progress, head_state: ChainState) -> bool:
        """Run the checks that are due. Returns True after a resync; the caller then must not act on old events.

        Args:
            now: chain time.
            head: the chain's newest block.
            progress: of the follower, which must have caught up.
            head_state: the state with all events up to the head.
        """
        self._head_failed = False
        settled, checkpoint = self._chain_log.state, progress.checkpoint
        if (missing := first_missing_task(settled)) is not None:
            return self._resync(_ALL_TASKS, f"task {missing} has no events", missing)
        if self._check_own_transactions(settled, checkpoint):
            return True
        if self._totals_compared and not self._missing:
            self._problems.pop(_ALL_TASKS, None)
        at, state = checkpoint, settled
        if head.number - checkpoint.block > STATE_DEPTH:  # finality lags, and old state may be pruned
            at, state = Checkpoint(head.number, head.hash), head_state
            if self._head.block != head.number:
                return False
        return self._compare(state, at, now)

    def owed_duties(self, state: ChainState, now: int) -> list[Duty]:
        """Duties according to the contracts, in tasks whose events have a discrepancy."""
        known = ((state.tasks[task], on_chain) for task, on_chain in self._on_chain.items() if task in state.tasks)
        return [duty for task, on_chain in known for duty in owed_duties(task, on_chain, now)]

    def on_missing_event(self, error: EventMissing, *, at_head: bool = False) -> None:
        """Resync after an event that does not follow from those before it.

        Above the settled blocks (`at_head`) a reorganisation may be the cause, so there it must happen twice in a row.
        """
        if at_head and not self._head_failed:
            self._head_failed = True
            return
        self._resync(_ALL_TASKS, str(error), error.task)

    # ------------------------------------------------------------------ own transactions

    def _check_own_transactions(self, state: ChainState, checkpoint: Checkpoint) -> bool:
        """Compare the events of own settled transactions with their receipts. Returns True after a resync."""
        signer = self._identity.signer
        if self._transactions.count_by_status(signer).get(TxStatus.DONE, 0) == len(self._verified):
            return False
        for request in self._transactions.done_requests(signer, checkpoint.block):
            task, delay = task_of_key(request.key), f"receipt {request.id}"
            if not _may_run(state, task):
                self._verified.add(request.id)
            if request.id in self._verified or request.tx_hash is None or not self._backoff.ready(delay):
                continue
            self._backoff.failed(delay)
            try:
                receipt = quorum_read(self._rpc, partial(self._read_receipt, request.tx_hash))
            except ChainError as error:
                log.warning("receipt not readable", extra={"hash": request.tx_hash, "reason": str(error)})
                continue
            if receipt is None or receipt[0] > checkpoint.block:
                continue  # reorganised, and perhaps mined again later
            block, log_indexes = receipt
            if self._journal.log_indexes(block, request.tx_hash) != log_indexes:
                self._missing.add(request.id)
                reason = f"events of the own transaction {request.key} in block {request.block} are missing"
                return self._resync(_ALL_TASKS, reason, task)
            self._missing.discard(request.id)
            self._verified.add(request.id)
            self._backoff.reset(delay)
        return False

    def _read_receipt(self, tx_hash: str, rpc: Rpc) -> tuple[int, set[int]] | None:
        """Block of a transaction and the log indexes of its contract events; None if it is in no block."""
        receipt = rpc.receipt(tx_hash)
        if receipt is None:
            return None
        return receipt.block, {event.log_index for event in self._reader.read_all(receipt.logs)}

    # ------------------------------------------------------------------ contracts

    def _compare(self, state: ChainState, at: Checkpoint, now: int) -> bool:
        if not self._totals_compared and self._compare_totals(state, at):
            return True
        for task in self._tasks_to_compare(state, now):
            name = f"task {task.id}"
            if discrepancies := self._compare_task(name, at, task, now):
                return self._resync(name, discrepancies, task.id)
        return False

    def _tasks_to_compare(self, state: ChainState, now: int) -> Iterator[Task]:
        for task in list(state.tasks.values()):
            if task.outcome != Outcome.RUNNING or not has_part(task, self._identity.operator):
                self._forget(task.id)
            elif now >= task.schedule.enrol_end and self._backoff.ready(f"compare task {task.id}"):
                windows = task.params.windows
                period = min(windows.entry_reveal, windows.score_commit, windows.score_reveal) // _CHECKS_PER_WINDOW
                phase, last = self._compared.get(task.id, (None, 0))
                if phase != task.phase(now) or now - last >= period:
                    yield task

    def _forget(self, task: int) -> None:
        self._compared.pop(task, None)
        self._on_chain.pop(task, None)
        self._problems.pop(f"task {task}", None)

    def _compare_task(self, name: str, at: Checkpoint, task: Task, now: int) -> str:
        """Discrepancies of a task; empty if there are none or if it cannot be compared now."""
        deployment, operator = self._deployment, self._identity.operator
        try:
            on_chain = quorum_read(
                self._rpc, lambda rpc: read_task_state(rpc, deployment, task.id, operator), at=(at.block, at.hash)
            )
        except ChainError as error:
            self._on_comparison_failed(name, error)
            return ""
        discrepancies = "; ".join(task_discrepancies(task, self._identity, on_chain))
        if discrepancies:
            self._on_chain[task.id] = on_chain
        else:
            self._on_chain.pop(task.id, None)
            self._backoff.reset(f"compare {name}")
            self._problems.pop(name, None)
            self._compared[task.id] = (task.phase(now), now)
        return discrepancies

    def _compare_totals(self, state: ChainState, at: Checkpoint) -> bool:
        """Compare the totals, once after a start and after each resync. Returns True after a resync."""
        if not self._backoff.ready(f"compare {_ALL_TASKS}"):
            return False
        deployment, operator = self._deployment, self._identity.operator
        try:
            on_chain = quorum_read(
                self._rpc, lambda rpc: read_totals(rpc, deployment, operator), at=(at.block, at.hash)
            )
        except ChainError as error:
            self._on_comparison_failed(_ALL_TASKS, error)
            return False
        if discrepancies := "; ".join(total_discrepancies(state, self._identity, on_chain)):
            return self._resync(_ALL_TASKS, discrepancies, 0)
        self._backoff.reset(f"compare {_ALL_TASKS}")
        self._problems.pop(_ALL_TASKS, None)
        self._totals_compared = True
        return False

    def _on_comparison_failed(self, name: str, error: ChainError) -> None:
        """Retry the comparison later; report it if endpoints disagree."""
        self._backoff.failed(f"compare {name}")
        log.warning("events not comparable with the contracts", extra={"about": name, "reason": str(error)})
        if isinstance(error, Disagreement):
            self._problems[name] = f"cannot be compared with the contracts: {error}"

    # ------------------------------------------------------------------ resync

    def _resync(self, name: str, reason: str, task: int) -> bool:
        """Delete the events from the creation of `task` on (0: all events). Returns False during the delay."""
        self._problems[name] = f"an RPC endpoint omitted or forged events: {reason}"
        now = time.monotonic()
        if now < self._next:
            self._backoff.failed(f"compare {name}")
            return False
        is_first = now > self._next + 4 * self._delay
        delay = _FIRST_DELAY_S if is_first else min(_LONGEST_DELAY_S, 2 * self._delay)
        created = None if task == 0 else self._journal.creation_block(task)
        before = self._start - 1 if created is None else max(created, self._start) - 1
        self._delete_events_above(before)
        self._delay, self._next = delay, now + delay
        distrusted = self._rpc.penalise_log_sources()
        self._on_resync()
        self._compared.clear()
        self._verified.clear()
        self._missing.clear()
        self._totals_compared = False
        self._backoff.reset(f"compare {name}")
        log.warning(
            "events omitted or forged; resyncing",
            extra={"about": name, "reason": reason, "from_block": before + 1, "endpoint": distrusted},
        )
        return True

    def _delete_events_above(self, block: int) -> None:
        with suppress(EventMissing):  # the gap is deeper; the next cycle finds it
            if block < self._start:
                self._chain_log.rewind(block)
                return
            known = quorum_read(self._rpc, lambda rpc: rpc.block(block).hash)
            self._chain_log.reread(Checkpoint(block, known))


def _may_run(state: ChainState, task: int) -> bool:
    """Whether a task runs, or has no events although it has a number."""
    known = state.tasks.get(task)
    return task > 0 and task not in state.past and (known is None or known.outcome == Outcome.RUNNING)
