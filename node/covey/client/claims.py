"""Finds the rewards that an operator can claim, from the tasks' events."""

from __future__ import annotations

from covey.audit.chain import Chain
from covey.audit.record import AuditError, TaskRecord, gather
from covey.chain.contracts import purposes
from covey.chain.contracts.base import Call
from covey.client.errors import IncompleteEvents, InvalidInput, UnknownTask
from covey.protocol.merkle import proof
from covey.protocol.scores import LANES, page_words, unpack
from covey.protocol.types import Outcome


def claim_calls(chain: Chain, operator: str, task_id: int | None = None) -> list[Call]:
    """Calls that pay an operator's pool what it earned in ended tasks and release its earmarks, oldest task first.

    Args:
        task_id: a single task; None is all ended tasks.

    Raises:
        UnknownTask: there is no task of this id.
        InvalidInput: the task is still running.
        IncompleteEvents: the endpoint did not return the task's whole history.
    """
    try:
        tasks = gather(chain.events())
    except AuditError as error:
        raise IncompleteEvents(str(error)) from None
    if task_id is not None:
        if task_id not in tasks:
            raise UnknownTask(f"there is no task {task_id}")
        if tasks[task_id].ended is None:
            raise InvalidInput(f"task {task_id} is still running")
        return _task_claims(chain, tasks[task_id], operator)
    return [call for _, task in sorted(tasks.items()) for call in _task_claims(chain, task, operator)]


def _task_claims(chain: Chain, task: TaskRecord, operator: str) -> list[Call]:
    if task.ended is None:
        return []
    contracts = chain.contracts
    rewards = contracts.rewards
    calls: list[Call] = []
    if Outcome(int(task.ended["outcome"])) == Outcome.PAID:
        calls += _entry_claims(chain, task, operator)
        reward = rewards.scoring_reward(task.id, operator)
        if reward and not rewards.scoring_claimed(task.id, operator):
            purpose = purposes.claimed_scoring(task.id, operator, reward)
            calls.append(rewards.claim_scoring(task.id, operator).named(purpose))
    elif any(entry["operator"] == operator for entry in task.committed) and not rewards.fee_claimed(task.id, operator):
        fee = contracts.registry.entry_of(task.id, operator).fee
        calls.append(rewards.claim_fee(task.id, operator).named(purposes.returned_fee(task.id, fee)))
    held = contracts.scoring.owes_fault(task.id, operator) or contracts.appeals.holds(task.id, operator)
    earmark = contracts.registry.held_of(task.id, operator)
    if earmark and not held:
        purpose = purposes.released(task.id, operator, earmark)
        calls.append(contracts.registry.release_earmark(task.id, operator).named(purpose))
    return calls


def _entry_claims(chain: Chain, task: TaskRecord, operator: str) -> list[Call]:
    """The claim of the operator's entry with the Merkle proof of its median's word; empty if there is nothing left."""
    lanes = [int(entry["lane"]) for entry in task.revealed if entry["operator"] == operator]
    round_ = task.last_round
    if not lanes or round_ is None or not round_.pages:
        return []
    lane, rewards = lanes[0], chain.contracts.rewards
    page, index = divmod(lane // LANES, page_words(len(round_.committed)))
    words = [int(word) for word in round_.pages[page]["medians"]]
    median = unpack([words[index]], LANES)[lane % LANES]
    reward = rewards.entry_reward(task.id, median)
    if rewards.entry_claimed(task.id, lane) or not reward:
        return []
    purpose = purposes.claimed_entry(task.id, operator, reward)
    return [rewards.claim_entry(task.id, lane, words[index], proof(words, index)).named(purpose)]
