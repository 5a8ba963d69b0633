"""The mark in a node's data folder that its operator is leaving: the node finishes its duties and takes no new task."""

from __future__ import annotations

from pathlib import Path

NOTE = "the node takes no new task, because its operator retires: to take tasks again, run `covey retire --cancel`"
_NAME = "retiring"


def is_retiring(data_dir: Path) -> bool:
    """Whether the operator of the node with this data folder is leaving."""
    return (data_dir / _NAME).exists()


def mark_retiring(data_dir: Path) -> None:
    """Make the node, running or not, take no new task. Raises OSError."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / _NAME).touch()


def unmark_retiring(data_dir: Path) -> bool:
    """Let the node take tasks again; return whether it was marked. Raises OSError."""
    marked = is_retiring(data_dir)
    (data_dir / _NAME).unlink(missing_ok=True)
    return marked
