"""Digests of the base models on this machine, computed once: hashing gigabytes at each start would cost minutes.

Beside each digest stand names, sizes and times of the files it was computed from; where one differs, it is computed
anew. A worker checks the digest again before it uses a base, so a stale line here can cost a job, never a wrong score.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from covey.lora.bases.digest import base_digest, base_files
from covey.lora.bases.resolve import TINY, resolve, tiny_folder
from covey.lora.errors import BaseModelError

log = logging.getLogger("covey.daemon")

_VERSION = 1


class BaseDigests:
    """Digests by the name that the settings use, kept in `file`. Used from several threads.

    A base of the hub keeps its digest after its files made room: the name still says where to get it again.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = self._load()

    def digest(self, name: str) -> str:
        """Digest of the base called `name`, 64 hex digits. Raises BaseModelError where there is none."""
        folder = local_folder(name)
        with self._lock:
            known = self._known.get(name)
        if known is not None and (folder is None or known["files"] == _stamp(folder)):
            return str(known["digest"])
        began = time.monotonic()
        if folder is None:
            found = resolve(name)
            folder, digest = found.folder, found.digest
        else:
            digest = base_digest(folder)
        log.info("base hashed", extra={"base": name, "digest": digest, "seconds": round(time.monotonic() - began, 2)})
        with self._lock:
            self._known[name] = {"digest": digest, "files": _stamp(folder)}
            self._save()
        return digest

    def known(self, name: str) -> str | None:
        """The digest that was last found for `name`; nothing is looked at or hashed."""
        with self._lock:
            found = self._known.get(name)
        return None if found is None else str(found["digest"])

    def _load(self) -> dict[str, dict[str, Any]]:
        try:
            read = json.loads(self._file.read_bytes())
            if read["version"] == _VERSION:
                return {
                    str(name): {"digest": str(one["digest"]), "files": one["files"]}
                    for name, one in read["bases"].items()
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # it only saves time
        return {}

    def _save(self) -> None:
        try:
            partial = self._file.with_name(self._file.name + ".new")
            partial.write_text(json.dumps({"version": _VERSION, "bases": self._known}, indent=1), encoding="utf-8")
            os.replace(partial, self._file)
        except OSError as error:
            log.warning("digests of bases not kept", extra={"reason": error.strerror})


def local_folder(name: str) -> Path | None:
    """The folder of a base that is named by it, or of the embedded one; None for a hub name."""
    if name == TINY:
        return tiny_folder()
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else None


def _stamp(folder: Path) -> list[list[Any]]:
    """Name, size and time of each file that the digest is computed from. Raises BaseModelError if one is missing."""
    stamp = []
    for name in base_files(folder):
        try:
            told = (folder / name).stat()
        except OSError as error:
            raise BaseModelError(f"{folder / name}: {error.strerror}") from None
        stamp.append([name, told.st_size, told.st_mtime_ns])
    return stamp
