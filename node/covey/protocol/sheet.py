"""The score sheet: a validator's evidence for its row of scores. It never contains a record.

In a sealed task it has token counts and sums of negative log-likelihood per entry and stratum, so that anyone can
recompute the scores. In a local task it has only counts and rounded scores: sums over private records would reveal more
about them than the score does.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from covey.protocol.document import (
    AddressHex,
    DecimalText,
    Document,
    Hex32,
    Line,
    Name,
    Positive,
    Score,
    Strict,
    Version1,
)
from covey.protocol.entry import TaskReference

SHEET_NAME = "scores.json"
Verdict = Literal["scored", "near-copy", "invalid", "unavailable"]
DType = Literal["float32", "bfloat16", "float16", "float64"]


class Profile(Strict):
    """Hardware and software that computed the scores."""

    device: Line
    dtype: DType
    threads: Positive = 1
    software: Annotated[dict[Name, Name], Field(max_length=32)] = Field(default_factory=dict)


class Sample(Strict):
    """The scored part of a stratum, the same for all entries."""

    name: Name
    records: Positive
    tokens: Positive
    base_nll: DecimalText | None = None
    """Sum over all target tokens under the base, nats; sealed tasks only."""


class LaneScore(Strict):
    """The score of the entry in one lane and the reason for it."""

    lane: Annotated[int, Field(ge=0, le=0xFFFF)]
    score: Score
    verdict: Verdict
    """`invalid` (the file is at fault) and `unavailable` (no source had it) score 0, `near-copy` 1, `scored` ≥ 1."""
    reason: Line | None = None
    adapter_nll: Annotated[list[DecimalText], Field(max_length=64)] | None = None
    """Sums under the adapter, nats, one per stratum in the order of `strata`; sealed tasks only."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        allowed = {"scored": self.score >= 1, "near-copy": self.score == 1}.get(self.verdict, self.score == 0)
        if not allowed:
            raise ValueError(f"a score of {self.score} contradicts the verdict {self.verdict}")
        return self


class EntryScore(LaneScore):
    """A lane's score with the digest of the scored entry's CID."""

    digest: Hex32


class ScoreSheet(Document):
    """A validator's score sheet of one round, version 1."""

    title: ClassVar[str] = "score sheet"

    version: Version1 = 1
    task: TaskReference
    round: Annotated[int, Field(ge=0, le=255)] = 0
    operator: AddressHex
    base_digest: Hex32
    source: Literal["local", "sealed"]
    profile: Profile
    strata: Annotated[list[Sample], Field(max_length=64)]
    """Empty only if every entry scores 0, because the sealed set could not be had."""
    entries: Annotated[list[EntryScore], Field(min_length=1, max_length=1 << 16)]
    """One per lane of the task, in order."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if [entry.lane for entry in self.entries] != list(range(len(self.entries))):
            raise ValueError("entries must be in order of lane, without gaps")
        sealed = self.source == "sealed"
        if not self.strata and (not sealed or any(entry.score for entry in self.entries)):
            raise ValueError("strata can be empty only in a sealed sheet whose scores are all 0")
        if any((sample.base_nll is not None) != sealed for sample in self.strata):
            raise ValueError("base_nll is required for every stratum of a sealed sheet and not allowed in a local one")
        for entry in self.entries:
            expected = len(self.strata) if sealed and entry.verdict == "scored" else None
            actual = None if entry.adapter_nll is None else len(entry.adapter_nll)
            if actual != expected and not (sealed and entry.verdict == "near-copy"):
                raise ValueError(f"entry {entry.lane}: adapter_nll has {actual} sums, expected {expected}")
        return self

    def scores(self) -> list[int]:
        """The row to pack, by lane."""
        return [entry.score for entry in self.entries]
