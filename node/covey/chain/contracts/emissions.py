"""Emissions: what is minted for running tasks, and the votes that direct it."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from covey.chain.contracts.base import Binding, Call
from covey.chain.units import cvy
from covey.protocol.emissions import EmissionsConfig


@dataclass(frozen=True, slots=True)
class StreamState:
    """The stream as it is now; amounts and weights are wei, times chain time."""

    total_weight: int
    allotted: int
    minted: int
    daily: int
    day_start: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class ShareState:
    """A task's part as it is now, wei; how often its votes were dropped."""

    weight: int
    pending: int
    minted: int
    generation: int


class Emissions(Binding):
    """Reads and writes of Emissions. Amounts and weights are wei."""

    artifact = "Emissions"

    def stream(self) -> StreamState:
        """The stream now."""
        return self._read_struct(StreamState, "streamOf")

    def share(self, task: int) -> ShareState:
        """A task's part now."""
        return self._read_struct(ShareState, "shareOf", task)

    def room(self, task: int) -> int:
        """What can still be minted for a task."""
        return int(self._read("roomOf", task))

    def voting_power(self, operator: str) -> int:
        """What an operator may vote with."""
        return int(self._read("votingPower", operator))

    def vote_of(self, operator: str, task: int) -> int:
        """What counts of an operator's vote for a task."""
        return int(self._read("voteOf", operator, task))

    def vote(self, operator: str, task: int, weight: int) -> Call:
        """Put stake behind a task instead of what the operator had there; sent by it or its signer."""
        return self._write(f"vote for task {task} with {cvy(weight)}", "vote", operator, task, weight)

    def poke(self, operator: str, task: int) -> Call:
        """Bring a vote down to the stake that is left."""
        return self._write(f"poke the vote of {operator} for task {task}", "poke", operator, task)

    def push(self, task: int) -> Call:
        """Mint what a task has been allotted into its bounty."""
        return self._write(f"push the emissions of task {task}", "push", task)

    def drop(self, task: int) -> Call:
        """Drop the votes of a task that can take no more."""
        return self._write(f"drop the votes of task {task}", "drop", task)

    def configure(self, config: EmissionsConfig) -> Call:
        """Set amount, decay and caps; governance only."""
        return self._write(f"emit {cvy(config.per_day)} a day", "configure", astuple(config))
