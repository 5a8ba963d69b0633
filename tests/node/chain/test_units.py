"""Conversion of CVY amounts, and chain times as text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.chain.units import cvy, format_cvy, format_time, to_wei


@given(st.integers(0, 10**26))
def test_amounts_round_trip(amount: int) -> None:
    assert to_wei(cvy(amount)) == amount
    assert to_wei(format(Decimal(amount).scaleb(-18), "f")) == amount


@pytest.mark.parametrize("bad", ["", "x", "-1", "nan", "inf", "1e-19", "1e-99999999", "1e27", "1 2", "0x10"])
def test_malformed_amount_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"CVY|decimals"):
        to_wei(bad)


def test_amounts_are_formatted_exactly() -> None:
    assert cvy(0) == "0 CVY"
    assert cvy(12_500_000_000_000_000_000) == "12.5 CVY"
    assert cvy(-1) == "-0.000000000000000001 CVY"


@pytest.mark.parametrize(
    ("amount", "places", "text"),
    [(0, 4, "0.0000"), (10**18, 0, "1"), (1234567 * 10**15, 2, "1,234.56"), (10**14 - 1, 4, "0.0000")],
)
def test_amount_is_rounded_down(amount: int, places: int, text: str) -> None:
    assert format_cvy(amount, places) == text


def test_time_is_in_utc_and_zero_is_a_dash() -> None:
    assert format_time(0) == "–"
    assert format_time(86_400) == "1970-01-02 00:00:00"
