"""Parses the arguments that settings models do not cover: amounts, durations and addresses."""

from __future__ import annotations

import re

from covey.cli.errors import InputError


def wei(text: str) -> int:
    """Convert a positive amount, which must carry its unit, to wei. Raises InputError."""
    from covey.config.types import parse_amount

    try:
        amount = parse_amount(text)
    except ValueError as error:
        raise InputError(str(error)) from None
    if not amount:
        raise InputError("the amount must be greater than 0")
    return amount


def entry_name(text: str) -> tuple[str, int | None]:
    """Split OPERATOR or OPERATOR/INDEX, the name of an unbonding entry. Raises InputError."""
    operator, slash, index = text.partition("/")
    if slash and not re.fullmatch(r"\d{1,10}", index):
        raise InputError(f"{text!r} is not an entry (OPERATOR/INDEX, as `covey entries` lists them)")
    return address(operator), int(index) if slash else None


def seconds(text: str) -> int:
    """Convert a duration above 0, which must carry its unit, to seconds. Raises InputError."""
    from covey.config.types import parse_duration

    if text.strip().isdecimal():
        raise InputError(f"{text.strip()!r} has no unit: write {text.strip()}s, or for instance 4h")
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise InputError(str(error)) from None
    if not duration:
        raise InputError("the duration must be longer than 0")
    return duration


def address(text: str) -> str:
    """Convert an address to checksum form. Raises InputError, also for mixed case with a wrong checksum."""
    from covey.chain.units import parse_address

    try:
        return parse_address(text)
    except ValueError as error:
        raise InputError(str(error)) from None
