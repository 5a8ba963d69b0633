"""Amounts and addresses given as arguments."""

from __future__ import annotations

import pytest

from covey.cli.errors import InputError
from covey.cli.parse import address, seconds, wei


@pytest.mark.parametrize(("text", "amount"), [("5CVY", 5 * 10**18), ("5 wei", 5), ("0.5 CVY", 5 * 10**17)])
def test_amount_with_a_unit_is_converted(text: str, amount: int) -> None:
    assert wei(text) == amount


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", "'5' has no unit: write 5CVY or 5wei"),
        (" 1.5 ", "'1.5' has no unit"),
        ("CVY", "is not an amount"),
        ("-1CVY", "is not an amount"),
        ("1e3CVY", "is not an amount"),
        ("0wei", "must be greater than 0"),
    ],
)
def test_other_amounts_are_rejected(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        wei(text)


def test_address_is_converted_to_checksum_form() -> None:
    assert address("0x" + "ab" * 20) == address("0x" + "AB" * 20) == address(address("0x" + "ab" * 20))


@pytest.mark.parametrize(
    ("text", "message"),
    [("0x123", "is not an address"), ("0x" + "aB" * 20, "wrong checksum"), ("", "is not an address")],
)
def test_other_addresses_are_rejected(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        address(text)


@pytest.mark.parametrize(("text", "length"), [("90s", 90), ("4h", 14_400), ("1d 12h", 129_600), ("2m30s", 150)])
def test_a_duration_is_converted(text: str, length: int) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4", "'4' has no unit: write 4s"),
        ("", "is not a duration"),
        ("-4h", "is not a duration"),
        ("4w", "is not a duration"),
        ("1h 2h", "names a unit twice"),
        ("0s", "longer than 0"),
        ("99999999999h", "between 0 and"),
        ("٣h", "is not a duration"),
    ],
)
def test_other_durations_are_rejected(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        seconds(text)
