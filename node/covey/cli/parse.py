"""Parses the arguments that settings models do not cover: amounts and addresses."""

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


def entry_name(text: str) -> tuple[str, int | None]:
    """Split OPERATOR or OPERATOR/INDEX, the name of an unbonding entry. Raises InputError."""
    operator, slash, index = text.partition("/")
    if slash and not re.fullmatch(r"\d{1,10}", index):
        raise InputError(f"{text!r} is not an entry (OPERATOR/INDEX, as `covey entries` lists them)")
    return address(operator), int(index) if slash else None


def address(text: str) -> str:
    """Convert an address to checksum form. Raises InputError, also for mixed case with a wrong checksum."""
    from eth_utils.address import is_checksum_address, to_checksum_address

    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise InputError(f"{text!r} is not an address (0x and 40 hexadecimal digits)")
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if mixed and not is_checksum_address(text):
        raise InputError(f"{text} has a wrong checksum: check for a typo, or write it in lower case")
    return str(to_checksum_address(text))
