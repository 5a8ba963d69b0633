"""Messages between a worker and the process that gives it jobs: one JSON object per line. Does not import torch.

A request is ``{"id": …, "job": {…}}``; the caller chooses the id, and every message about the job repeats it.
The worker writes one `Hello` at the start, then for each request any number of `ProgressMessage` and exactly one
`ResultMessage` or `ErrorMessage`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from covey.lora.errors import JobError, ResultError
from covey.lora.jobs.job import Job
from covey.lora.jobs.result import Result
from covey.protocol.document import Count, Strict, describe_errors

RequestId = str | int | None
ErrorKind = Literal["bad_setup", "bad_job", "oom", "disk_full", "internal"]


class Request(Strict):
    """A job to run."""

    id: RequestId = None
    job: Job

    def to_line(self) -> str:
        """One line of JSON, without its end."""
        return self.model_dump_json()


class _RequestHead(Strict):
    """The id of a request whose job may be malformed."""

    model_config = ConfigDict(extra="ignore")

    id: RequestId = None


class Hello(Strict):
    """The worker's first message."""

    type: Literal["hello"] = "hello"
    pid: int


class ProgressMessage(Strict):
    """A job has finished `done` of `total` steps of `stage`."""

    type: Literal["progress"] = "progress"
    id: RequestId = None
    stage: str
    done: Count
    total: Count


class ResultMessage(Strict):
    """A job is done."""

    type: Literal["result"] = "result"
    id: RequestId = None
    result: Result


class ErrorMessage(Strict):
    """A job failed."""

    type: Literal["error"] = "error"
    id: RequestId = None
    kind: ErrorKind
    message: str
    """One line."""
    retry: bool
    """Whether another attempt may succeed."""


Message = Annotated[Hello | ProgressMessage | ResultMessage | ErrorMessage, Field(discriminator="type")]
"""A message of a worker."""
_ANY_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


def parse_request(line: str | bytes) -> Request:
    """Validate a request. Raises JobError with the first error in one line."""
    try:
        return Request.model_validate_json(line)
    except ValidationError as error:
        raise JobError(describe_errors(error, "request")) from None


def request_id(line: str | bytes) -> RequestId:
    """The id of a request that may otherwise be malformed; None if it has no valid id."""
    try:
        return _RequestHead.model_validate_json(line).id
    except ValidationError:
        return None


def parse_message(line: str | bytes) -> Message:
    """Validate a worker's message. Raises ResultError with the first error in one line."""
    try:
        return _ANY_MESSAGE.validate_json(line)
    except ValidationError as error:
        raise ResultError(describe_errors(error, "message")) from None
