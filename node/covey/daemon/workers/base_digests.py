"""Caches digests of the base models on this machine, because hashing gigabytes at each start would take minutes.

Each digest is stored with the names, sizes and times of the files it was computed from, and recomputed when one
differs. A worker verifies the digest before it uses a base, so a stale record can fail a job but never change a score.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from covey.lora.bases.digest import base_digest, stamp
from covey.lora.bases.resolve import check_base, local_folder, resolve

log = logging.getLogger("covey.daemon")

_VERSION = 1


class BaseDigests:
    """Digests by the base's name in the settings, cached in `file`. Safe in several threads.

    A hub base keeps its digest after its files are evicted, because it can be downloaded again by name.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = self._load()

    def digest(self, name: str) -> str:
        """The digest of the base `name`, 64 hex digits. Raises BaseModelError without such a base.

        A base on this machine is also checked, since no job could use one whose files do not fit each other.
        """
        folder = local_folder(name)
        if folder is not None:
            check_base(folder)
        with self._lock:
            known = self._known.get(name)
        if known is not None and (folder is None or known["files"] == _stamp(folder)):
            return str(known["digest"])
        started = time.monotonic()
        if folder is None:
            found = resolve(name)
            folder, digest = found.folder, found.digest
        else:
            digest = base_digest(folder)
        log.info("base hashed", extra={"base": name, "digest": digest, "seconds": round(time.monotonic() - started, 2)})
        with self._lock:
            self._known[name] = {"digest": digest, "files": _stamp(folder)}
            self._save()
        return digest

    def known(self, name: str) -> str | None:
        """The cached digest of `name`, without reading any file of the base."""
        with self._lock:
            found = self._known.get(name)
        return None if found is None else str(found["digest"])

    def _load(self) -> dict[str, dict[str, Any]]:
        try:
            stored = json.loads(self._file.read_bytes())
            if stored["version"] == _VERSION:
                return {
                    str(name): {"digest": str(record["digest"]), "files": record["files"]}
                    for name, record in stored["bases"].items()
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass  # a cache miss; the digests are computed again
        return {}

    def _save(self) -> None:
        try:
            partial = self._file.with_name(self._file.name + ".new")
            partial.write_text(json.dumps({"version": _VERSION, "bases": self._known}, indent=1), encoding="utf-8")
            os.replace(partial, self._file)
        except OSError as error:
            log.warning("base digests not saved", extra={"reason": error.strerror})


def _stamp(folder: Path) -> list[list[Any]]:
    """The base's stamp as JSON stores it. Raises BaseModelError if a file is missing."""
    return [list(entry) for entry in stamp(folder)]
