"""Emissions: how much is released, which tasks receive it, and the calls to vote for a task and to push its share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from covey.audit.chain import Chain
from covey.chain.contracts.base import Call
from covey.chain.contracts.emissions import ShareState, StreamState
from covey.chain.events.decoder import Event
from covey.chain.units import about_cvy, cvy
from covey.client.errors import InvalidInput, NothingToDo
from covey.client.staking import registered_pool


@dataclass(frozen=True, slots=True)
class TaskShare:
    """A task's share of the emissions, wei. `room` is what the task may still receive."""

    task: int
    share: ShareState
    room: int

    @property
    def ready(self) -> int:
        """What `push` would mint now: allotted, not minted, and within the task's limits."""
        return min(self.share.pending, self.room)


@dataclass(frozen=True, slots=True)
class EmissionsView:
    """The stream and the shares of the tasks that have votes or a pending amount, by task."""

    stream: StreamState
    shares: list[TaskShare]


def read_emissions(chain: Chain) -> EmissionsView:
    """Read the stream, and the shares of all tasks that were ever voted for and have something left."""
    shares = [_read_share(chain, task) for task in sorted(_voted_tasks(chain.events()))]
    return EmissionsView(chain.contracts.emissions.stream(), [s for s in shares if s.share.weight or s.share.pending])


def vote_calls(chain: Chain, operator: str, task: int, weight: int | None = None) -> list[Call]:
    """Replace an operator's vote for a task by `weight`, wei of its stake; None is all that it has not voted yet.

    Raises:
        InvalidInput: the address is no operator, the task can receive no more, or the operator has less stake left.
        NothingToDo: the vote has this weight already.
    """
    registered_pool(chain, operator)
    emissions = chain.contracts.emissions
    now = emissions.vote_of(operator, task)
    power, voted = emissions.voting_power(operator), emissions.voted_of(operator)
    free = max(0, power - voted + now)
    wanted = free if weight is None else weight
    if wanted > now or weight is None:
        if not emissions.room(task):
            raise InvalidInput(
                f"task {task} can receive no more emissions now: it has ended or is settled, or its bounty is the "
                "largest for the stake that is enrolled"
            )
        if wanted > free or not free:
            raise InvalidInput(
                f"{operator} can vote for task {task} with {cvy(free)}: {cvy(power)} of its stake may vote, and "
                f"{cvy(voted - now)} vote for other tasks (stake of an eligible operator votes a second after it came)"
            )
    if wanted == now:
        raise NothingToDo(f"{operator} votes for task {task} with {cvy(now)} already")
    purpose = f"vote for task {task} with {about_cvy(wanted)} of the stake of {operator} instead of {about_cvy(now)}"
    return [emissions.vote(operator, task, wanted).named(purpose)]


def push_calls(chain: Chain, task: int | None = None) -> list[Call]:
    """Mint what tasks were allotted into their bounties; None is all tasks with something to mint. Anyone may do it.

    Raises:
        NothingToDo: nothing is allotted that may still be minted.
    """
    shares = read_emissions(chain).shares if task is None else [_read_share(chain, task)]
    ready = [one for one in shares if one.ready]
    if not ready:
        which = "any task" if task is None else f"task {task}"
        raise NothingToDo(f"there are no emissions to push into the bounty of {which}")
    emissions = chain.contracts.emissions
    return [
        emissions.push(one.task).named(f"mint {about_cvy(one.ready)} of emissions into the bounty of task {one.task}")
        for one in ready
    ]


def _read_share(chain: Chain, task: int) -> TaskShare:
    emissions = chain.contracts.emissions
    return TaskShare(task, emissions.share(task), emissions.room(task))


def _voted_tasks(events: Iterable[Event]) -> set[int]:
    return {event.args["taskId"] for event in events if (event.contract, event.name) == ("Emissions", "VoteChanged")}
