"""Locks a data folder, so that at most one daemon uses it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from covey.config.errors import ConfigError


def lock_data_dir(folder: Path) -> int:
    """Lock the data folder against a second daemon. Returns the open descriptor. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"data_dir {folder}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise ConfigError(_already_running(folder, holder)) from None
    with contextlib.suppress(OSError):  # on a full disk the lock holds without the process id
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor


def refuse_if_running(folder: Path) -> None:
    """Raise ConfigError, with the process id, if another daemon has locked the data folder."""
    if not is_running(folder):
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
        holder = _holder(descriptor)
        os.close(descriptor)
        raise ConfigError(_already_running(folder, holder))


def _already_running(folder: Path, holder: str) -> str:
    return f"this node is already running{holder}: data_dir {folder} is in use by another daemon"


def _holder(descriptor: int) -> str:
    """The process id in a lock file, in brackets; empty if it has none."""
    text = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
    return f" (pid {text})" if text.isdecimal() else ""


def is_running(data_dir: Path) -> bool:
    """Whether a daemon has locked the data folder."""
    try:
        descriptor = os.open(data_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def network_folder(chain_id: int, scoring: str) -> str:
    """Name of a deployment's folders: chain id and address of Scoring."""
    return f"{chain_id}-{scoring.lower()}"


def entry_folder(data_dir: Path, chain_id: int, scoring: str, task: int) -> Path:
    """Where the node keeps its own entry of a task. If it is there, the node commits it instead of training one."""
    return data_dir / "entries" / network_folder(chain_id, scoring) / str(task)
