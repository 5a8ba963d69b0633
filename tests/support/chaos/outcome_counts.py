"""What was due, and what became of it: counted from the chain alone, after the fact.

`due`             duties of operators that were up, and steps that somebody had to take
`once`            those that are on the chain exactly once
`twice`           those for which a signer got a second transaction mined after one that worked
`lost`            those that are not on the chain
`honest_slashes`  slashes of operators that were up
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

from tests.support.chaos.scenario import Scenario

from covey.chain.events.decoder import Event
from covey.daemon.state.world import ChainState, Task
from covey.protocol.types import Outcome

_REPEATED = ("approve(address,uint256)", "withdraw(address)", "payOwed(address)")
"""Calls that are right to be made again with the same words."""


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
        """Fail unless everything that was due was done once and cost nobody anything."""
        assert self.due > 0 and self.tasks > 0, "nothing was due: nothing was shown"
        assert (self.twice, self.lost, self.honest_slashes) == (0, 0, 0), self
        assert self.once == self.due, self


@dataclass
class Count:
    """The tally of a story with what it is made of, in words."""

    tally: OutcomeCounts
    lost: list[str]
    twice: list[str]
    slashed: list[str]

    def check(self) -> None:
        """As `OutcomeCounts.check`, with names."""
        told = {"lost": self.lost, "twice": self.twice, "slashed": self.slashed}
        assert not any(told.values()), told
        self.tally.check()


def count(story: Scenario) -> Count:
    """Count all tasks of a story. Everything it says must be final by now."""
    events = story.net.events()
    world = ChainState()
    for event in events:
        world.apply(event)
    done = Counter(key for event in events if (key := _key(event)) is not None)
    due = [key for number in story.tasks for key in _due(story, world.tasks[number])]
    lost = [key for key in due if done[key] == 0]
    repeated = _repeated(story)
    up = {node.operator for node in story.net.nodes} - story.away
    slashed = [f"{e.name} {e.args['operator']}" for e in events if e.name == "Slashed" and e.args["operator"] in up]
    once = sum(1 for key in due if done[key] == 1)
    tally = OutcomeCounts(0, len(due), once, len(repeated), len(lost), len(slashed), len(story.tasks))
    return Count(tally, lost, repeated, slashed)


def _due(story: Scenario, task: Task) -> list[str]:
    """Keys of everything that had to happen in a task."""
    keys = [f"end/{task.id}"]
    up = {node.operator for node in story.net.nodes} - story.away
    for node in story.up(story.trainers):
        keys += [f"enter/{task.id}/{node.operator}", f"reveal-entry/{task.id}/{node.operator}"]
    keys += [f"enrol/{task.id}/{node.operator}" for node in story.up(story.validators)]
    for c in task.committees:
        keys += [f"request-seed/{task.id}/{c.number}", f"fix-seed/{task.id}/{c.number}"]
        keys += [f"score/{task.id}/{c.number}/{node.operator}" for node in story.seated(task, c)]
        keys += [f"reveal-scores/{task.id}/{c.number}/{one}" for one in c.committed if one in up]
        keys += [f"report/{task.id}/{c.number}/{one}" for one in story.failed(task, c)]
    c = task.committee
    if task.outcome == Outcome.PAID and c is not None:
        keys += [f"settle-page/{task.id}/{c.number}/{page}" for page in range(task.page_total)]
    lanes, rows = story.earned(task)
    keys += [f"claim-entry/{task.id}/{lane}" for lane in lanes.values()]
    keys += [f"claim-scoring/{task.id}/{one}" for one in rows if one in up]
    return keys + [f"release-earmark/{task.id}/{one}" for one in task.enrolled if one in up]


_SHOWN_BY = {
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
"""Keys of what events show to have been done, by contract and event."""


def _key(event: Event) -> str | None:
    """The key of what an event shows to have been done."""
    key = _SHOWN_BY.get((event.contract, event.name))
    return None if key is None else key.format_map(event.args)


def _repeated(story: Scenario) -> list[str]:
    """Transactions of daemons that say again what one that worked had said."""
    from eth_utils.crypto import keccak

    anvil = story.net.local.anvil
    repeatable = {keccak(text=signature)[:4].hex() for signature in _REPEATED}
    signers = {node.signer.lower(): node.name for node in story.net.nodes}
    worked: set[tuple[str, str, str]] = set()
    again: list[str] = []
    for number in range(story.net.local.deployment.start_block, int(anvil.rpc("eth_blockNumber"), 16) + 1):
        block: dict[str, Any] = anvil.rpc("eth_getBlockByNumber", hex(number), True)
        for tx in block["transactions"]:
            said = (tx["from"].lower(), (tx["to"] or "").lower(), tx["input"])
            if said[0] not in signers or tx["input"][2:10] in repeatable or tx["input"] == "0x":
                continue
            if said in worked:
                again.append(f"{signers[said[0]]}: {tx['hash']} in block {number} says {tx['input'][:10]}… again")
            receipt = anvil.rpc("eth_getTransactionReceipt", tx["hash"])
            if int(receipt["status"], 16) == 1:
                worked.add(said)
    return again
