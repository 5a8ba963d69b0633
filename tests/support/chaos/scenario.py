"""A whole arena task by real daemons, driven through its phases whatever happens to them on the way.

The scenario knows the chain and the participants; it does not know the faults. In each phase it waits until every node
that is up has done its part, advances chain time to the end of the window, and continues until all is paid and claimed.
If a part is not done within ``patience`` seconds, chain time advances anyway: the loss then shows in `outcome_counts`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.network import Network, Node, tiny_spec

from covey.chain.errors import TransientError
from covey.config.types import Role
from covey.daemon.planning.duty import Identity
from covey.daemon.planning.faults import owes, seats_in
from covey.daemon.state.world import Committee, Task
from covey.devnet.errors import DevnetError
from covey.protocol.scores import unpack
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

Hook = Callable[["Scenario", Task, Phase], object]
_POLL_S = 0.2


@dataclass
class Scenario:
    """Drives tasks of ``net``.

    Attributes:
        away: operators that are down for good; nothing is expected of them.
        on_phase: called once when a task enters a phase, before waiting.
        on_poll: called at every poll of the task.
    """

    net: Network
    trainers: list[Node]
    validators: list[Node]
    patience: float = 600.0
    away: set[str] = field(default_factory=set)
    on_phase: Hook | None = None
    on_poll: Hook | None = None
    tasks: list[int] = field(default_factory=list)

    def run(self, **changes: object) -> Task:
        """Post a task and drive it to its end; returns its final state."""
        number = self.net.post(tiny_spec(), **changes)
        self.tasks.append(number)
        phase: Phase | None = None
        entered = time.monotonic()
        while True:
            try:
                task, now = self.net.task(number), self.net.local.anvil.time()
                current = task.phase(now)
                if current != phase:
                    phase, entered = current, time.monotonic()
                    if self.on_phase is not None:
                        self.on_phase(self, task, phase)
                if self.on_poll is not None:
                    self.on_poll(self, task, phase)
                waits = self.pending(task, phase)
            except (TransientError, DevnetError, KeyError):  # a reorganisation is under way
                time.sleep(_POLL_S)
                continue
            self.net.check_running()
            late = time.monotonic() - entered > self.patience
            if phase == Phase.ENDED and (not waits or late):
                return task
            window_end = self.end_of(task, phase)
            if window_end is not None and (not waits or late):
                self.net.jump(window_end)
            elif late and time.monotonic() - entered > 2 * self.patience:
                raise AssertionError(f"task {number} stays in '{phase}', waiting for {waits}\n{self.net.logs()}")
            time.sleep(_POLL_S)

    def wait_until_idle(self, patience: float = 600.0) -> None:
        """Wait until every node that is up has reported for a second that no duty is due and no transaction is open."""
        end = time.monotonic() + patience
        before: list[int] = []
        while True:
            nodes = self.up(self.net.nodes)
            busy = [node for node in nodes if not _is_idle(node)]
            pids = [node.process.pid for node in nodes if node.process is not None]
            if not busy and pids == before:
                return
            before = [] if busy else pids
            self.net.check_running()
            if time.monotonic() > end:
                reports = "\n".join(f"{node.name} is not idle: {node.report()}" for node in busy)
                raise AssertionError(f"{reports}\n{self.net.logs()}")
            time.sleep(1.0)

    def pending(self, task: Task, phase: Phase) -> list[str]:
        """What nodes that are up still have to do before the phase may end."""
        c = task.committee
        match phase:
            case Phase.ENTRY_COMMIT:
                return [f"entry of {n.name}" for n in self.up(self.trainers) if n.operator not in task.entries]
            case Phase.ENROL:
                return [f"stake of {n.name}" for n in self.up(self.validators) if n.operator not in task.enrolled]
            case Phase.ENTRY_REVEAL:
                revealed = {entry.operator for entry in task.lanes}
                return [f"adapter of {n.name}" for n in self.up(self.trainers) if n.operator not in revealed]
            case Phase.SCORE_COMMIT:
                assert c is not None
                answered = {*c.committed, *c.abstained}
                return [f"row of {n.name}" for n in self.seated(task, c) if n.operator not in answered]
            case Phase.SCORE_REVEAL:
                assert c is not None
                return [f"scores of {n.name}" for n in self.up(self.validators) if c.owes_row(n.operator)]
            case Phase.REPORTS:
                first, me = task.committees[0], self.identity(self.net.nodes[0])
                return [f"report of {o}" for o in task.enrolled if owes(task, first, me, o)]
            case Phase.ENDED:
                return self.unclaimed(task)
            case _:
                return [phase.value]

    def end_of(self, task: Task, phase: Phase) -> int | None:
        """Chain time at which the phase ends by itself; None if it ends with a transaction."""
        c = task.committee
        match phase:
            case Phase.ENTRY_COMMIT:
                return task.schedule.entry_commit_end
            case Phase.ENROL:
                return task.schedule.enrol_end
            case Phase.ENTRY_REVEAL:
                return task.schedule.entry_reveal_end
            case Phase.REPORTS:
                return task.request_from
            case Phase.SCORE_COMMIT:
                return None if c is None else c.commit_end
            case Phase.SCORE_REVEAL:
                return None if c is None else c.reveal_end
            case _:
                return None

    def up(self, nodes: list[Node]) -> list[Node]:
        return [node for node in nodes if node.operator not in self.away]

    def identity(self, node: Node) -> Identity:
        """The node's identity, as its planner knows it."""
        contracts = self.net.local.chain.contracts
        roles = (Role.TRAINER,) if node in self.trainers else (Role.VALIDATOR,)
        return Identity(
            node.operator,
            node.signer,
            roles,
            self.net.local.deployment.chain_id,
            contracts.scoring.address,
            appeal_committee=contracts.appeal_committee.address,
        )

    def seated(self, task: Task, committee: Committee) -> list[Node]:
        """Validators that are up and have a seat."""
        return [node for node in self.up(self.validators) if self._seats(task, committee, node) > 0]

    def failed(self, task: Task, committee: Committee) -> list[str]:
        """Operators away that left a seat without a row, or a committed row unrevealed."""
        gone = [node for node in self.validators if node.operator in self.away]
        answered = {*committee.abstained, *(row.operator for row in committee.revealed)}
        return [n.operator for n in gone if n.operator not in answered and self._seats(task, committee, n) > 0]

    def _seats(self, task: Task, committee: Committee, node: Node) -> int:
        return seats_in(task, committee, self.identity(node), node.operator) if committee.seeded else 0

    def earned(self, task: Task) -> tuple[dict[str, int], set[str]]:
        """According to the contracts: the rewarded lane by trainer, and the validators whose row is paid."""
        c, rewards = task.committee, self.net.local.chain.contracts.rewards
        if task.outcome != Outcome.PAID or c is None:
            return {}, set()
        lanes: dict[str, int] = {}
        medians: list[int] = []
        for number in sorted(c.pages):
            medians += [score for word in c.pages[number].medians for score in unpack([word], 16)]
        for entry in task.lanes:
            assert entry.lane is not None
            if rewards.entry_reward(task.id, medians[entry.lane]) > 0:
                lanes[entry.operator] = entry.lane
        rows = {row.operator for row in c.revealed if rewards.scoring_reward(task.id, row.operator) > 0}
        return lanes, rows

    def unclaimed(self, task: Task) -> list[str]:
        """Claims of an ended task that nodes which are up still have to make."""
        lanes, rows = self.earned(task)
        waits = [f"entry reward of {o}" for o, lane in lanes.items() if lane not in task.claimed_lanes]
        waits += [f"scoring reward of {o}" for o in rows - task.claimed_scoring - self.away]
        return waits + [f"earmark of {o}" for o in set(task.enrolled) - task.freed - self.away]


def _is_idle(node: Node) -> bool:
    report = node.report()
    if "transactions" not in report:  # it is starting, or a cycle failed
        return False
    open_transactions = sum(report["transactions"].get(state, 0) for state in ("queued", "pending", "mined"))
    return not report["due"] and open_transactions == 0 and not report["missed"]
