"""Ends the process, as SIGKILL does, before and after each durable step it takes, at each once.

A step is a commit of the journal, a line of the file of secrets (also half written), a broadcast, or a file put in its
place. A step is known by what it writes, not by when: `INSERT secrets entry/1`, `UPDATE tx_request 3 mined`. Steps at
which the process has ended stand in a file, so its next life comes past them and ends at the next one.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_WRITES = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|CREATE TABLE|ALTER)\b(?:\s+(?:OR \w+|INTO|FROM|IF NOT EXISTS|TABLE))*\s*(\w+)"
)
_NAMES = re.compile(r"[a-z2-7]{24,}|[0-9a-f]{16,}|\d+")
_KEY = re.compile(r"[\w-]+(/[\w-]+)+|[a-z][a-z ]{0,15}")


class Cuts:
    """Steps at which the process has ended already, and how it ends at the others."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._seen = set(path.read_text(encoding="utf-8").splitlines())
        self._file = path.open("a", encoding="utf-8")
        self._last = threading.Lock()

    def at(self, step: str) -> None:
        """End here, unless that was done before."""
        if step in self._seen:
            return
        with self._last:  # two threads must not both call this end theirs
            self._file.write(step + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def due(self, step: str) -> bool:
        return step not in self._seen


def step_of(sql: str, parameters: Iterable[Any] = ()) -> str | None:
    """What a statement writes; None if it writes nothing.

    Of its values, those that name something stay: keys, states, and the number of a row in the last place.
    """
    found = _WRITES.match(sql)
    if found is None:
        return None
    values = list(parameters)
    named = [value for value in values if isinstance(value, str) and _KEY.fullmatch(value)]
    if found[2].startswith("tx_") and values and isinstance(values[-1], int):
        named.append(str(values[-1]))
    return " ".join([found[1], found[2], *named])


class _Connection(sqlite3.Connection):
    """Notes what a transaction writes; ends before and after its commit."""

    cuts: Cuts
    _steps: list[str]

    def _around(self, steps: list[str], run: Any) -> Any:
        step = " + ".join(dict.fromkeys(steps))[:500]
        self.cuts.at(f"before: {step}")
        result = run()
        self.cuts.at(f"after: {step}")
        return result

    def _note(self, step: str | None, run: Any) -> Any:
        if step is None:
            return run()
        if not self.in_transaction:
            return self._around([step], run)
        self._steps.append(step)
        return run()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        word = sql.strip().upper()
        if word.startswith("BEGIN"):
            self._steps = []
        elif word == "COMMIT" and self._steps:
            return self._around(self._steps, lambda: super(_Connection, self).execute(sql, parameters))
        values = parameters if isinstance(parameters, tuple | list) else ()
        return self._note(step_of(sql, values), lambda: super(_Connection, self).execute(sql, parameters))

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        rows = list(parameters)
        step = step_of(sql)
        if step is not None and "INTO events" in sql:
            step = " ".join([step, *sorted({row[5] for row in rows})]) if rows else None
        return self._note(step, lambda: super(_Connection, self).executemany(sql, rows))


def install(path: Path) -> None:
    """From here on, this process ends at each step that `path` does not name yet."""
    from covey.chain.tx.attempts import Attempts
    from covey.daemon.storage.secrets import SecretFile

    cuts = Cuts(path)

    class Connection(_Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.cuts, self._steps = cuts, []

    connect, append, broadcast, write = sqlite3.connect, SecretFile.append, Attempts.broadcast, os.write

    def cut_connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return connect(*args, **{"factory": Connection, **kwargs})

    def cut_append(self: SecretFile, name: str, payload: dict[str, Any]) -> None:
        cuts.at(f"before: secret {name}")
        if cuts.due(torn := f"torn: secret {name}"):

            def half(fd: int, data: bytes) -> int:
                written = write(fd, data[: len(data) // 2])
                cuts.at(torn)
                return written

            os.write = half  # type: ignore[assignment]
        append(self, name, payload)
        cuts.at(f"after: secret {name}")

    def cut_broadcast(self: Attempts, attempt: Any, head: int) -> Any:
        cuts.at(f"before: broadcast {attempt.request}")
        reply = broadcast(self, attempt, head)
        cuts.at(f"after: broadcast {attempt.request}")
        return reply

    def around(name: str) -> None:
        original = getattr(os, name)

        def renamed(source: Any, target: Any, **kwargs: Any) -> None:
            step = f"{name} {_NAMES.sub('*', Path(os.fsdecode(target)).name)}"
            cuts.at(f"before: {step}")
            original(source, target, **kwargs)
            cuts.at(f"after: {step}")

        setattr(os, name, renamed)

    sqlite3.connect = cut_connect  # type: ignore[assignment]
    SecretFile.append = cut_append  # type: ignore[method-assign]
    Attempts.broadcast = cut_broadcast  # type: ignore[method-assign]
    around("replace")
    around("rename")
