"""Compares what was due with what happened, from the chain alone, after the fact.

`due`             duties of operators that were up, and permissionless steps of each task
`once`            duties that are on the chain exactly once
`twice`           duties for which a signer got a second transaction mined after one that succeeded
`lost`            duties that are not on the chain
`honest_slashes`  slashes of operators that were up
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

from tests.support.chaos.scenario import Scenario

from covey.chain.events.decoder import Event
from covey.daemon.state.folds import apply_event
from covey.daemon.state.world import ChainState, Task
from covey.protocol.types import Outcome

_REPEATABLE = ("approve(address,uint256)", "withdraw(address)", "payOwed(address)")
"""Calls that may rightly be repeated with the same arguments."""


@dataclass
class OutcomeCounts:
    """Sums over tasks. `kills` counts SIGKILLs of daemons."""

    kills: int = 0
    due: int = 0
    once: int = 0
    twice: int = 0
    lost: int = 0
    honest_slashes: int = 0
    tasks: int = 0

    def add(self, other: OutcomeCounts) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def check(self) -> None:
        """Fail unless every duty was done exactly once and no operator that was up was slashed."""
        assert self.due > 0 and self.tasks > 0, "nothing was due: the test proves nothing"
        assert (self.twice, self.lost, self.honest_slashes) == (0, 0, 0), self
        assert self.once == self.due, self


@dataclass
class Outcomes:
    """The counts of a scenario, and the duties, transactions and slashes behind them."""

    counts: OutcomeCounts
    lost: list[str]
    twice: list[str]
    slashed: list[str]

    def check(self) -> None:
        """As `OutcomeCounts.check`; a failure lists the details."""
        problems = {"lost": self.lost, "twice": self.twice, "slashed": self.slashed}
        assert not any(problems.values()), problems
        self.counts.check()


def count_outcomes(scenario: Scenario) -> Outcomes:
    """Count all tasks of a scenario. The chain must be final by now."""
    events = scenario.net.events()
    state = ChainState()
    for event in events:
        apply_event(state, event)
    done = Counter(key for event in events if (key := _key(event)) is not None)
    due = [key for number in scenario.tasks for key in _due(scenario, state.tasks[number])]
    lost = [key for key in due if done[key] == 0]
    repeated = _repeated(scenario)
    up = {node.operator for node in scenario.net.nodes} - scenario.away
    slashed = [f"{e.name} {e.args['operator']}" for e in events if e.name == "Slashed" and e.args["operator"] in up]
    once = sum(1 for key in due if done[key] == 1)
    counts = OutcomeCounts(0, len(due), once, len(repeated), len(lost), len(slashed), len(scenario.tasks))
    return Outcomes(counts, lost, repeated, slashed)


def _due(scenario: Scenario, task: Task) -> list[str]:
    """Keys of all duties of a task."""
    keys = [f"end/{task.id}"]
    up = {node.operator for node in scenario.net.nodes} - scenario.away
    for node in scenario.up(scenario.trainers):
        keys += [f"enter/{task.id}/{node.operator}", f"reveal-entry/{task.id}/{node.operator}"]
    keys += [f"enrol/{task.id}/{node.operator}" for node in scenario.up(scenario.validators)]
    for c in task.committees:
        keys += [f"request-seed/{task.id}/{c.number}", f"fix-seed/{task.id}/{c.number}"]
        keys += [f"score/{task.id}/{c.number}/{node.operator}" for node in scenario.seated(task, c)]
        keys += [f"reveal-scores/{task.id}/{c.number}/{operator}" for operator in c.committed if operator in up]
        keys += [f"report/{task.id}/{c.number}/{operator}" for operator in scenario.failed(task, c)]
    if task.outcome == Outcome.PAID and task.committee is not None:
        keys += [f"settle-page/{task.id}/{task.committee.number}/{page}" for page in range(task.page_total)]
    lanes, rows = scenario.earned(task)
    keys += [f"claim-entry/{task.id}/{lane}" for lane in lanes.values()]
    keys += [f"claim-scoring/{task.id}/{operator}" for operator in rows if operator in up]
    return keys + [f"release-earmark/{task.id}/{operator}" for operator in task.enrolled if operator in up]


_KEY_OF_EVENT = {
    ("TaskRegistry", "EntryCommitted"): "enter/{taskId}/{operator}",
    ("TaskRegistry", "EntryRevealed"): "reveal-entry/{taskId}/{operator}",
    ("TaskRegistry", "ValidatorEnrolled"): "enrol/{taskId}/{operator}",
    ("TaskRegistry", "EarmarkFreed"): "release-earmark/{taskId}/{operator}",
    ("TaskRegistry", "TaskEnded"): "end/{taskId}",
    ("Scoring", "SeedRequested"): "request-seed/{taskId}/{round}",
    ("Scoring", "SeedFixed"): "fix-seed/{taskId}/{round}",
    ("Scoring", "ScoresCommitted"): "score/{taskId}/{round}/{operator}",
    ("Scoring", "Abstained"): "score/{taskId}/{round}/{operator}",
    ("Scoring", "ScoresRevealed"): "reveal-scores/{taskId}/{round}/{operator}",
    ("Scoring", "FaultReported"): "report/{taskId}/{round}/{operator}",
    ("Scoring", "PageSettled"): "settle-page/{taskId}/{round}/{page}",
    ("Rewards", "EntryRewardClaimed"): "claim-entry/{taskId}/{lane}",
    ("Rewards", "ScoringRewardClaimed"): "claim-scoring/{taskId}/{operator}",
}
"""Key of the duty that an event shows as done, by contract and event."""


def _key(event: Event) -> str | None:
    """The key of the duty that an event shows as done."""
    key = _KEY_OF_EVENT.get((event.contract, event.name))
    return None if key is None else key.format_map(event.args)


def _repeated(scenario: Scenario) -> list[str]:
    """Transactions of daemons that repeat the call of an earlier successful one."""
    from eth_utils.crypto import keccak

    anvil = scenario.net.local.anvil
    repeatable = {keccak(text=signature)[:4].hex() for signature in _REPEATABLE}
    signers = {node.signer.lower(): node.name for node in scenario.net.nodes}
    succeeded: set[tuple[str, str, str]] = set()
    repeated: list[str] = []
    for number in range(scenario.net.local.deployment.start_block, int(anvil.rpc("eth_blockNumber"), 16) + 1):
        block: dict[str, Any] = anvil.rpc("eth_getBlockByNumber", hex(number), True)
        for tx in block["transactions"]:
            call = (tx["from"].lower(), (tx["to"] or "").lower(), tx["input"])
            if call[0] not in signers or tx["input"][2:10] in repeatable or tx["input"] == "0x":
                continue
            if call in succeeded:
                repeated.append(f"{signers[call[0]]}: {tx['hash']} in block {number} repeats {tx['input'][:10]}…")
            receipt = anvil.rpc("eth_getTransactionReceipt", tx["hash"])
            if int(receipt["status"], 16) == 1:
                succeeded.add(call)
    return repeated
