"""Output of commands: tables and lines for people, one JSON document for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def console(*, stderr: bool = False) -> Any:
    """A Rich console. Results go to standard output, progress to standard error."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write one JSON document to standard output and flush it.

    Integers beyond 2^53 become strings, bytes become 0x-prefixed hexadecimal.
    """
    sys.stdout.write(json.dumps(_to_json(value), indent=2) + "\n")
    sys.stdout.flush()  # a pipe is block-buffered, and the command may go on running


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Any:
    """A Rich table. A column whose name ends in '>' is right-aligned."""
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name.removesuffix(">"), justify="right" if name.endswith(">") else "left", header_style="dim")
    for row in rows:
        made.add_row(*row)
    return made
