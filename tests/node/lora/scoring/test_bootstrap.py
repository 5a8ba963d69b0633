"""Spread of scores between samples of records."""

from __future__ import annotations

import numpy as np
import pytest

from covey.lora.errors import DataError
from covey.lora.scoring.bootstrap import score_spread


def losses(noise: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    base = rng.uniform(50, 150, count)
    return base, base * (0.75 + noise * rng.normal(size=count)), ["a", "b"] * (count // 2)


def test_spread_is_that_of_fresh_samples() -> None:
    base, adapter, strata = losses(0.1)
    weights, sizes = {"a": 0.5, "b": 0.5}, {"a": 100, "b": 100}
    found = score_spread(base, [adapter], strata, weights, sizes)
    # r's error over n records is about 0.1·sqrt(E[w²])/sqrt(n) for weights w = loss / mean loss
    expected = 32766 * 0.1 * float(np.sqrt(np.mean((base / base.mean()) ** 2) / 200))
    assert found.spread == pytest.approx(expected, rel=0.15)
    assert found.records == 200
    assert (found.h, found.tau) == (round(1.5 * found.spread), round(4 * found.spread))
    more = score_spread(base, [adapter], strata, weights, {"a": 400, "b": 400})
    assert more.spread == pytest.approx(found.spread / 2, rel=0.15)


def test_spread_is_deterministic_for_a_seed() -> None:
    base, adapter, strata = losses(0.1, 100)
    args = (base, [adapter], strata, {"a": 1.0, "b": 1.0}, {"a": 10, "b": 10})
    assert score_spread(*args, seed=1) == score_spread(*args, seed=1) != score_spread(*args, seed=2)


def test_bootstrap_without_records_or_adapters_is_refused() -> None:
    base, adapter, strata = losses(0.1, 10)
    with pytest.raises(DataError, match="'c'"):
        score_spread(base, [adapter], strata, {"c": 1.0}, {"c": 10})
    with pytest.raises(DataError, match="at least two samples and one adapter"):
        score_spread(base, [], strata, {"a": 1.0}, {"a": 10})
