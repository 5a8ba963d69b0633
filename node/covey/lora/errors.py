"""Errors of :mod:`covey.lora`: what the operator, the job's author or a stranger's file did wrong."""

from __future__ import annotations

import errno

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")


class LoraError(Exception):
    """Base class; the message is one line that says what to do."""


class BaseModelError(LoraError):
    """A base model is missing, incomplete or of a kind that Covey does not train."""


class DataError(LoraError):
    """A file of records is missing, malformed or too small for the task."""


class JobError(LoraError):
    """A job for a worker process cannot be done as written; retrying will not help."""


class ResultError(LoraError):
    """A result or another message of a worker does not have the required form."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this machine's memory, CPU's or GPU's, ran out."""
    if {"MemoryError", "OutOfMemoryError"} & {cls.__name__ for cls in type(error).__mro__}:
        return True
    text = str(error).lower()
    return isinstance(error, (RuntimeError, OSError)) and any(part in text for part in _NO_MEMORY)


def is_disk_full(error: BaseException) -> bool:
    """Whether this machine's disk, or this user's share of it, was full."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def one_line(error: BaseException) -> str:
    """An error's message on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__
