"""Conversion of CVY amounts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.chain.units import cvy, to_wei


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
