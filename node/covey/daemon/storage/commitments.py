"""Frozen types of the secrets behind a commitment, and their JSON payloads in the journal and the secrets file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from covey.daemon.storage.secrets import SecretError

Payload = dict[str, Any]
"""A JSON object, as stored under a secret's name."""


@dataclass(frozen=True, slots=True)
class CommittedEntry:
    """A trained entry: the digest and salt of its commitment, and the folder with its files."""

    digest: bytes
    salt: bytes
    folder: Path

    def to_payload(self) -> Payload:
        return {"digest": self.digest.hex(), "salt": self.salt.hex(), "folder": str(self.folder)}

    @classmethod
    def from_payload(cls, payload: Payload) -> Self:
        """Raises SecretError for a payload that lacks a field or has a malformed one."""
        try:
            return cls(
                digest=bytes.fromhex(payload["digest"]),
                salt=bytes.fromhex(payload["salt"]),
                folder=Path(payload["folder"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged("entry", error) from None


@dataclass(frozen=True, slots=True)
class CommittedRow:
    """A row of scores: its packed words, the salt of its commitment, its sheet and the sheet's digest."""

    words: tuple[int, ...]
    evidence: bytes
    """Digest of the directory that holds the score sheet."""
    salt: bytes
    sheet: bytes
    """Canonical bytes of the score sheet."""

    def to_payload(self) -> Payload:
        return {
            "words": [hex(word) for word in self.words],
            "evidence": self.evidence.hex(),
            "salt": self.salt.hex(),
            "sheet": self.sheet.decode(),
        }

    @classmethod
    def from_payload(cls, payload: Payload) -> Self:
        """Raises SecretError for a payload that lacks a field or has a malformed one."""
        try:
            return cls(
                words=tuple(int(word, 16) for word in payload["words"]),
                evidence=bytes.fromhex(payload["evidence"]),
                salt=bytes.fromhex(payload["salt"]),
                sheet=payload["sheet"].encode(),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged("row of scores", error) from None


def _damaged(what: str, error: Exception) -> SecretError:
    return SecretError(
        f"a stored {what} cannot be read ({type(error).__name__}: {error}): restore the data folder from a backup"
    )
