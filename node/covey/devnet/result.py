"""What a demo run leaves: one JSON document that the tables and the HTML report are made from.

Amounts are decimal strings of wei (they do not fit a JSON number), scores and medians are the chain's 15-bit units,
improvements are fractions of the base's held-out loss.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LossPoint(_Part):
    """Training loss (nats a token) after `step` optimiser steps."""

    step: int
    loss: float


class EntryResult(_Part):
    """One trainer's entry, from training to pay."""

    name: str
    operator: str
    honest: bool
    lane: int
    digest: str
    tokens_seen: int
    true_improvement: float = Field(description="relative improvement of held-out loss on the common set, by strata")
    median: int
    weight: str
    reward_wei: str
    losses: list[LossPoint]


class ValidatorResult(_Part):
    """One validator's row, from seats to pay."""

    name: str
    operator: str
    honest: bool
    seats: int
    loss: int
    gain: int
    reward_wei: str
    scores: list[int] = Field(description="by lane; empty if the row was not revealed")


class Matrix(_Part):
    """Held-out improvement of each entry on each stratum; `own` names the strata that the entry was trained on."""

    rows: list[str]
    columns: list[str]
    values: list[list[float]]
    own: list[list[str]]


class Rules(_Part):
    """The task's parameters that decide pay."""

    target_seats: int
    floor_score: int
    h: int
    tau: int
    power: int
    bounty_wei: str
    fees_wei: str
    trainers_pool_wei: str
    validators_pool_wei: str


class Chain(_Part):
    """Where it happened."""

    chain_id: int
    task_id: int
    first_block: int
    last_block: int
    skipped_s: int = Field(description="chain time that the driver let pass at the end of windows")
    contracts: dict[str, str]


class Base(_Part):
    """The base model."""

    name: str
    digest: str
    parameters: int


class Check(_Part):
    """The replay of the chain's events under the rules."""

    checked: int
    differences: list[str]
    unavailable: list[str] = []


class Phase(_Part):
    """Wall time of one part of the run."""

    name: str
    seconds: float


class DemoResult(_Part):
    """Everything a demo run found."""

    version: Literal[1] = 1
    seed: int
    base: Base
    chain: Chain
    rules: Rules
    strata: dict[str, float]
    held_out_records: int
    entries: list[EntryResult]
    validators: list[ValidatorResult]
    matrix: Matrix
    spearman: float
    check: Check
    phases: list[Phase]

    @property
    def total_s(self) -> float:
        """Wall time of the whole run, seconds."""
        return sum(phase.seconds for phase in self.phases)


def cvy(wei: str | int, places: int = 2) -> str:
    """Tokens with a fixed number of decimals, rounded down, thousands separated."""
    whole, rest = divmod(int(wei), 10**18)
    if not places:
        return f"{whole:,}"
    return f"{whole:,}.{rest // 10 ** (18 - places):0{places}d}"
