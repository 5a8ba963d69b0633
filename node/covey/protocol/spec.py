"""The task spec, version 1: all off-chain parameters that trainers and validators must agree on.

Its canonical bytes are stored under the CID whose digest the task has on chain. Fractions are integers out of 10,000,
so that every number has one spelling.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from covey.protocol.document import (
    PER,
    Count,
    DecimalText,
    Document,
    Fraction,
    Hex32,
    Line,
    Name,
    Positive,
    Strict,
    Version1,
)

MAX_H = 16_383
"""2h fits into a lane."""
MAX_TAU = 4_095
"""The sum of sixteen clipped losses is below 2^16 - 1."""
Small = Annotated[int, Field(ge=1, le=1 << 20)]


class Base(Strict):
    """The pinned base model."""

    name: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9][A-Za-z0-9_.+-]*)?$")]
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    digest: Hex32
    """sha2-256 over config, weights and tokenizer as stored bytes."""
    family: Literal["qwen2", "qwen3"]
    upcast: Literal["none", "float32"] = "float32"
    """Type to which stored bf16 weights are converted before any computation."""


class Adapter(Strict):
    """Limits on entries."""

    target_modules: Annotated[list[Name], Field(min_length=1, max_length=32)]
    """Allowed module names, for example q_proj, sorted."""
    max_rank: Annotated[int, Field(ge=1, le=1024)]
    max_bytes: Annotated[int, Field(ge=1, le=1 << 34)]
    """Largest adapter_model.safetensors, bytes."""
    shared_a: Hex32 | None = None
    """Digest of the frozen A matrices that every entry must have, if the task fixes them."""

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        if self.target_modules != sorted(set(self.target_modules)):
            raise ValueError("target_modules must be sorted and distinct")
        return self


class Stratum(Strict):
    """A part of the data domain, scored separately and weighted by the spec, not by a validator's own mix."""

    name: Name
    weight: Annotated[int, Field(ge=1, le=PER)]
    """Share of the score, 1/10000; the weights of all strata add up to 10,000."""
    min_records: Positive
    min_tokens: Positive


class EvaluationSpec(Strict):
    """How entries are scored."""

    source: Literal["local", "sealed"]
    sequence_length: Annotated[int, Field(ge=8, le=1 << 20)]
    """Maximum length of a record, tokens; longer ones are cut."""
    min_records: Positive
    max_records: Positive
    """A validator scores a fresh subsample of `min_records` to `max_records` records."""
    profile: Literal["cpu-float32", "cuda-bfloat16", "any"] = "any"
    """Numeric profile that validators must use."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_records < self.min_records:
            raise ValueError("max_records is below min_records")
        return self


class NearCopy(Strict):
    """Thresholds above which (both) an entry is a near-copy of an earlier one and scores 1."""

    cosine: Fraction = 8_000
    """Cosine of the adapters' weight changes, 1/10000; 9,000 is usual with a shared A."""
    correlation: Fraction = 9_000
    """Correlation of the changes of loss over records, 1/10000."""


class Bootstrap(Strict):
    """The resampling from which h and tau were derived."""

    samples: Positive
    records: Positive
    spread: Count
    """Standard deviation of an entry's score between samples of that many records, score units."""


class ScoringSpec(Strict):
    """Parameters of settlement; they must equal the task's on chain."""

    h: Annotated[int, Field(ge=0, le=MAX_H)]
    tau: Annotated[int, Field(ge=1, le=MAX_TAU)]
    floor: Annotated[int, Field(ge=1, le=0x7FFF)] = 655
    bootstrap: Bootstrap | None = None


class TrainingHints(Strict):
    """The creator's suggestions, which are not checked."""

    rank: Small | None = None
    alpha: Small | None = None
    steps: Small | None = None
    batch_records: Small | None = None
    learning_rate: DecimalText | None = None
    note: Line | None = None


class AggregationSpec(Strict):
    """How accepted updates of a federated round become the next global adapter."""

    rule: Literal["shared-a-mean", "coordinate-median", "trimmed-mean", "centred-clipping", "stacking"]
    trim: Fraction | None = None
    """Share cut from each side by a trimmed mean, 1/10000."""
    clip: DecimalText | None = None
    """Radius of centred clipping."""
    rounds: Positive = 1


class PrivacySpec(Strict):
    """Minimum privacy that an entry's manifest must account for."""

    max_epsilon: DecimalText
    delta: DecimalText
    max_gradient_norm: DecimalText | None = None


class TaskSpec(Document):
    """A task spec, version 1."""

    title: ClassVar[str] = "task spec"

    version: Version1 = 1
    base: Base
    adapter: Adapter
    domain: Line
    """The data domain in words."""
    strata: Annotated[list[Stratum], Field(min_length=1, max_length=64)]
    evaluation: EvaluationSpec
    near_copy: NearCopy = NearCopy()
    rounding_step: Annotated[int, Field(ge=1, le=4_096)] = 64
    """Local scores are rounded to multiples of this above 1, score units."""
    scoring: ScoringSpec
    training: TrainingHints | None = None
    aggregation: AggregationSpec | None = None
    privacy: PrivacySpec | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [stratum.name for stratum in self.strata]
        if len(set(names)) != len(names):
            raise ValueError("two strata have the same name")
        total = sum(stratum.weight for stratum in self.strata)
        if total != PER:
            raise ValueError(f"the weights of the strata add up to {total}, not {PER}")
        needed = sum(stratum.min_records for stratum in self.strata)
        if self.evaluation.max_records < needed:
            raise ValueError(f"max_records {self.evaluation.max_records} is below the {needed} that the strata need")
        return self
