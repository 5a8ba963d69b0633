"""Whether a spec can be met: by anyone at all, with its base, and by this machine. Does not import torch.

Whoever posts a task, trains for it or validates it asks the same functions, so that no task is posted that all nodes
decline, and no node joins a task whose promises it does not keep.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from covey.lora.adapters.export import weights_size
from covey.lora.adapters.loader import MAX_SCALING
from covey.lora.bases.shapes import TARGET_MODULES, adapter_shapes
from covey.lora.errors import JobError
from covey.lora.jobs.job import TrainingOptions
from covey.lora.training.settings import TrainSettings
from covey.protocol.spec import TaskSpec, TrainingHints

DEFAULT_STEPS = 48


def spec_problems(spec: TaskSpec) -> Iterator[str]:
    """Why nobody could meet the spec, whatever its base: each line begins with the field."""
    yield from _unkept_promises(spec)
    if unknown := sorted(set(spec.adapter.target_modules) - set(TARGET_MODULES)):
        yield f"adapter.target_modules: {', '.join(unknown)} cannot be adapted, only {', '.join(TARGET_MODULES)}"
    try:
        training_settings(spec, TrainingOptions(), 1)
    except JobError as error:
        yield str(error)
    if spec.evaluation.profile == "cuda-bfloat16" and spec.base.upcast == "float32":
        yield "evaluation.profile: cuda-bfloat16 contradicts base.upcast float32"
    most = (spec.evaluation.sequence_length - 1) * spec.evaluation.max_records
    for stratum in spec.strata:
        if stratum.min_tokens > most:
            yield (
                f"strata.{stratum.name}.min_tokens: {stratum.min_tokens} is more than the {most} tokens of max_records "
                "records of sequence_length"
            )


def base_problems(spec: TaskSpec, config: Mapping[str, Any]) -> Iterator[str]:
    """Why nobody could meet the spec with its base, whose ``config.json`` is given: each line begins with the field."""
    if (family := config.get("model_type")) != spec.base.family:
        yield f"base.family: {spec.base.family}, but the base is a {family} model"
    longest = config.get("max_position_embeddings")
    if isinstance(longest, int) and spec.evaluation.sequence_length > longest:
        yield f"evaluation.sequence_length: {spec.evaluation.sequence_length} is above the base's {longest} positions"
    targets = frozenset(spec.adapter.target_modules) & frozenset(TARGET_MODULES)
    size = weights_size(adapter_shapes(dict(config), spec.adapter.max_rank, targets))
    if size > spec.adapter.max_bytes:
        yield (
            f"adapter.max_bytes: an adapter of max_rank {spec.adapter.max_rank} has {size:,} bytes in float32, "
            f"more than {spec.adapter.max_bytes:,}"
        )


def entry_problem(spec: TaskSpec, config: Mapping[str, Any]) -> str | None:
    """Why the adapter that this node would train does not fit the task. None if it does, or if no job would run."""
    settings = training_settings(spec, TrainingOptions(), 1)
    size = weights_size(adapter_shapes(dict(config), settings.rank, settings.targets))
    if size <= spec.adapter.max_bytes:
        return None
    return f"an adapter of rank {settings.rank} has {size:,} bytes, the task allows {spec.adapter.max_bytes:,}"


def device_problem(spec: TaskSpec, device: str) -> str | None:
    """Why this machine, with the setting ``device``, cannot keep the spec's numeric profile."""
    if spec.evaluation.profile == "cuda-bfloat16" and not device.startswith("cuda"):
        return f"evaluation.profile: cuda-bfloat16 needs a GPU, and the setting device is {device}"
    return None


def job_device(spec: TaskSpec, device: str) -> str:
    """The device of a job: the CPU where the spec's profile demands it, else the setting ``device``."""
    return "cpu" if spec.evaluation.profile == "cpu-float32" else device


def _unkept_promises(spec: TaskSpec) -> Iterator[str]:
    """Fields that promise something that this version does not do."""
    if spec.privacy is not None:
        yield (
            "privacy: this version trains without differential privacy, so nobody can keep "
            f"max_epsilon {spec.privacy.max_epsilon}"
        )
    if spec.adapter.shared_a is not None:
        yield "adapter.shared_a: this version trains both matrices, so nobody can keep A frozen"
    if spec.aggregation is not None:
        yield f"aggregation: this version does not aggregate, so nobody can apply {spec.aggregation.rule}"


def training_settings(spec: TaskSpec, options: TrainingOptions, records: int, seed: int = 0) -> TrainSettings:
    """Merge a job's options, then the spec's hints, then the defaults. Raises JobError if the spec forbids them."""
    hints, adapter = spec.training or TrainingHints(), spec.adapter
    batch_records = options.batch_records or hints.batch_records or TrainSettings.batch_records
    steps = options.steps or hints.steps or DEFAULT_STEPS
    if options.epochs is not None:
        steps = max(1, math.ceil(Decimal(options.epochs) * records / batch_records))
    rank = options.rank or hints.rank or min(TrainSettings.rank, adapter.max_rank)
    rate = options.learning_rate or hints.learning_rate
    settings = TrainSettings(
        steps=steps,
        batch_records=batch_records,
        learning_rate=TrainSettings.learning_rate if rate is None else float(rate),
        warmup_steps=TrainSettings.warmup_steps if options.warmup_steps is None else options.warmup_steps,
        weight_decay=TrainSettings.weight_decay if options.weight_decay is None else float(options.weight_decay),
        rank=rank,
        alpha=options.alpha or hints.alpha or 2 * rank,
        targets=frozenset(options.target_modules or adapter.target_modules),
        seed=seed,
    )
    if settings.rank > adapter.max_rank:
        raise JobError(f"training.rank: {settings.rank} is above the {adapter.max_rank} that the task allows")
    if extra := sorted(settings.targets - set(adapter.target_modules)):
        raise JobError(f"training.target_modules: the task does not allow {', '.join(extra)}")
    if settings.alpha > MAX_SCALING * settings.rank:
        raise JobError(
            f"training.alpha: {settings.alpha} is more than {MAX_SCALING:g} times the rank {settings.rank}, "
            "which no validator loads"
        )
    if not 0 < settings.learning_rate < 1:
        raise JobError(f"training.learning_rate: {settings.learning_rate} is not between 0 and 1")
    return settings
