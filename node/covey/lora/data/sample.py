"""Stratified subsamples of records. Does not import torch."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from covey.lora.data.records import Record
from covey.lora.errors import DataError


def subsample(
    records: Sequence[Record], weights: Mapping[str, float], minimum: Mapping[str, int], size: int, seed: str
) -> list[Record]:
    """Draw about ``size`` records without replacement, stratified in the proportions of ``weights``.

    Each stratum gets its weight's share of ``size``, but at least its ``minimum`` and at most the records available.
    The same arguments give the same sample. Raises DataError if a stratum has fewer records than its minimum: this
    operator cannot score this task.
    """
    sizes = stratified_sizes(weights, size)
    rng = random.Random(seed)
    sample: list[Record] = []
    for stratum in sorted(weights):
        available = [record for record in records if record.stratum == stratum]
        needed = max(1, minimum.get(stratum, 1))
        if len(available) < needed:
            raise DataError(
                f"stratum {stratum!r} needs {needed} held-out records, there are {len(available)}: add records"
            )
        count = min(len(available), max(needed, sizes[stratum]))
        sample.extend(rng.sample(available, count))
    return sample


def stratified_sizes(weights: Mapping[str, float], size: int) -> dict[str, int]:
    """Split ``size`` records between the strata by weight, at least one each."""
    total = sum(weights.values())
    return {stratum: max(1, round(size * weight / total)) for stratum, weight in weights.items()}
