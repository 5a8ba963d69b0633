"""Spread of honest validators' scores by resampling records, and the h and τ that follow from it.

Imports numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from covey.lora.errors import DataError
from covey.lora.types import Losses
from covey.protocol import quantise

H_SPREADS, TAU_SPREADS = 1.5, 4.0


@dataclass(frozen=True)
class Spread:
    """Spread of an entry's score between samples of ``records`` records, in units of score.

    ``spreads`` has one value per adapter; ``spread`` is their root mean square.
    """

    samples: int
    records: int
    spread: float
    spreads: tuple[float, ...]

    @property
    def h(self) -> int:
        """1.5 spreads: the distance from the median that costs nothing."""
        return max(1, round(H_SPREADS * self.spread))

    @property
    def tau(self) -> int:
        """4 spreads: the distance beyond which the loss stops growing."""
        return max(self.h + 1, round(TAU_SPREADS * self.spread))


def score_spread(
    base: Losses,
    adapters: Sequence[Losses],
    strata: Sequence[str],
    weights: Mapping[str, float],
    sizes: Mapping[str, int],
    samples: int = 400,
    seed: int = 0,
) -> Spread:
    """Resample records with replacement, ``sizes`` per stratum, and take the standard deviation of each score.

    ``base`` and each of ``adapters`` are summed losses (records,). Base and adapters are resampled together, as a
    validator scores them on the same records. Raises DataError for a stratum without records.
    """
    if samples < 2 or not adapters:
        raise DataError("a bootstrap needs at least two samples and one adapter")
    rng = np.random.default_rng(seed)
    labels = np.array(strata)  # (records,)
    total = sum(weights.values())
    improvements = np.zeros((len(adapters), samples))  # (adapters, samples)
    for name in sorted(weights):
        rows = np.flatnonzero(labels == name)
        if rows.size == 0:
            raise DataError(f"no record of stratum {name!r} to resample")
        drawn = rng.choice(rows, size=(samples, sizes[name]))  # (samples, records of the stratum)
        base_sums = base[drawn].sum(axis=1)  # (samples,)
        for index, losses in enumerate(adapters):
            improvements[index] += weights[name] / total * (base_sums - losses[drawn].sum(axis=1)) / base_sums
    scores = np.array([[quantise.score(float(value)) for value in row] for row in improvements], dtype=np.float64)
    spreads = scores.std(axis=1, ddof=1)  # (adapters,)
    records = sum(sizes[name] for name in weights)
    return Spread(samples, records, float(np.sqrt((spreads**2).mean())), tuple(float(value) for value in spreads))
