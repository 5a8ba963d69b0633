"""Decoders for the static parts of event data, compiled once an event from its ABI.

Our events hold static values, structs of static values and ``uint256[]``; each static value is one 32-byte word, so
`struct` unpacks the whole head in one call (ABI specification, "Formal Specification of the Encoding"). eth_abi walks
the same bytes value by value in Python and is an order of magnitude slower; tests hold the two against each other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from eth_utils.address import to_checksum_address

_WORD = 32
_NATIVE_BITS = 64


@lru_cache(maxsize=4096)
def address_of(raw: bytes) -> str:
    """The checksummed address of 20 bytes."""
    return str(to_checksum_address(raw))


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


class _Array(Enum):
    """Marks a ``uint256[]``: the head holds its offset."""

    OF_WORDS = "uint256[]"


Convert = Callable[[Any], Any] | _Array | None
"""From what `struct` unpacks to the value; None leaves it as it is."""


def _static(kind: str) -> tuple[str, Convert]:
    """`struct` format and conversion of one static type."""
    if kind == "address":
        return "12x20s", address_of
    if kind == "bool":
        return "31x?", None
    if kind == "bytes32":
        return "32s", _hex
    if kind.startswith("uint"):
        return ("24xQ", None) if int(kind[4:]) <= _NATIVE_BITS else ("32s", _unsigned)
    raise NotImplementedError(f"no decoder for {kind} in an event")


class Layout:
    """Decodes a sequence of ABI parameters to a dict by name; structs become dicts, ``uint256[]`` lists.

    bytes32 become 0x-prefixed hex, addresses checksummed hex, so that the result goes into JSON as it is.
    """

    def __init__(self, components: Sequence[dict[str, Any]]) -> None:
        formats: list[str] = []
        self._converts: list[Convert] = []
        self._shape = tuple(self._add(component, formats) for component in components)
        self._struct = struct.Struct(">" + "".join(formats))

    def _add(self, component: dict[str, Any], formats: list[str]) -> tuple[str, Any]:
        """(name, index of the value) or (name, shape of the struct)."""
        kind, name = component["type"], component["name"]
        if kind == "tuple":
            return name, tuple(self._add(inner, formats) for inner in component["components"])
        if kind == "uint256[]":
            formats.append("24xQ")
            self._converts.append(_Array.OF_WORDS)
        else:
            layout, convert = _static(kind)
            formats.append(layout)
            self._converts.append(convert)
        return name, len(self._converts) - 1

    def decode(self, data: bytes) -> dict[str, Any]:
        """The values by name.

        Raises:
            ValueError: the data are too short.
        """
        if len(data) < self._struct.size:
            raise ValueError(f"{len(data)} bytes of event data, at least {self._struct.size} wanted")
        values = self._struct.unpack_from(data)
        return dict(self._build(self._shape, values, data))

    def _build(self, shape: Any, values: Sequence[Any], data: bytes) -> Iterator[tuple[str, Any]]:
        converts = self._converts
        for name, place in shape:
            if isinstance(place, tuple):
                yield name, dict(self._build(place, values, data))
                continue
            convert = converts[place]
            value = values[place]
            if convert is None:
                yield name, value
            elif convert is _Array.OF_WORDS:
                yield name, _array(data, value)
            else:
                yield name, convert(value)


def _array(data: bytes, offset: int) -> list[int]:
    """A ``uint256[]`` at ``offset``: its length, then its elements."""
    start = offset + _WORD
    length = int.from_bytes(data[offset:start], "big")
    if start > len(data) or start + length * _WORD > len(data):
        raise ValueError("an array of the event reaches past its data")
    return [int.from_bytes(data[i : i + _WORD], "big") for i in range(start, start + length * _WORD, _WORD)]
