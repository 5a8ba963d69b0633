"""Scores of relative improvements."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol import quantise


@pytest.mark.parametrize(
    ("improvement", "score"),
    [(-3.0, 1), (0.0, 1), (0.4 / 32766, 1), (0.6 / 32766, 2), (0.02, 656), (0.25, 8193), (1.0, 32767), (7.0, 32767)],
)
def test_known_scores(improvement: float, score: int) -> None:
    assert quantise.score(improvement) == score


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_score_equals_the_formula_exactly(improvement: float) -> None:
    clamped = min(max(Fraction(improvement), Fraction(0)), Fraction(1))
    assert quantise.score(improvement) == 1 + math.floor(32766 * clamped + Fraction(1, 2))


@given(st.integers(1, 32767), st.integers(1, 4096))
def test_rounding_equals_the_formula(score: int, step: int) -> None:
    expected = 1 + min(step * math.floor(Fraction(score - 1, step) + Fraction(1, 2)), 32766)
    rounded = quantise.round_score(score, step)
    assert rounded == expected
    assert 1 <= rounded <= 32767
    assert rounded == 32767 or abs(rounded - score) <= step / 2


def test_rounding_keeps_invalid_and_maximum_scores() -> None:
    assert quantise.round_score(0) == 0
    assert quantise.round_score(32767) == 32767
    assert quantise.round_score(33) == 65


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_values_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        quantise.score(value)
    with pytest.raises(ValueError, match="finite"):
        quantise.relative_improvement(1.0, value)


@pytest.mark.parametrize(("value", "step"), [(-1, 64), (32768, 64), (5, 0)])
def test_rounding_refuses_bad_scores_and_steps(value: int, step: int) -> None:
    with pytest.raises(ValueError, match="is"):
        quantise.round_score(value, step)


def test_strata_are_weighted_by_the_spec() -> None:
    base, adapter = {"a": 100.0, "b": 1.0, "unused": 1.0}, {"a": 50.0, "b": 1.0, "unused": 9.0}
    assert quantise.weighted_improvement(base, adapter, {"a": 1, "b": 3}) == pytest.approx(0.125)
    with pytest.raises(KeyError):
        quantise.weighted_improvement(base, adapter, {"c": 1})
    with pytest.raises(ValueError, match="weights"):
        quantise.weighted_improvement(base, adapter, {"a": 0})
    with pytest.raises(ValueError, match="positive"):
        quantise.relative_improvement(0.0, 1.0)
