"""The result of a demo run, `result.json`: the source of the tables and the HTML report.

Amounts are decimal strings of wei, which a JSON number cannot hold. Scores and medians are the chain's 15-bit units.
Improvements are fractions of the base's held-out loss.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from covey.chain.units import format_cvy


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LossPoint(_Part):
    """Training loss after `step` optimiser steps, nats per token."""

    step: int
    loss: float


class EntryResult(_Part):
    """One trainer's entry, from training to reward."""

    name: str
    operator: str
    honest: bool
    lane: int
    digest: str
    tokens_seen: int
    true_improvement: float = Field(
        description="relative improvement of held-out loss on the common set, weighted by stratum"
    )
    median: int
    weight: str
    reward_wei: str
    losses: list[LossPoint]


class ValidatorResult(_Part):
    """One validator's row, from seats to reward."""

    name: str
    operator: str
    honest: bool
    seats: int
    loss: int
    gain: int
    reward_wei: str
    scores: list[int] = Field(description="by lane; empty if the row was not revealed")


class Matrix(_Part):
    """Held-out improvement per entry (rows) and stratum (columns); `own` lists the strata each entry was trained on."""

    rows: list[str]
    columns: list[str]
    values: list[list[float]]
    own: list[list[str]]


class Rules(_Part):
    """The parameters and pools that determine rewards."""

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
    """The local chain and the task on it."""

    chain_id: int
    task_id: int
    first_block: int
    last_block: int
    skipped_s: int = Field(description="chain time that the driver skipped at the ends of windows, seconds")
    contracts: dict[str, str]


class Base(_Part):
    """The base model."""

    name: str
    digest: str
    parameters: int


class Check(_Part):
    """Result of the audit: the events replayed by the rules."""

    checked: int
    differences: list[str]
    unavailable: list[str] = []


class Phase(_Part):
    """Wall time of one phase of the run."""

    name: str
    seconds: float


class DemoResult(_Part):
    """The result of a demo run."""

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
    """Amount of CVY with a fixed number of decimals, rounded down, thousands separated."""
    return format_cvy(int(wei), places)
