"""Kills the process with SIGKILL before and after each durable step that it takes, once at each.

A step is a commit of the journal, a line of the file of secrets (killed half-written too), a broadcast, or a file moved
into place. A step is identified by what it writes, not by when: `INSERT secrets entry/1`, `UPDATE tx_request 3 mined`.
The steps at which the process has died are listed in a file, so its next run passes them and dies at the next one.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

_T = TypeVar("_T")
_WRITES = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|CREATE TABLE|ALTER)\b(?:\s+(?:OR \w+|INTO|FROM|IF NOT EXISTS|TABLE))*\s*(\w+)"
)
_NAMES = re.compile(r"[a-z2-7]{24,}|[0-9a-f]{16,}|\d+")
_KEY = re.compile(r"[\w-]+(/[\w-]+)+|[a-z][a-z ]{0,15}")


class StepHook(Protocol):
    """Something that happens at durable steps."""

    def at(self, step: str) -> None:
        """Called before and after each step; ``step`` starts with `before: ` or `after: `."""

    def tears(self, step: str) -> bool:
        """Whether a line of the file of secrets shall be written only half before ``at(step)``."""


class CrashPoints:
    """Kills the process at each step that ``path`` does not list yet."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._seen = set(path.read_text(encoding="utf-8").splitlines())
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def at(self, step: str) -> None:
        """Die here, unless an earlier run did."""
        if step in self._seen:
            return
        with self._lock:  # two threads must not both claim the same death
            self._file.write(step + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def tears(self, step: str) -> bool:
        return step not in self._seen


def step_of(sql: str, parameters: Iterable[object] = ()) -> str | None:
    """The step of an SQL statement; None if it writes nothing.

    It contains the parameters that name something: keys, states, and a row number in the last place.
    """
    found = _WRITES.match(sql)
    if found is None:
        return None
    values = list(parameters)
    names = [value for value in values if isinstance(value, str) and _KEY.fullmatch(value)]
    if found[2].startswith("tx_") and values and isinstance(values[-1], int):
        names.append(str(values[-1]))
    return " ".join([found[1], found[2], *names])


class _Connection(sqlite3.Connection):
    """Collects what a transaction writes, and calls the hook around its commit."""

    hook: ClassVar[StepHook]
    _steps: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._steps = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        command = sql.strip().upper()
        if command.startswith("BEGIN"):
            self._steps = []
        elif command == "COMMIT" and self._steps:
            return self._around(self._steps, lambda: super(_Connection, self).execute(sql, parameters))
        values = parameters if isinstance(parameters, tuple | list) else ()
        return self._record(step_of(sql, values), lambda: super(_Connection, self).execute(sql, parameters))

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        rows = list(parameters)
        step = step_of(sql)
        if step is not None and "INTO events" in sql:
            step = " ".join([step, *sorted({row[5] for row in rows})]) if rows else None
        return self._record(step, lambda: super(_Connection, self).executemany(sql, rows))

    def _record(self, step: str | None, run: Callable[[], _T]) -> _T:
        if step is None:
            return run()
        if not self.in_transaction:
            return self._around([step], run)
        self._steps.append(step)
        return run()

    def _around(self, steps: list[str], run: Callable[[], _T]) -> _T:
        step = " + ".join(dict.fromkeys(steps))[:500]
        self.hook.at(f"before: {step}")
        result = run()
        self.hook.at(f"after: {step}")
        return result


def install(hook: StepHook) -> None:
    """Call ``hook`` at every durable step of this process from now on."""
    from covey.chain.tx.attempts import Attempts
    from covey.daemon.storage.secrets import SecretFile

    _Connection.hook = hook
    connect, append, broadcast, write = sqlite3.connect, SecretFile.append, Attempts.broadcast, os.write

    def hooked_connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **{"factory": _Connection, **kwargs})
        return connection

    def hooked_append(self: SecretFile, name: str, payload: dict[str, Any]) -> None:
        hook.at(f"before: secret {name}")
        if hook.tears(torn := f"torn: secret {name}"):

            def write_half(fd: int, data: bytes) -> int:
                written = write(fd, data[: len(data) // 2])
                hook.at(torn)
                return written

            os.write = write_half  # type: ignore[assignment]
        append(self, name, payload)
        hook.at(f"after: secret {name}")

    def hooked_broadcast(self: Attempts, attempt: Any, head: int) -> Any:
        hook.at(f"before: broadcast {attempt.request}")
        reply = broadcast(self, attempt, head)
        hook.at(f"after: broadcast {attempt.request}")
        return reply

    def hook_rename(name: str) -> None:
        original = getattr(os, name)

        def hooked(source: Any, target: Any, **kwargs: Any) -> None:
            step = f"{name} {_NAMES.sub('*', Path(os.fsdecode(target)).name)}"
            hook.at(f"before: {step}")
            original(source, target, **kwargs)
            hook.at(f"after: {step}")

        setattr(os, name, hooked)

    sqlite3.connect = hooked_connect  # type: ignore[assignment]
    SecretFile.append = hooked_append  # type: ignore[method-assign]
    Attempts.broadcast = hooked_broadcast  # type: ignore[method-assign]
    hook_rename("replace")
    hook_rename("rename")
