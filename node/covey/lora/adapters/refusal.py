"""Refusals of untrusted files: the reasons, the error, and a strict JSON parser. Imports nothing heavy."""

from __future__ import annotations

import json
import reprlib
from enum import StrEnum
from typing import Any, NoReturn

from covey.lora.errors import LoraError

MAX_JSON_DEPTH = 8
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class Refusal(StrEnum):
    """Why an adapter was refused."""

    MISSING_FILE = "missing_file"
    UNEXPECTED_FILE = "unexpected_file"
    NOT_A_REGULAR_FILE = "not_a_regular_file"
    TOO_LARGE = "too_large"
    HEADER_TOO_LARGE = "header_too_large"
    NOT_SAFETENSORS = "not_safetensors"
    BAD_HEADER = "bad_header"
    BAD_JSON = "bad_json"
    FORBIDDEN_FIELD = "forbidden_field"
    BAD_CONFIG_VALUE = "bad_config_value"
    RANK_TOO_HIGH = "rank_too_high"
    FORBIDDEN_TARGET = "forbidden_target"
    MISSING_TENSOR = "missing_tensor"
    UNEXPECTED_TENSOR = "unexpected_tensor"
    BAD_SHAPE = "bad_shape"
    BAD_DTYPE = "bad_dtype"
    BAD_OFFSETS = "bad_offsets"
    NOT_FINITE = "not_finite"
    WRONG_MANIFEST = "wrong_manifest"


class UnsafeAdapterError(LoraError):
    """An untrusted adapter was refused; ``reason`` classifies the refusal."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason


def refuse(reason: Refusal, detail: str) -> NoReturn:
    """Raise UnsafeAdapterError with the detail as one printable line of at most 300 characters."""
    text = detail if len(detail) <= 300 else f"{detail[:300]}…"
    raise UnsafeAdapterError(reason, "".join(char if char.isprintable() else "?" for char in text))


def strict_json(data: bytes, what: str) -> dict[str, Any]:
    """Parse one JSON object in UTF-8. Duplicate keys, NaN, lone surrogates and deep nesting are refused.

    ``what`` names the data in the message. Raises UnsafeAdapterError.
    """

    def unique_pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(items)
        if len(value) != len(items):
            raise ValueError("duplicate key")
        return value

    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique_pairs, parse_constant=refuse_constant)
        _check_plain(value)
    except (ValueError, RecursionError) as error:
        refuse(Refusal.BAD_JSON, f"{what}: {error}")
    if not isinstance(value, dict):
        refuse(Refusal.BAD_JSON, f"{what} is not an object")
    return value


def _check_plain(value: object, depth: int = 1) -> None:
    """Raise ValueError for text that is not Unicode and for nesting deeper than MAX_JSON_DEPTH."""
    if isinstance(value, str):
        value.encode()  # a UnicodeEncodeError is a ValueError
    elif isinstance(value, (dict, list)):
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"nested deeper than {MAX_JSON_DEPTH} levels")
        for item in value:
            _check_plain(item, depth + 1)
        for item in value.values() if isinstance(value, dict) else ():
            _check_plain(item, depth + 1)


def short_repr(value: object) -> str:
    """An untrusted value as a short line of ASCII."""
    return _SHORT.repr(value).encode("ascii", "backslashreplace").decode("ascii")
