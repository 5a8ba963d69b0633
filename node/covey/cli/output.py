"""Output of commands: tables and lines for people, one JSON document for scripts."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
    from rich.table import Table
    from rich.text import Text

_LABEL = 10
"""Columns of the labels of `labelled`."""
_UNLIMITED = 100_000
"""Columns of an output that is no terminal."""


def console(*, stderr: bool = False) -> Any:
    """A Rich console. Results go to standard output, progress to standard error.

    Text is never markup: it may come from strangers. `marked` makes styled text.
    """
    from rich.console import Console

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    return PlainConsole(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


def printable(text: str) -> str:
    """The text with control characters, which could steer a terminal or reverse the reading direction, replaced."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" or category(c) == "Zs" else "\ufffd" for c in text)


def marked(template: str, *values: object) -> Text:
    """Styled text: tags of the template apply, one at a time, as in ``[red]{}[/] is late``. Values are shown as they
    are."""
    from rich.text import Text

    styled, style = Text(), ""
    pieces = template.split("{}")
    for number, piece in enumerate(pieces):
        for place, part in enumerate(re.split(r"\[(/?[a-z ]*)\]", piece)):
            if place % 2:
                style = "" if part.startswith("/") else part
            else:
                styled.append(part, style=style)
        if number < len(pieces) - 1:
            styled.append(printable(str(values[number])), style=style)
    return styled


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


def labelled(out: Console, label: str, text: str, *, style: str = "") -> None:
    """Print a label and a text, which wraps between words below itself on a terminal. The text is no markup."""
    from rich.text import Text

    text = printable(text)
    lines = [text]
    if _is_limited(out):
        width = max(20, out.width - _LABEL)
        lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    out.print(Text(f"{label:<{_LABEL}}", style=style) + Text(("\n" + " " * _LABEL).join(lines)))


def _is_limited(out: Console) -> bool:
    """Whether lines have a maximum width: a terminal's, or that of COLUMNS."""
    return out.is_terminal or "COLUMNS" in os.environ


class FittingTable:
    """A table that never cuts a cell: if it is wider than the terminal, each row becomes a block of lines.

    Written to a file or a pipe it has the width that it needs, unless COLUMNS is set.
    """

    def __init__(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        self._title, self._columns, self._rows = title, columns, [list(row) for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.measure import Measurement

        made = self._table()
        needed = Measurement.get(console, options.update(width=_UNLIMITED), made).maximum
        if _is_limited(console) and needed > options.max_width:
            yield self._blocks()
            return
        yield from console.render(made, options.update(width=max(needed, _cells(self._title))))

    def _table(self) -> Table:
        from rich.table import Table

        made = Table(
            title=self._title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
        )
        for name in self._columns:
            side: JustifyMethod = "right" if name.endswith(">") else "left"
            made.add_column(name.removesuffix(">"), justify=side, header_style="dim", no_wrap=True)
        for row in self._rows:
            made.add_row(*row)
        return made

    def _blocks(self) -> Text:
        """Each row as lines of a name and a value."""
        from rich.text import Text

        names = [" ".join(name.removesuffix(">").split()) for name in self._columns]
        width = max(map(len, names), default=0) + 2
        lines = [Text(self._title, style="bold")] if self._title else []
        for row in self._rows:
            for number, (name, value) in enumerate(zip(names, row, strict=True)):
                line = Text(f"{name:<{width}}" if number == 0 else f"  {name:<{width}}", style="dim" if number else "")
                lines.append(line + (Text(printable(value)) if isinstance(value, str) else value))
        return Text("\n").join(lines)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> FittingTable:
    """A table for `console().print`. A column whose name ends in '>' is right-aligned; a cell may be `marked` text."""
    return FittingTable(title, columns, rows)


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
