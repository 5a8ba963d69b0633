"""Quantises a relative improvement of loss to the 15-bit score on chain, in exact integer arithmetic.

A score is 0 for an invalid or unavailable file, 1 for a valid adapter that is no better than the base or is a
near-copy, and otherwise ``1 + ⌊32766·clamp(r, 0, 1) + ½⌋`` for the relative improvement r of held-out loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

MAX_SCORE = 32_767
INVALID = 0
NO_GAIN = 1
DEFAULT_STEP = 64
_SCALE = MAX_SCORE - NO_GAIN


def weighted_improvement(
    base: Mapping[str, float], adapter: Mapping[str, float], weights: Mapping[str, float]
) -> float:
    """r = Σ weight·(L_base − L_adapter)/L_base over the strata, with weights normalised to sum 1.

    ``base`` and ``adapter`` are losses by stratum: mean or summed NLL over the same tokens (the ratio is the same).
    Raises KeyError for a stratum without a loss, ValueError for a loss that is not finite or a base loss not above 0.
    """
    total = math.fsum(weights.values())
    if not total > 0 or any(weight < 0 for weight in weights.values()):
        raise ValueError("the weights of the strata must not be negative, and at least one must be positive")
    return math.fsum(
        weight / total * relative_improvement(base[stratum], adapter[stratum])
        for stratum, weight in sorted(weights.items())
    )


def relative_improvement(base: float, adapter: float) -> float:
    """(L_base − L_adapter)/L_base; negative if the adapter is worse than the base."""
    if not (math.isfinite(base) and math.isfinite(adapter) and base > 0):
        raise ValueError(f"losses must be finite and the base loss positive: base {base}, adapter {adapter}")
    return (base - adapter) / base


def score(improvement: float) -> int:
    """``1 + ⌊32766·clamp(r, 0, 1) + ½⌋``, computed exactly from the float's integer ratio. In 1…32767."""
    if not math.isfinite(improvement):
        raise ValueError(f"an improvement must be finite: {improvement}")
    numerator, denominator = min(max(improvement, 0.0), 1.0).as_integer_ratio()
    return NO_GAIN + (2 * _SCALE * numerator + denominator) // (2 * denominator)


def round_score(value: int, step: int = DEFAULT_STEP) -> int:
    """Round a local score to a step: ``1 + min(step·⌊(score−1)/step + ½⌋, 32766)``. An invalid 0 stays 0."""
    if not 0 <= value <= MAX_SCORE:
        raise ValueError(f"a score is in 0…{MAX_SCORE}: {value}")
    if step < 1:
        raise ValueError(f"a rounding step is at least 1: {step}")
    if value == INVALID:
        return INVALID
    return NO_GAIN + min(step * ((2 * (value - NO_GAIN) + step) // (2 * step)), _SCALE)
