"""Similarity of adapters: copies, disguised copies, and independent adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.lora.fixtures import Trained

from covey.lora.adapters import similarity
from covey.lora.adapters.format import Adapter, AdapterHeader
from covey.lora.adapters.loader import AdapterLimits, load_adapter
from covey.lora.bases.resolve import BaseFolder
from covey.lora.bases.shapes import module_of, tensor_name
from covey.lora.jobs.dispatch import Runner


@pytest.fixture(scope="module")
def first(trained: Trained, tiny: BaseFolder) -> Adapter:
    return load_adapter(trained["first"][0], tiny.config, AdapterLimits())


@pytest.fixture(scope="module")
def second(trained: Trained, tiny: BaseFolder) -> Adapter:
    return load_adapter(trained["second"][0], tiny.config, AdapterLimits())


def changed(adapter: Adapter, arrays: dict[str, Any], alpha: float | None = None) -> Adapter:
    old = adapter.header
    return Adapter(AdapterHeader(old.rank, alpha or old.alpha, old.targets, old.tensors), arrays)


def delta(adapter: Adapter) -> np.ndarray[Any, Any]:
    """The full ΔW, flattened, which the module under test never forms."""
    modules = sorted({module_of(name)[0] for name in adapter.arrays})
    parts = [adapter.arrays[tensor_name(m, "B")] @ adapter.arrays[tensor_name(m, "A")] for m in modules]
    return np.concatenate([part.astype(np.float64).ravel() for part in parts]) * adapter.header.scaling


def test_cosine_equals_that_of_the_full_weight_changes(first: Adapter, second: Adapter) -> None:
    one, two = delta(first), delta(second)
    expected = one @ two / np.sqrt((one @ one) * (two @ two))
    assert similarity.cosine(first, second) == pytest.approx(expected, abs=1e-6)
    assert similarity.cosine(first, first) == pytest.approx(1.0)
    start = changed(second, {name: array * np.float32(0.3) for name, array in second.arrays.items()})
    one, two = one - delta(start), two - delta(start)
    expected = one @ two / np.sqrt((one @ one) * (two @ two))
    assert similarity.cosine(first, second, start) == pytest.approx(expected, abs=1e-6)


def test_refactored_copy_has_cosine_1(first: Adapter) -> None:
    rng = np.random.default_rng(0)
    arrays = dict(first.arrays)
    for module in {module_of(name)[0] for name in arrays}:
        gauge = rng.normal(size=(8, 8))
        a, b = tensor_name(module, "A"), tensor_name(module, "B")
        arrays[a] = (np.linalg.inv(gauge) @ arrays[a]).astype(np.float32)
        arrays[b] = (arrays[b] @ gauge * 0.5).astype(np.float32)
    copy = changed(first, arrays, alpha=first.header.alpha / 4)
    assert similarity.cosine(first, copy) == pytest.approx(1.0, abs=1e-4)


def test_noisy_copy_stays_above_the_threshold(first: Adapter) -> None:
    rng = np.random.default_rng(1)
    arrays = {
        name: (array + 0.2 * array.std() * rng.normal(size=array.shape)).astype(np.float32)
        for name, array in first.arrays.items()
    }
    assert similarity.cosine(first, changed(first, arrays)) > 0.8


def test_other_data_or_seed_stays_below_the_threshold(
    first: Adapter, second: Adapter, runner: Runner, train_job: Any, tiny: BaseFolder, tmp_path: Path
) -> None:
    assert abs(similarity.cosine(first, second)) < 0.8
    runner.run(train_job(tmp_path / "reseeded", seed=2))
    reseeded = load_adapter(tmp_path / "reseeded", tiny.config, AdapterLimits())
    assert abs(similarity.cosine(first, reseeded)) < 0.8


def test_adapter_without_a_change_has_cosine_0(first: Adapter) -> None:
    nothing = changed(first, {name: np.zeros_like(array) for name, array in first.arrays.items()})
    assert similarity.cosine(first, nothing) == 0.0


def test_correlation_of_loss_changes() -> None:
    base = np.array([5.0, 4.0, 3.0, 6.0])
    better = base - np.array([1.0, 0.5, 0.1, 2.0])
    assert similarity.change_correlation(base, better, base - 3 * (base - better)) == pytest.approx(1.0)
    assert similarity.change_correlation(base, better, base + (base - better)) == pytest.approx(-1.0)
    assert similarity.change_correlation(base, better, base) == 0.0
    assert similarity.change_correlation(base[:1], better[:1], better[:1]) == 0.0
