"""Which claims an operator can make, out of the tasks' events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.protocol.types import Outcome

if TYPE_CHECKING:
    from covey.audit.record import TaskRecord
    from covey.chain.contracts.base import Call
    from covey.client.access import Network


def due_claims(network: Network, operator: str, task_id: int | None) -> list[Call]:
    """Calls that bring `operator` what it is due, oldest task first. InputError for an unknown or running task."""
    from covey.audit.record import gather
    from covey.cli.errors import InputError

    tasks = gather(network.events())
    if task_id is not None:
        if task_id not in tasks:
            raise InputError(f"there is no task {task_id}")
        if tasks[task_id].ended is None:
            raise InputError(f"task {task_id} is still running")
    calls: list[Call] = []
    for number, task in sorted(tasks.items()):
        if task_id in (None, number) and task.ended is not None:
            calls += _of_task(network, task, operator)
    return calls


def _of_task(network: Network, task: TaskRecord, operator: str) -> list[Call]:
    assert task.ended is not None
    contracts = network.contracts
    calls: list[Call] = []
    if Outcome(int(task.ended["outcome"])) == Outcome.PAID:
        calls += _entry(network, task, operator)
        if contracts.rewards.scoring_reward(task.id, operator) and not contracts.rewards.scoring_claimed(
            task.id, operator
        ):
            calls.append(contracts.rewards.claim_scoring(task.id, operator))
    elif any(one["operator"] == operator for one in task.committed) and not contracts.rewards.fee_claimed(
        task.id, operator
    ):
        calls.append(contracts.rewards.claim_fee(task.id, operator))
    held = contracts.scoring.owes_fault(task.id, operator) or contracts.appeals.holds(task.id, operator)
    if contracts.registry.held_of(task.id, operator) and not held:
        calls.append(contracts.registry.release_earmark(task.id, operator))
    return calls


def _entry(network: Network, task: TaskRecord, operator: str) -> list[Call]:
    from covey.protocol.merkle import proof
    from covey.protocol.scores import LANES, page_words, unpack

    lanes = [int(one["lane"]) for one in task.revealed if one["operator"] == operator]
    round_ = task.last_round
    if not lanes or round_ is None or not round_.pages:
        return []
    lane, rewards = lanes[0], network.contracts.rewards
    page, index = divmod(lane // LANES, page_words(len(round_.committed)))
    words = [int(word) for word in round_.pages[page]["medians"]]
    median = unpack([words[index]], LANES)[lane % LANES]
    if rewards.entry_claimed(task.id, lane) or not rewards.entry_reward(task.id, median):
        return []
    return [rewards.claim_entry(task.id, lane, words[index], proof(words, index))]
