"""Requests to a worker and its messages as JSON."""

from __future__ import annotations

import pytest

from covey.lora.errors import JobError, ResultError
from covey.lora.jobs.job import ProbeJob
from covey.lora.jobs.messages import (
    ErrorMessage,
    Hello,
    ProgressMessage,
    Request,
    parse_message,
    parse_request,
    request_id,
)


@pytest.mark.parametrize(
    "message",
    [
        Hello(pid=7),
        ProgressMessage(id="a", stage="train", done=1, total=2),
        ErrorMessage(id=3, kind="oom", message="out of memory", retry=True),
    ],
    ids=lambda message: message.type,
)
def test_message_survives_json(message: Hello | ProgressMessage | ErrorMessage) -> None:
    assert parse_message(message.model_dump_json()) == message


@pytest.mark.parametrize("line", ["noise from a library", "{}", '{"type": "result", "result": "0"}', "\xff"])
def test_malformed_message_is_refused(line: str) -> None:
    with pytest.raises(ResultError):
        parse_message(line)


def test_malformed_request_keeps_its_id() -> None:
    line = '{"id": "a", "job": {"kind": "nonsense"}}'
    with pytest.raises(JobError, match="job"):
        parse_request(line)
    assert request_id(line) == "a"
    assert request_id("nonsense") is request_id('{"id": []}') is None


def test_request_survives_json() -> None:
    request = Request(id="a", job=ProbeJob())
    assert parse_request(request.to_line()) == request
