"""Parses the arguments that settings models do not cover: amounts, durations and addresses."""

from __future__ import annotations

import re

from covey.cli.errors import InputError


def wei(text: str) -> int:
    """Convert a positive amount, which must carry its unit, to wei. Raises InputError."""
    from covey.config.types import parse_amount

    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        raise InputError(f"{text.strip()!r} has no unit: write {text.strip()}CVY or {text.strip()}wei")
    try:
        amount = parse_amount(text)
    except ValueError as error:
        raise InputError(str(error)) from None
    if not amount:
        raise InputError("the amount must be greater than 0")
    return amount


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
    from eth_utils.address import is_checksum_address, to_checksum_address

    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise InputError(f"{text!r} is not an address (0x and 40 hexadecimal digits)")
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if mixed and not is_checksum_address(text):
        raise InputError(f"{text} has a wrong checksum: check for a typo, or write it in lower case")
    return str(to_checksum_address(text))
