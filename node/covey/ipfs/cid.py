"""Content identifiers: CIDv1, raw or dag-pb, sha2-256, written in base32.

Format (https://github.com/multiformats/cid): ``<version 0x01><codec><0x12><0x20><32-byte digest>``. The text form is
``b`` and the RFC 4648 base32 of those bytes in lower case without padding. On chain a CID is its 32-byte digest only:
it always identifies a dag-pb directory, and a single file is wrapped in one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from covey.ipfs.errors import InvalidCid

RAW: Final = 0x55
DAG_PB: Final = 0x70

_CODECS: Final = {RAW: "raw", DAG_PB: "dag-pb"}
_LENGTH: Final = 36
_TEXT_LENGTH: Final = 59  # "b" and ceil(36 * 8 / 5) characters
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MAX_IDENTITY: Final = 128  # bytes, as in Kubo


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """A CID: ``codec`` is `RAW` or `DAG_PB`, ``digest`` the 32 bytes of the block's sha2-256."""

    codec: int
    digest: bytes

    def __post_init__(self) -> None:
        if self.codec not in _CODECS:
            raise InvalidCid(f"codec {self.codec:#x} is not supported: use raw (0x55) or dag-pb (0x70)")
        if len(self.digest) != 32:
            raise InvalidCid(f"a sha2-256 digest has 32 bytes, not {len(self.digest)}")

    @classmethod
    def of(cls, block: bytes | bytearray | memoryview, codec: int) -> Cid:
        """The CID of a block's bytes."""
        return cls(codec, hashlib.sha256(block).digest())

    @classmethod
    def directory(cls, digest: bytes | str) -> Cid:
        """The CID of the directory that a 32-byte word on chain identifies; ``digest`` is bytes or ``0x…`` hex.

        Raises `InvalidCid` for any other length or alphabet.
        """
        if isinstance(digest, str):
            try:
                digest = bytes.fromhex(digest.removeprefix("0x"))
            except ValueError:
                raise InvalidCid(f"{digest!r} is not a 32-byte hex digest") from None
        return cls(DAG_PB, bytes(digest))

    @classmethod
    def parse(cls, text: str) -> Cid:
        """Parse a CID (``bafy…`` or ``bafk…``, optionally prefixed with ``ipfs://`` or ``/ipfs/``).

        Raises `InvalidCid`.
        """
        body = text.strip().removeprefix("ipfs://").removeprefix("/ipfs/")
        if body.startswith("Qm") and len(body) == 46:
            raise InvalidCid(f"{body} is a CIDv0: write {_of_version_0(body)}, the same content as a CIDv1")
        if not body.startswith("b") or len(body) != _TEXT_LENGTH:
            raise InvalidCid(f"{text!r} is not a CIDv1 in base32 ({_TEXT_LENGTH} characters, beginning with b)")
        try:
            raw = base64.b32decode(body[1:].upper() + "=" * (-(len(body) - 1) % 8))
        except binascii.Error:
            raise InvalidCid(f"{text!r} is not base32") from None
        cid = cls.from_bytes(raw)
        if str(cid) != body:  # upper case, or stray bits after the last byte
            raise InvalidCid(f"{text!r} is not in canonical form: did you mean {cid}?")
        return cid

    @classmethod
    def from_bytes(cls, raw: bytes | memoryview) -> Cid:
        """Parse the 36 binary bytes of a CID. Raises `InvalidCid`."""
        raw = bytes(raw)
        if len(raw) != _LENGTH or raw[0] != 1 or raw[2:4] != b"\x12\x20":
            raise InvalidCid("not a CIDv1 with a sha2-256 digest")
        return cls(raw[1], raw[4:])

    def to_bytes(self) -> bytes:
        """The 36 binary bytes: version, codec, hash function, length, digest."""
        return bytes((1, self.codec, 0x12, 0x20)) + self.digest

    def matches(self, block: bytes | bytearray | memoryview) -> bool:
        """Whether a block's bytes hash to this CID."""
        return hashlib.sha256(block).digest() == self.digest

    @property
    def word(self) -> bytes:
        """The 32-byte word that identifies this directory on chain. Raises `InvalidCid` for a bare file (raw)."""
        if self.codec != DAG_PB:
            raise InvalidCid(f"{self} is a bare file: only a directory's CID goes on chain, wrap the file in one")
        return self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.to_bytes()).decode("ascii").rstrip("=").lower()

    def __repr__(self) -> str:
        return f"Cid({self})"


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity CID: the block's bytes stand in place of its digest. Only the gateway reads one."""

    codec: int
    content: bytes

    def to_bytes(self) -> bytes:
        """The binary form: version, codec, hash function 0, length, content."""
        return bytes((1, self.codec, 0, len(self.content))) + self.content

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.to_bytes()).decode("ascii").rstrip("=").lower()


def parse_identity(text: str) -> Identity | None:
    """An identity CID of at most 127 raw or dag-pb bytes in canonical base32; None for other text."""
    if not text.startswith("b") or len(text) > 2 * _MAX_IDENTITY:
        return None
    try:
        raw = base64.b32decode(text[1:].upper() + "=" * (-(len(text) - 1) % 8))
    except binascii.Error:
        return None
    if len(raw) < 4 or raw[0] != 1 or raw[1] not in _CODECS or raw[2] != 0 or raw[3] != len(raw) - 4:
        return None
    found = Identity(raw[1], raw[4:])
    return found if raw[3] < _MAX_IDENTITY and str(found) == text else None


def _of_version_0(text: str) -> Cid:
    """The CIDv1 of a CIDv0, which is always dag-pb and sha2-256 (base58). Raises `InvalidCid`."""
    number = 0
    for char in text:
        digit = _BASE58.find(char)
        if digit < 0:
            raise InvalidCid(f"{text!r} is no CID: {char!r} is not a character of base58")
        number = number * 58 + digit
    raw = number.to_bytes(34, "big") if number < 1 << 272 else b""
    if raw[:2] != b"\x12\x20":
        raise InvalidCid(f"{text!r} is not the base58 of a sha2-256 digest")
    return Cid(DAG_PB, raw[2:])
