"""Log lines as text and as JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from covey.config.logs import LineFormatter, configure


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("covey")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


def record(level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("covey.daemon", level, "", 1, "task %d settled", (7,), None)
    vars(made).update(extra)
    return made


def test_text_line_quotes_values_with_spaces() -> None:
    line = LineFormatter(as_json=False).format(record(block=12, reason="no seed", empty=""))
    assert line.endswith('INFO    task 7 settled  block=12 reason="no seed" empty=""')


def test_json_line_has_message_and_fields() -> None:
    fields = json.loads(LineFormatter(as_json=True).format(record(block=12)))
    del fields["time"]
    assert fields == {"level": "info", "logger": "covey.daemon", "message": "task 7 settled", "block": 12}


@pytest.mark.parametrize(("level", "traced"), [(logging.WARNING, False), (logging.ERROR, True)])
def test_exception_is_a_field_with_a_trace_from_error_on(level: int, traced: bool) -> None:
    failed = record(level)
    try:
        raise ValueError("bad spec")
    except ValueError:
        failed.exc_info = sys.exc_info()
    line = LineFormatter(as_json=True).format(failed)
    fields = json.loads(line)
    assert "\n" not in line
    assert fields["error"] == "ValueError: bad spec"
    assert ("trace" in fields) == traced


def test_libraries_log_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", as_json=False)
    logging.getLogger("covey.test").info("shown")
    logging.getLogger("covey.test").debug("hidden")
    logging.getLogger("urllib3").info("hidden")
    logging.getLogger("urllib3").warning("also shown")
    shown = capsys.readouterr().err
    assert "shown" in shown
    assert "also shown" in shown
    assert "hidden" not in shown
