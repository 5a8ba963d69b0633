"""Decoders for event data, compiled once per event from its ABI.

Nearly all of our events contain static values, structs of static values, and arrays or bytes beside them. Each static
value is one 32-byte word, so `struct` unpacks the whole head in one call (ABI specification, "Formal Specification of
the Encoding"). eth_abi decodes value by value in Python and is an order of magnitude slower. Tests compare the two
decoders; types without a fast layout here go through eth_abi.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from eth_utils.address import to_checksum_address

_WORD = 32
_NATIVE_BITS = 64


@lru_cache(maxsize=4096)
def address_of(raw: bytes) -> str:
    """The checksummed address of 20 bytes."""
    return str(to_checksum_address(raw))


def canonical_type(component: dict[str, Any]) -> str:
    """The canonical ABI type of a parameter, structs as tuples."""
    kind: str = component["type"]
    if kind.startswith("tuple"):
        inner = ",".join(canonical_type(inner) for inner in component["components"])
        return f"({inner}){kind[len('tuple') :]}"
    return kind


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _signed(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


Read = Callable[[Any], Any] | None
"""Converts the result of `struct` to the value; None leaves it unchanged."""


def _static(kind: str) -> tuple[str, Read] | None:
    """The `struct` format and conversion of a static type; None for other types."""
    if kind == "address":
        return "12x20s", address_of
    if kind == "bool":
        return "31x?", None
    matched = re.fullmatch(r"(bytes|uint|int)(\d+)", kind)
    if matched is None:
        return None
    size = int(matched[2])
    if matched[1] == "bytes":
        return f"{size}s{_WORD - size}x", _hex
    if size <= _NATIVE_BITS:
        return ("24xQ" if matched[1] == "uint" else "24xq"), None
    return "32s", _unsigned if matched[1] == "uint" else _signed


@dataclass(frozen=True, slots=True)
class _Tail:
    """A dynamic value, stored after the head; the head contains its offset."""

    read: Callable[[bytes, int], Any]


def _tail(kind: str) -> _Tail | None:
    """A reader for ``bytes``, ``string`` or an array of a static type; None for other types."""
    if kind == "bytes":
        return _Tail(lambda data, offset: _hex(_blob(data, offset)))
    if kind == "string":
        return _Tail(lambda data, offset: _blob(data, offset).decode(errors="replace"))
    if kind.endswith("[]"):
        static = _static(kind[:-2])
        if static is not None:
            item, read = struct.Struct(">" + static[0]), static[1]
            return _Tail(lambda data, offset: _array(data, offset, item, read))
    return None


class Decoder(Protocol):
    """Decodes a sequence of ABI parameters."""

    def decode(self, data: bytes) -> dict[str, Any]:
        """Decode to values by name that JSON can hold: structs as dicts, arrays as lists, bytes as 0x hex, addresses
        checksummed.

        Raises:
            ValueError: the data does not encode such values.
        """


class Layout:
    """A fast `Decoder` for parameters whose head `struct` can unpack.

    Raises:
        NotImplementedError: a parameter has another type.
    """

    def __init__(self, components: Sequence[dict[str, Any]]) -> None:
        formats: list[str] = []
        self._reads: list[Read | _Tail] = []
        self._shape = tuple(self._add(component, formats, inside=False) for component in components)
        self._struct = struct.Struct(">" + "".join(formats))
        self._flat = not any(isinstance(place, tuple) for _, place in self._shape)
        names = [name for name, _ in self._shape]
        self._columns = [
            (name, None if isinstance(r, _Tail) else r) for name, r in zip(names, self._reads, strict=False)
        ]
        self._tails = [(name, r.read) for name, r in zip(names, self._reads, strict=False) if isinstance(r, _Tail)]

    def _add(self, component: dict[str, Any], formats: list[str], *, inside: bool) -> tuple[str, Any]:
        """Add a parameter; return (name, index of the value) or (name, shape of the struct)."""
        kind, name = component["type"], component["name"]
        if kind == "tuple":
            return name, tuple(self._add(inner, formats, inside=True) for inner in component["components"])
        static = _static(kind)
        tail = (
            _tail(kind) if static is None and not inside else None
        )  # a struct with a dynamic value is stored after the head
        if static is not None:
            formats.append(static[0])
            self._reads.append(static[1])
        elif tail is not None:
            formats.append("24xQ")
            self._reads.append(tail)
        else:
            raise NotImplementedError(f"no layout for {kind}")
        return name, len(self._reads) - 1

    def decode(self, data: bytes) -> dict[str, Any]:
        """See `Decoder.decode`."""
        if len(data) < self._struct.size:
            raise ValueError(f"{len(data)} bytes of event data, expected at least {self._struct.size}")
        values = self._struct.unpack_from(data)
        if not self._flat:
            return dict(self._build(self._shape, values, data))
        found = {
            name: value if read is None else read(value)
            for (name, read), value in zip(self._columns, values, strict=True)
        }
        for name, tail in self._tails:
            found[name] = tail(data, found[name])
        return found

    def _build(self, shape: Any, values: Sequence[Any], data: bytes) -> Iterator[tuple[str, Any]]:
        reads = self._reads
        for name, place in shape:
            if isinstance(place, tuple):
                yield name, dict(self._build(place, values, data))
                continue
            read = reads[place]
            value = values[place]
            if read is None:
                yield name, value
            elif isinstance(read, _Tail):
                yield name, read.read(data, value)
            else:
                yield name, read(value)


class GeneralLayout:
    """A `Decoder` for parameters of any type, through eth_abi."""

    def __init__(self, components: Sequence[dict[str, Any]]) -> None:
        self._components = list(components)
        self._types = [canonical_type(component) for component in components]

    def decode(self, data: bytes) -> dict[str, Any]:
        """See `Decoder.decode`."""
        from eth_abi.abi import decode
        from eth_abi.exceptions import DecodingError

        try:
            values = decode(self._types, data)
        except (DecodingError, OverflowError) as error:
            raise ValueError(str(error)) from None
        return {c["name"]: _plain(c, c["type"], v) for c, v in zip(self._components, values, strict=True)}


def layout_of(components: Sequence[dict[str, Any]]) -> Decoder:
    """Create the fastest decoder for ABI parameters."""
    try:
        return Layout(components)
    except NotImplementedError:
        return GeneralLayout(components)


def _plain(component: dict[str, Any], kind: str, value: Any) -> Any:
    """Convert a value of eth_abi to the form of `Decoder.decode`."""
    if kind.endswith("]"):
        return [_plain(component, kind[: kind.rindex("[")], item) for item in value]
    if kind == "tuple":
        return {c["name"]: _plain(c, c["type"], v) for c, v in zip(component["components"], value, strict=True)}
    if kind == "address":
        return str(to_checksum_address(value))
    return _hex(value) if isinstance(value, bytes) else value


def _length(data: bytes, offset: int) -> tuple[int, int]:
    """(start, length) of the value at ``offset``."""
    start = offset + _WORD
    if start > len(data):
        raise ValueError("an offset of the event is beyond its data")
    return start, int.from_bytes(data[offset:start], "big")


def _blob(data: bytes, offset: int) -> bytes:
    start, length = _length(data, offset)
    if start + length > len(data):
        raise ValueError("bytes of the event extend beyond its data")
    return data[start : start + length]


def _array(data: bytes, offset: int, item: struct.Struct, read: Read) -> list[Any]:
    """Decode an array of static values: its length, then its elements."""
    start, length = _length(data, offset)
    if start + length * _WORD > len(data):
        raise ValueError("an array of the event extends beyond its data")
    values = item.iter_unpack(data[start : start + length * _WORD])
    return [value for (value,) in values] if read is None else [read(value) for (value,) in values]
