"""How far apart honest validators' scores lie, by resampling records; from it a task's h and τ. Imports numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from covey.lora.errors import DataError
from covey.protocol import quantise

Losses = npt.NDArray[np.float64]
H_SPREADS, TAU_SPREADS = 1.5, 4.0


@dataclass(frozen=True)
class Bootstrap:
    """Spread (score units) of an entry's score between samples of ``records`` records, and the h and τ it gives.

    ``spreads`` holds each adapter's own; ``spread`` is their root mean square.
    """

    samples: int
    records: int
    spread: float
    spreads: tuple[float, ...]

    @property
    def h(self) -> int:
        """1.5 spreads: a distance from the median that costs nothing."""
        return max(1, round(H_SPREADS * self.spread))

    @property
    def tau(self) -> int:
        """4 spreads: where a distance stops to count more."""
        return max(self.h + 1, round(TAU_SPREADS * self.spread))


def score_spread(
    base: Losses,
    adapters: Sequence[Losses],
    strata: Sequence[str],
    weights: Mapping[str, float],
    sizes: Mapping[str, int],
    samples: int = 400,
    seed: int = 0,
) -> Bootstrap:
    """Resample records with replacement, ``sizes`` of each stratum, and take the standard deviation of each score.

    ``base`` and every one of ``adapters`` hold the summed NLL a record, (records,); base and adapters are resampled
    together, as a validator scores them on the same records. Raises DataError for a stratum without records.
    """
    if samples < 2 or not adapters:
        raise DataError("a bootstrap needs at least two samples and one adapter")
    rng = np.random.default_rng(seed)
    labels = np.array(strata)
    total = sum(weights.values())
    scores = np.zeros((len(adapters), samples))
    improvements = np.zeros((len(adapters), samples))
    for name in sorted(weights):
        rows = np.flatnonzero(labels == name)
        if rows.size == 0:
            raise DataError(f"no record of stratum {name!r} to resample")
        drawn = rng.choice(rows, size=(samples, sizes[name]))
        of_base = base[drawn].sum(axis=1)
        for index, losses in enumerate(adapters):
            improvements[index] += weights[name] / total * (of_base - losses[drawn].sum(axis=1)) / of_base
    for index in range(len(adapters)):
        scores[index] = [quantise.score(float(value)) for value in improvements[index]]
    spreads = scores.std(axis=1, ddof=1)
    counted = sum(sizes[name] for name in weights)
    return Bootstrap(samples, counted, float(np.sqrt((spreads**2).mean())), tuple(float(s) for s in spreads))
