"""Errors that end a command: one line on standard error and an exit code."""

from __future__ import annotations


class CliError(Exception):
    """Ends a command with one line. Exit code 1: it could not be done; 2: bad input, nothing was changed."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class InputError(CliError):
    """What the user gave cannot be used; nothing was written or sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=2)
