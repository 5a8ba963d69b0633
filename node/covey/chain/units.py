"""Amounts of CVY and chain times, as numbers and as text."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

DECIMALS = 18
CVY = 10**DECIMALS
"""One token, wei."""


def cvy(amount: int) -> str:
    """Format an amount, for instance ``12.5 CVY``."""
    whole, remainder = divmod(abs(amount), CVY)
    fraction = f".{remainder:018d}".rstrip("0") if remainder else ""
    return f"{'-' if amount < 0 else ''}{whole}{fraction} CVY"


def format_cvy(wei: int, places: int = 4) -> str:
    """Format wei as CVY without the unit, rounded down to ``places`` decimals, for instance ``1,234.5000``."""
    whole, remainder = divmod(wei, CVY)
    return f"{whole:,}.{remainder // 10 ** (DECIMALS - places):0{places}d}" if places else f"{whole:,}"


def format_time(timestamp: int) -> str:
    """Format a chain time, seconds since 1970, as date and time in UTC; a dash for zero."""
    if not timestamp:
        return "–"
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")


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
