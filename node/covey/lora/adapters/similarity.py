"""Two similarity measures that detect near-copies of an adapter. Imports numpy only.

Neither measure depends on how the weight change ΔW = alpha/rank · B·A is factored: B·G and G⁻¹·A are the same adapter.
The cosine of two weight changes is computed from rank × rank Gram matrices, ⟨B₁A₁, B₂A₂⟩ = tr((B₁ᵀB₂)(A₂A₁ᵀ)), without
forming ΔW.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from covey.lora.adapters.format import Adapter
from covey.lora.bases.shapes import module_of
from covey.lora.types import Losses

Matrix = npt.NDArray[np.float64]


def inner_product(first: Adapter, second: Adapter) -> float:
    """⟨ΔW₁, ΔW₂⟩ summed over the modules that both adapters change, float64."""
    left, right = _factors(first), _factors(second)
    total = 0.0
    for module in sorted(left.keys() & right.keys()):
        (a1, b1), (a2, b2) = left[module], right[module]  # a: (rank, inputs), b: (outputs, rank)
        total += float(np.sum((b1.T @ b2) * (a1 @ a2.T)))  # Gram matrices: (rank of first, rank of second)
    return total * first.header.scaling * second.header.scaling


def cosine(first: Adapter, second: Adapter, start: Adapter | None = None) -> float:
    """Cosine of the two weight changes in −1…1, each less the change of ``start``, the adapter both started from.

    0 if either adapter changes nothing.
    """
    cross = inner_product(first, second)
    first_square, second_square = inner_product(first, first), inner_product(second, second)
    if start is not None:
        start_square = inner_product(start, start)
        first_start, second_start = inner_product(first, start), inner_product(second, start)
        cross += start_square - first_start - second_start
        first_square += start_square - 2 * first_start
        second_square += start_square - 2 * second_start
    if first_square <= 0 or second_square <= 0:
        return 0.0
    return max(-1.0, min(1.0, cross / math.sqrt(first_square * second_square)))


def change_correlation(base: Losses, first: Losses, second: Losses) -> float:
    """Pearson correlation over records of the two adapters' changes of the base's loss, in nats per token.

    0 if either adapter changes no record, and for fewer than two records.
    """
    first_change, second_change = first - base, second - base  # (records,)
    if first_change.size < 2:
        return 0.0
    first_change, second_change = first_change - first_change.mean(), second_change - second_change.mean()
    scale = math.sqrt(float(first_change @ first_change) * float(second_change @ second_change))
    return 0.0 if scale == 0 else float(first_change @ second_change) / scale


def _factors(adapter: Adapter) -> dict[str, tuple[Matrix, Matrix]]:
    """A (rank, inputs) and B (outputs, rank) of each module, float64."""
    modules: dict[str, dict[str, Matrix]] = {}
    for tensor, array in adapter.arrays.items():
        module, kind = module_of(tensor)
        modules.setdefault(module, {})[kind] = array.astype(np.float64)
    return {module: (pair["A"], pair["B"]) for module, pair in modules.items()}
