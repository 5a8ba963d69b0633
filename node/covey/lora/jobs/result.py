"""Results of jobs: frozen types, JSON at process borders. Does not import torch.

A result never holds a record. Fields that this version does not know are ignored, and fields that earlier versions did
not write have defaults, because a journal may hold results of earlier versions.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from covey.lora.errors import ResultError
from covey.protocol.document import Count, Score, Strict, describe_errors
from covey.protocol.entry import TrainingSettings
from covey.protocol.sheet import LaneScore, Profile, Sample

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Result(Strict):
    model_config = ConfigDict(extra="ignore")


class TrainResult(_Result):
    """A trained entry, written to `folder`."""

    kind: Literal["train"] = "train"
    folder: str
    losses: list[Finite]
    """Mean loss of each step, nats per token; empty where nothing was trained."""
    records: Count
    tokens_seen: Count
    """Target tokens over all steps, repeats counted."""
    seconds: Seconds = 0.0
    tokens_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    bytes: Count = 0
    """Size of the weights file."""
    settings: TrainingSettings | None = None
    """The settings used; None in results of early versions."""


class Improvement(Strict):
    """Relative improvement of held-out loss over the base, before rounding to a score."""

    improvement: Finite
    """Weighted over the strata by the spec."""
    strata: dict[str, Finite]


class ScoreResult(_Result):
    """One score per entry, in the form of a score sheet."""

    kind: Literal["score"] = "score"
    entries: Annotated[list[LaneScore], Field(min_length=1)]
    """Sorted by lane."""
    strata: Annotated[list[Sample], Field(min_length=1)]
    """The sample that was scored, in the order of the spec's strata."""
    profile: Profile
    seconds: Seconds = 0.0
    private: dict[int, Improvement] = Field(default_factory=dict)
    """Improvement by lane. For this operator only: it reveals more about the held-out records than the score does."""

    def scores(self) -> dict[int, int]:
        """Score by lane."""
        return {entry.lane: entry.score for entry in self.entries}

    def reasons(self) -> dict[int, str]:
        """Reason by lane, for the entries that have one."""
        return {entry.lane: entry.reason for entry in self.entries if entry.reason is not None}


class Bootstrap(Strict):
    """Spread of scores between samples of records, and the h and τ that it recommends."""

    samples: Count
    records: Count
    """Records per sample."""
    spread: Finite
    """Root mean square of `spreads`."""
    spreads: list[Finite]
    """Standard deviation of each adapter's score between samples, in units of score."""
    h: Count
    tau: Count


class EvaluateResult(_Result):
    """Improvement of each adapter on all records of a common set. Keys are the names that the job gives."""

    kind: Literal["evaluate"] = "evaluate"
    improvement: dict[str, Finite]
    strata: dict[str, dict[str, Finite]]
    """Improvement by adapter and stratum."""
    scores: dict[str, Score]
    """Unrounded scores."""
    refused: dict[str, str] = Field(default_factory=dict)
    """Reason by name of each adapter that was refused."""
    base_loss: dict[str, Finite] = Field(default_factory=dict)
    """Loss of the base by stratum, nats per token."""
    records: Count
    tokens: Count = 0
    seconds: Seconds = 0.0
    bootstrap: Bootstrap | None = None


class ProbeResult(_Result):
    """Software and hardware of a worker."""

    kind: Literal["probe"] = "probe"
    profile: Profile


def _kind_of(value: Any) -> str | None:
    """Tag of a result. Results of early versions have no `kind`; a field that only one kind has identifies them."""
    if not isinstance(value, dict):
        return getattr(value, "kind", None)
    if "kind" in value:
        kind = value["kind"]
        return kind if isinstance(kind, str) else None
    by_field = {"losses": "train", "entries": "score", "improvement": "evaluate", "profile": "probe"}
    return next((kind for field, kind in by_field.items() if field in value), None)


Result = Annotated[
    Annotated[TrainResult, Tag("train")]
    | Annotated[ScoreResult, Tag("score")]
    | Annotated[EvaluateResult, Tag("evaluate")]
    | Annotated[ProbeResult, Tag("probe")],
    Discriminator(_kind_of),
]
"""The result of a job of the same `kind`."""
_ANY_RESULT: TypeAdapter[Result] = TypeAdapter(Result)


def parse_result(data: str | bytes) -> Result:
    """Validate a result in JSON, for instance from a journal. Raises ResultError in one line."""
    try:
        return _ANY_RESULT.validate_json(data)
    except ValidationError as error:
        raise ResultError(describe_errors(error, "result")) from None
