"""Canonical JSON: a document has exactly one sequence of bytes and hence one CID.

UTF-8, keys sorted by code point, no spaces, only the escapes that JSON requires, integers only. A fraction is a decimal
string or an integer in a stated unit, because JSON numbers have several spellings. The reader refuses any bytes that
the writer would not produce.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_BYTES = 1 << 20
"""Largest document read, bytes. Task specs and manifests are a few KiB, score sheets a few hundred."""
_MAX_SAFE_INTEGER = (1 << 53) - 1


class DocumentError(ValueError):
    """A document violates its format. The message is one line."""


def dumps(document: dict[str, Any]) -> bytes:
    """Canonical bytes of a document of dicts, lists, strings, integers, booleans and nulls.

    Raises:
        DocumentError: a float, an integer beyond 2^53 - 1, a key that is not a string, or text that is not Unicode.
    """
    _check(document, "document")
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise DocumentError(f"cannot be written as JSON: {error}") from None


def loads(data: bytes, *, canonical: bool = True) -> dict[str, Any]:
    """Read one JSON object strictly.

    Args:
        canonical: also refuse bytes that differ from the output of `dumps`; False for a hand-written file.

    Raises:
        DocumentError: too large, not UTF-8, not JSON, a duplicate key, a float, NaN, or not an object.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{len(data)} bytes; a document has at most {MAX_BYTES}")
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )
    except DocumentError:
        raise
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise DocumentError("not a JSON object")
    if canonical and dumps(document) != data:
        raise DocumentError("not in canonical form: keys sorted, no spaces, UTF-8, plain integers")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise DocumentError(f"duplicate key {duplicate!r}")
    return document


def _refuse_float(text: str) -> NoReturn:
    raise DocumentError(f"{text} is not an integer: write fractions as strings or in whole units")


def _check(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise DocumentError(f"{where}: key {key!r} is not a string")
            _check(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check(inner, f"{where}[{index}]")
    elif isinstance(value, bool) or value is None or isinstance(value, str):
        return
    elif not isinstance(value, int):
        raise DocumentError(f"{where}: {type(value).__name__} has no canonical form: {value!r}")
    elif abs(value) > _MAX_SAFE_INTEGER:
        raise DocumentError(f"{where}: {value} is beyond 2^53 - 1; write it as a string")
