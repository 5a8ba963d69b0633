"""What commands print: tables and lines for people, one JSON document for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def console(*, stderr: bool = False) -> Any:
    """A Rich console; standard output carries results, standard error progress."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output; whole numbers beyond 2^53 are printed as strings, bytes as 0x hex."""
    sys.stdout.write(json.dumps(_plain(value), indent=2) + "\n")
    sys.stdout.flush()  # into a pipe or a journal too, while the command goes on


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Any:
    """A Rich table; columns whose name ends in '>' are aligned to the right."""
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name.removesuffix(">"), justify="right" if name.endswith(">") else "left", header_style="dim")
    for row in rows:
        made.add_row(*row)
    return made
