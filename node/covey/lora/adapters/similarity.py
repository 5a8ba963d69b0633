"""Is one adapter a copy of another? Two measures, both blind to how ΔW is factored. Imports numpy only.

The cosine of the weight changes ΔW = alpha/rank · B·A is computed from rank × rank Gram matrices: with
⟨B₁A₁, B₂A₂⟩ = tr((B₁ᵀB₂)(A₂A₁ᵀ)), no ΔW is ever formed, and B·G, G⁻¹·A counts as the same adapter.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from covey.lora.adapters.loader import Adapter
from covey.lora.bases.shapes import module_of

Losses = npt.NDArray[np.float64]


def inner_product(first: Adapter, second: Adapter) -> float:
    """⟨ΔW₁, ΔW₂⟩ summed over the modules both adapt, float64."""
    left, right = _factors(first), _factors(second)
    total = 0.0
    for module in sorted(left.keys() & right.keys()):
        (a1, b1), (a2, b2) = left[module], right[module]
        total += float(np.sum((b1.T @ b2) * (a1 @ a2.T)))
    return total * first.header.scaling * second.header.scaling


def cosine(first: Adapter, second: Adapter, start: Adapter | None = None) -> float:
    """Cosine of the two weight changes, less that of the adapter both started from, in −1…1.

    0 where one of them changes nothing.
    """
    cross, one, two = inner_product(first, second), inner_product(first, first), inner_product(second, second)
    if start is not None:
        own, first_start, second_start = (
            inner_product(start, start),
            inner_product(first, start),
            inner_product(second, start),
        )
        cross += own - first_start - second_start
        one += own - 2 * first_start
        two += own - 2 * second_start
    if one <= 0 or two <= 0:
        return 0.0
    return max(-1.0, min(1.0, cross / math.sqrt(one * two)))


def change_correlation(base: Losses, first: Losses, second: Losses) -> float:
    """Pearson correlation over records of the two adapters' changes of loss, each array (records,) in nats a token.

    0 where one of them changes no record, or for fewer than two records.
    """
    one, two = first - base, second - base
    if one.size < 2:
        return 0.0
    one, two = one - one.mean(), two - two.mean()
    scale = math.sqrt(float(one @ one) * float(two @ two))
    return 0.0 if scale == 0 else float(one @ two) / scale


def _factors(adapter: Adapter) -> dict[str, tuple[Losses, Losses]]:
    modules: dict[str, dict[str, Losses]] = {}
    for tensor, array in adapter.arrays.items():
        module, kind = module_of(tensor)
        modules.setdefault(module, {})[kind] = array.astype(np.float64)
    return {module: (pair["A"], pair["B"]) for module, pair in modules.items()}
