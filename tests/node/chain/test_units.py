"""Conversion of CVY amounts, and chain times as text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.chain.units import CVY, about_cvy, cvy, format_cvy, format_time, to_wei


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
    assert cvy(-1) == "−0.000000000000000001 CVY"
    assert cvy(10 * CVY) == "10 CVY"


@pytest.mark.parametrize(
    ("amount", "places", "text"),
    [
        (0, 4, "0.0000"),
        (0, 0, "0"),
        (10**18, 0, "1"),
        (1234567 * 10**15, 2, "1,234.56"),
        (10**14, 4, "0.0001"),
        (10**14 - 1, 4, "<0.0001"),
        (1, 0, "<1"),
        (1, 18, "0.000000000000000001"),
        (-1, 4, ">−0.0001"),
        (-(10**14), 4, "−0.0001"),
        (-1_046_900_000_000_000_000, 4, "−1.0469"),
        (-1_046_950_000_000_000_000, 4, "−1.0469"),
        (-1_234_567_000_000_000_000_000, 2, "−1,234.56"),
    ],
)
def test_amount_is_cut_towards_zero(amount: int, places: int, text: str) -> None:
    assert format_cvy(amount, places) == text


@given(st.integers(-(10**30), 10**30), st.integers(0, 18))
def test_a_shown_amount_is_the_amount_cut_off(amount: int, places: int) -> None:
    """Whatever the sign: the digits are those of the exact amount, and no amount but zero looks like zero."""
    text, step = format_cvy(amount, places), 10 ** (18 - places)
    shown = text.lstrip("<>").replace("−", "-").replace(",", "")
    read_back = int(Decimal(shown).scaleb(18))
    if text[0] in "<>":
        assert 0 < abs(amount) < abs(read_back) == step
    else:
        assert 0 <= abs(amount) - abs(read_back) < step
        assert (read_back == 0) == (amount == 0)
    assert (text.lstrip("<>").startswith("−")) == (amount < 0)
    assert format_cvy(-amount, places).translate(str.maketrans("", "", "−<>")) == text.translate(
        str.maketrans("", "", "−<>")
    )


@given(st.integers(-(10**30), 10**30))
def test_an_amount_in_a_sentence_has_at_most_four_decimals(amount: int) -> None:
    text = about_cvy(amount)
    number = text.removesuffix(" CVY")
    assert text.endswith(" CVY")
    assert len(number.partition(".")[2]) <= 4
    assert Decimal(number.strip("<>").replace("−", "-").replace(",", "")) == Decimal(
        format_cvy(amount).strip("<>").replace("−", "-").replace(",", "")
    )
    assert (number == "0") == (amount == 0)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 CVY"), (100 * CVY, "100 CVY"), (1, "<0.0001 CVY"), (-CVY, "−1 CVY"), (1234567 * 10**14, "123.4567 CVY")],
)
def test_amounts_in_sentences(amount: int, text: str) -> None:
    assert about_cvy(amount) == text


def test_time_is_in_utc_and_zero_is_a_dash() -> None:
    assert format_time(0) == "–"
    assert format_time(86_400) == "1970-01-02 00:00:00"
