"""Stratified subsamples of records. Does not import torch."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from covey.lora.data.records import Record
from covey.lora.errors import DataError

_CHUNK = 256


def subsample(
    records: Sequence[Record], weights: Mapping[str, float], minimum: Mapping[str, int], size: int, seed: str
) -> list[Record]:
    """Draw about ``size`` records without replacement, stratified in the proportions of ``weights``.

    Each stratum gets its weight's share of ``size``, but at least its ``minimum`` and at most the records available.
    The same arguments give the same sample. Raises DataError if a stratum has fewer records than its minimum: this
    operator cannot score this task.
    """
    by_stratum = {name: [record for record in records if record.stratum == name] for name in weights}
    sizes = drawn_sizes({name: len(found) for name, found in by_stratum.items()}, weights, minimum, size)
    rng = random.Random(seed)
    sample: list[Record] = []
    for stratum in sorted(weights):
        sample.extend(rng.sample(by_stratum[stratum], sizes[stratum]))
    return sample


def drawn_sizes(
    available: Mapping[str, int], weights: Mapping[str, float], minimum: Mapping[str, int], size: int
) -> dict[str, int]:
    """Number of records that `subsample` draws from each stratum, which has ``available`` ones.

    Raises DataError if a stratum has fewer than its minimum.
    """
    sizes = stratified_sizes(weights, size)
    for stratum in sorted(weights):
        needed, found = max(1, minimum.get(stratum, 1)), available.get(stratum, 0)
        if found < needed:
            raise DataError(f"stratum {stratum!r} needs {needed} held-out records, there are {found}: add records")
        sizes[stratum] = min(found, max(needed, sizes[stratum]))
    return sizes


def stratified_sizes(weights: Mapping[str, float], size: int) -> dict[str, int]:
    """Split ``size`` records between the strata by weight, at least one each.

    The parts add up to ``size`` unless a stratum gets its one record beyond its share (largest remainders).
    """
    total = sum(weights.values())
    shares = {stratum: size * weight / total for stratum, weight in weights.items()}
    sizes = {stratum: int(share) for stratum, share in shares.items()}
    by_remainder = sorted(shares, key=lambda stratum: (sizes[stratum] - shares[stratum], stratum))
    for stratum in by_remainder[: size - sum(sizes.values())]:
        sizes[stratum] += 1
    return {stratum: max(1, count) for stratum, count in sizes.items()}


def top_up(
    sample: Sequence[Record],
    records: Sequence[Record],
    min_tokens: Mapping[str, int],
    count: Callable[[Sequence[Record]], Sequence[int]],
    seed: str,
) -> list[Record]:
    """The sample, with further records of each stratum until it has the stratum's ``min_tokens``.

    Whether an operator can score a task then depends on its records, not on the draw: it can if all of a stratum's
    records have the tokens together. ``count`` gives the target tokens of each record. The same arguments give the same
    records. Raises DataError if a stratum has fewer tokens than its minimum.
    """
    rng = random.Random(f"{seed}/more")
    drawn = {id(record) for record in sample}
    result = list(sample)
    for stratum, needed in sorted(min_tokens.items()):
        have = sum(count([record for record in sample if record.stratum == stratum]))
        rest = [record for record in records if record.stratum == stratum and id(record) not in drawn]
        rng.shuffle(rest)
        while have < needed and rest:
            chunk, rest = rest[:_CHUNK], rest[_CHUNK:]
            for record, tokens in zip(chunk, count(chunk), strict=True):
                if have < needed:
                    result.append(record)
                    have += tokens
        if have < needed:
            raise DataError(f"stratum {stratum!r} has {have} tokens, needs {needed}: add records")
    return result
