"""Serves the jobs of one stream of requests."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterable
from typing import Protocol, TextIO

from covey.lora.errors import BaseModelError, DataError, LoraError, is_disk_full, is_out_of_memory, one_line
from covey.lora.jobs.job import Job
from covey.lora.jobs.messages import (
    ErrorKind,
    ErrorMessage,
    Hello,
    Message,
    ProgressMessage,
    ResultMessage,
    parse_request,
    request_id,
)
from covey.lora.jobs.result import Result
from covey.lora.types import Progress


class JobRunner(Protocol):
    """Runs jobs; see `covey.lora.jobs.dispatch.Runner`."""

    def run(self, job: Job, progress: Progress, /) -> Result: ...
    def release(self) -> None: ...


class Session:
    """Runs the jobs of one stream, one after another, until it ends."""

    def __init__(self, requests: Iterable[str], messages: TextIO, runner: JobRunner) -> None:
        self._requests, self._messages, self._runner = requests, messages, runner

    def serve(self) -> None:
        """Run the job of every line. Returns at the end of input or when the other side stops reading."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._send(Hello(pid=os.getpid()))
            for line in self._requests:
                if line.strip():
                    self._handle(line)

    def _handle(self, line: str) -> None:
        identity = request_id(line)

        def progress(stage: str, done: int, total: int) -> None:
            self._send(ProgressMessage(id=identity, stage=stage, done=done, total=total))

        try:
            result = self._runner.run(parse_request(line).job, progress)
            self._send(ResultMessage(id=identity, result=result))
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # the process outlives any job
            kind = error_kind(error)
            retry = kind not in ("bad_setup", "bad_job")
            if retry:
                with contextlib.suppress(OSError):  # the disk of the log may be full
                    traceback.print_exc()
                traceback.clear_frames(error.__traceback__)  # the job's tensors, which the error still refers to
                self._runner.release()
            self._send(ErrorMessage(id=identity, kind=kind, message=one_line(error), retry=retry))

    def _send(self, message: Message) -> None:
        self._messages.write(message.model_dump_json() + "\n")
        self._messages.flush()


def error_kind(error: BaseException) -> ErrorKind:
    """``bad_setup``, ``bad_job``, ``oom``, ``disk_full`` or ``internal``."""
    if is_disk_full(error):
        return "disk_full"
    if isinstance(error, (BaseModelError, DataError)):
        return "bad_setup"
    if isinstance(error, LoraError):
        return "bad_job"
    return "oom" if is_out_of_memory(error) else "internal"
