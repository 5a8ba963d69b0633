"""Emissions: tokens minted for running tasks, and the votes that direct them."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from covey.chain.contracts.base import Binding, Call
from covey.chain.units import about_cvy, cvy
from covey.protocol.emissions import EmissionsConfig


@dataclass(frozen=True, slots=True)
class StreamState:
    """State of the emission stream; amounts and weights are wei, times chain time."""

    total_weight: int
    allotted: int
    minted: int
    daily: int
    day_start: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class ShareState:
    """A task's share of the stream, wei; ``generation`` counts how often its votes were dropped."""

    weight: int
    pending: int
    minted: int
    generation: int


class Emissions(Binding):
    """Reads and writes of Emissions. Amounts and weights are wei."""

    artifact = "Emissions"

    def stream(self) -> StreamState:
        """The current stream."""
        return self._read_struct(StreamState, "streamOf")

    def share(self, task: int) -> ShareState:
        """The current share of a task."""
        return self._read_struct(ShareState, "shareOf", task)

    def room(self, task: int) -> int:
        """The maximum that can still be minted for a task."""
        return int(self._read("roomOf", task))

    def voting_power(self, operator: str) -> int:
        """The stake with which an operator may vote."""
        return int(self._read("votingPower", operator))

    def voted_of(self, operator: str) -> int:
        """The sum of an operator's votes, with those that were dropped with their tasks and not freed since."""
        return int(self._read("votedOf", operator))

    def vote_of(self, operator: str, task: int) -> int:
        """The counted weight of an operator's vote for a task."""
        return int(self._read("voteOf", operator, task))

    def vote(self, operator: str, task: int, weight: int) -> Call:
        """Replace the operator's vote for a task; sent by the operator or its signer."""
        return self._write(f"vote for task {task} with {about_cvy(weight)}", "vote", operator, task, weight)

    def poke(self, operator: str, task: int) -> Call:
        """Reduce a vote to the operator's remaining stake."""
        return self._write(f"poke the vote of {operator} for task {task}", "poke", operator, task)

    def push(self, task: int) -> Call:
        """Mint a task's allotted tokens into its bounty."""
        return self._write(f"push the emissions of task {task}", "push", task)

    def drop(self, task: int) -> Call:
        """Drop the votes of a task that cannot receive more."""
        return self._write(f"drop the votes of task {task}", "drop", task)

    def configure(self, config: EmissionsConfig) -> Call:
        """Set amount, decay and caps; governance only."""
        return self._write(f"emit {cvy(config.per_day)} a day", "configure", astuple(config))
