"""Errors of commands. `covey.cli.main` prints one as a line on standard error and exits with its code."""

from __future__ import annotations


class CliError(Exception):
    """A command failed. The message is one line; the exit code is 1 unless given."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class InputError(CliError):
    """The user's input cannot be used. Nothing was written or sent; the exit code is 2."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=2)
