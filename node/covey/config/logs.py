"""Structured logs: one line for each event, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were passed as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class LineFormatter(logging.Formatter):
    """Formats a record as `time LEVEL message  name=value …`, or as one JSON object."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Format a record. An exception becomes the field `error`; from level ERROR on also `trace`."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = fields_of(record)
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}"
            if record.levelno >= logging.ERROR:
                fields["trace"] = self.formatException(record.exc_info)
        if self._as_json:
            head = {"time": time, "level": record.levelname.lower(), "logger": record.name}
            return json.dumps({**head, "message": record.getMessage(), **fields}, default=str, ensure_ascii=False)
        suffix = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
        return f"{time} {record.levelname:<7} {record.getMessage()}" + (f"  {suffix}" if suffix else "")


def _quoted(value: object) -> str:
    text = str(value)
    needs_quotes = not text or not text.isprintable() or any(c.isspace() or c == '"' for c in text)
    return json.dumps(text, ensure_ascii=not text.isprintable()) if needs_quotes else text


def configure(level: str, as_json: bool) -> None:
    """Send this process's logs to standard error: covey's from `level` on, those of libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("covey").setLevel(level.upper())
