"""Amounts of CVY, chain times and addresses, as values and as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

DECIMALS = 18
CVY = 10**DECIMALS
"""One token, wei."""


def cvy(amount: int) -> str:
    """Format an amount of wei exactly, for instance ``12.5 CVY``; `to_wei` reads it back."""
    return f"{_decimal(amount, DECIMALS).rstrip('0').rstrip('.')} CVY"


def about_cvy(amount: int) -> str:
    """Format an amount of wei for a sentence, cut to four decimals, for instance ``12.5 CVY`` or ``2,000.0466 CVY``."""
    text = format_cvy(amount)
    return f"{text if text[0] in '<>' else text.rstrip('0').rstrip('.')} CVY"


def format_cvy(wei: int, places: int = 4) -> str:
    """Format wei as CVY without the unit, with thousands separated, for instance ``1,234.5000``.

    Further decimals are cut off, of negative amounts too, so the text is never further from zero than the amount. Zero
    has no sign. An amount other than zero that would show as zero is written as ``<0.0001`` or ``>−0.0001``.
    """
    step = 10 ** (DECIMALS - places)
    if 0 < abs(wei) < step:
        return f"<{_decimal(step, places)}" if wei > 0 else f">{_decimal(-step, places)}"
    return _decimal(wei, places, separator=",")


def _decimal(wei: int, places: int, *, separator: str = "") -> str:
    """Wei as CVY with exactly ``places`` decimals, cut off; exact for 18."""
    cut = abs(wei) // 10 ** (DECIMALS - places)
    whole, fraction = divmod(cut, 10**places)
    sign = "−" if wei < 0 and cut else ""
    return f"{sign}{whole:{separator}}" + (f".{fraction:0{places}d}" if places else "")


def format_time(timestamp: int) -> str:
    """Format a chain time, seconds since 1970, as date and time in UTC; a dash for zero."""
    if not timestamp:
        return "–"
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")


def parse_address(text: str) -> str:
    """Convert an address to checksum form.

    Raises:
        ValueError: not an address, or mixed case with a wrong checksum: a typo.
    """
    from eth_utils.address import is_checksum_address, to_checksum_address

    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ValueError(f"{text!r} is not an address (0x and 40 hexadecimal digits)")
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if mixed and not is_checksum_address(text):
        raise ValueError(f"{text} has a wrong checksum: check for a typo, or write it in lower case")
    return str(to_checksum_address(text))


def to_wei(text: str) -> int:
    """Parse a decimal number of tokens, for instance ``12.5``, to wei.

    Raises:
        ValueError: not a number, negative, above 10^26, or finer than 10^-18.
    """
    try:
        number = Decimal(text.strip().removesuffix("CVY").strip())
    except InvalidOperation:
        raise ValueError(f"not an amount of CVY: {text!r}") from None
    if not number.is_finite() or number < 0 or number.adjusted() > 26:
        raise ValueError(f"not an amount of CVY between 0 and 10^26: {text!r}")
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or exponent < -60:
        raise ValueError(f"finer than {DECIMALS} decimals: {text!r}")
    shift = exponent + DECIMALS
    mantissa = int("".join(map(str, digits)))
    if shift >= 0:
        return int(mantissa * 10**shift)
    if mantissa % 10**-shift:
        raise ValueError(f"finer than {DECIMALS} decimals: {text!r}")
    return int(mantissa // 10**-shift)
