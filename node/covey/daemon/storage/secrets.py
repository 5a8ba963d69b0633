"""The second copy of a node's secrets: an append-only file, each line encrypted under a key of the signer.

Losing a salt means an unrevealed commitment, which costs a fee or a slash. Every salt and payload is in this file and
in the journal before its commitment is sent. A node that lost its journal recovers the secrets from this file.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_AAD = b"covey secrets 1"


class SecretError(Exception):
    """A secret cannot be stored or read, or a different one is already stored under its name."""


def derive_key(material: bytes) -> bytes:
    """Derive a 32-byte key from secret material of at least 32 bytes (HKDF-SHA256, RFC 5869)."""
    if len(material) < 32:
        raise SecretError("key material is shorter than 32 bytes")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_AAD).derive(material)


def key_from_file(path: Path, secrets: Path) -> bytes:
    """Derive the key from a file of 64 hexadecimal digits. The first start creates it, with mode 0600.

    Raises:
        SecretError: the file cannot be read or created, or it is missing although `secrets` was encrypted under it.
    """
    try:
        if not path.exists():
            if secrets.exists() and secrets.stat().st_size:
                raise SecretError(f"{secrets} is encrypted under the key in {path}, which is missing: restore it")
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(path.name + ".new")  # renamed once it is complete
            partial.unlink(missing_ok=True)
            fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w", encoding="ascii") as file:
                file.write(os.urandom(32).hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
            _sync_folder(path.parent)
        material = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise SecretError(f"secrets_key_file {path}: {error.strerror}") from None
    except ValueError:
        material = b""
    if len(material) != 32:
        raise SecretError(f"secrets_key_file {path}: 64 hexadecimal digits expected")
    return derive_key(material)


class SecretFile:
    """An append-only file with one record per line: base64(nonce ‖ AES-256-GCM of a JSON object).

    The file has mode 0600 from its creation. Every append is synced to disk.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._cipher = AESGCM(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._torn = True  # the last line may be incomplete
        _sync_folder(path.parent)
        self._end_torn_line()

    def append(self, name: str, payload: dict[str, Any]) -> None:
        """Append a record, durable when this returns. On SecretError nothing of the record stays in the file."""
        plain = json.dumps({"name": name, "payload": payload}, separators=(",", ":")).encode()
        nonce = os.urandom(12)
        line = base64.b64encode(nonce + self._cipher.encrypt(nonce, plain, _AAD)) + b"\n"
        try:
            if self._torn:
                self._end_torn_line()
            before = os.fstat(self._fd).st_size
            try:
                written = os.write(self._fd, line)
                if written != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._fd)
            except OSError:
                self._torn = True
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, before)
                raise
        except OSError as error:
            raise SecretError(f"{self.path}: cannot store the secret {name}: {error.strerror}") from error

    def read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the records that decrypt under this key, oldest first.

        An incomplete line is skipped, because nothing was sent for it.

        Of two records with the same name the later one counts: the journal refused the earlier one, so nothing was
        sent for that either.
        """
        for line in self.path.read_bytes().splitlines():
            try:
                raw = base64.b64decode(line, validate=True)
                record = json.loads(self._cipher.decrypt(raw[:12], raw[12:], _AAD))
            except (ValueError, InvalidTag):
                continue
            yield str(record["name"]), dict(record["payload"])

    def close(self) -> None:
        os.close(self._fd)

    def _end_torn_line(self) -> None:
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")
            os.fsync(self._fd)
        self._torn = False


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
