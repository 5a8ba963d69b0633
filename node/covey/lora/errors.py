"""Errors of `covey.lora`. Each names who is at fault: the operator, the author of the job, or the author of a file."""

from __future__ import annotations

import errno

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")


class LoraError(Exception):
    """Base class. The message is one line and says what to do."""


class BaseModelError(LoraError):
    """A base model is missing, incomplete or of a kind that Covey does not train."""


class DataError(LoraError):
    """A file of records is missing, malformed or too small for the task."""


class JobError(LoraError):
    """A job cannot be run as written. Retrying does not help."""


class ResultError(LoraError):
    """A result or another message of a worker is malformed."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this machine ran out of CPU or GPU memory."""
    if {"MemoryError", "OutOfMemoryError"} & {cls.__name__ for cls in type(error).__mro__}:
        return True
    text = str(error).lower()
    return isinstance(error, (RuntimeError, OSError)) and any(part in text for part in _OUT_OF_MEMORY)


def is_disk_full(error: BaseException) -> bool:
    """Whether this machine's disk, or this user's quota on it, is full."""
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def one_line(error: BaseException) -> str:
    """An error's message on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__
