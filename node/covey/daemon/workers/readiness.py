"""Whether this machine can do the jobs that the node would take on: its record files, and jobs that failed here.

A node that cannot do a job must not put up stake or pay a fee for it, and its operator must hear of it at once.
"""

from __future__ import annotations

from pathlib import Path

from covey.config.shared import RoleSettings
from covey.config.types import Role
from covey.daemon.storage.retiring import NOTE, is_retiring
from covey.daemon.workers.background import Background, Pending
from covey.lora.data.records import count_strata
from covey.lora.errors import DataError


class Readiness:
    """Checks the record files of the node's roles whenever they change, and remembers failed jobs.

    Used from the main loop's thread.
    """

    def __init__(self, settings: RoleSettings, background: Background, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._settings = settings
        self._background = background
        self._failed: dict[str, str] = {}

    def counts(self, path: Path) -> dict[str, int]:
        """Number of records by stratum. The file is read again once it has changed.

        Raises:
            Pending: the file is being read.
            DataError: the file is missing, or not a file of records.
            OSError: the disk failed.
        """
        return self._background.get(stamped_name(path), lambda: count_strata(path), (DataError,))

    def record_problems(self) -> list[str]:
        """What is wrong with the record files of the node's roles."""
        problems = []
        for role, what, path in (
            (Role.TRAINER, "training records", self._settings.training_records),
            (Role.VALIDATOR, "held-out records", self._settings.heldout_records),
        ):
            if role not in self._settings.roles or path is None:
                continue
            try:
                self.counts(path)
            except Pending:
                continue
            except (DataError, OSError) as error:
                problems.append(f"{what}: {error}; until this is fixed, the node takes no new task as {role.value}")
        return problems

    def failed(self, key: str, message: str) -> None:
        """A job failed because of this machine's records, base or device."""
        self._failed[key] = message

    def succeeded(self) -> None:
        """A job succeeded, so the machine works again."""
        self._failed.clear()

    def setup_problem(self) -> str | None:
        """Why this machine can do no job at all."""
        if not self._failed:
            return None
        key, message = list(self._failed.items())[-1]
        return f"job of {key}: {message}; the node takes no new task until this is fixed and the node restarted"

    def reason_to_wait(self) -> str | None:
        """Why the node takes no new task for now: its operator leaves, or this machine can do no job."""
        return NOTE if is_retiring(self._data_dir) else self.setup_problem()

    def problems(self) -> list[str]:
        """Everything that keeps the node from taking tasks."""
        setup = self.setup_problem()
        return [*self.record_problems(), *([] if setup is None else [setup])]


def stamped_name(path: Path) -> str:
    """A name for the contents of a file, which changes with it."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return f"records/{path}/{type(error).__name__}"
    return f"records/{path}/{status.st_ino}/{status.st_size}/{status.st_mtime_ns}"
