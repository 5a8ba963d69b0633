"""Exceptions of the public API: every function of `covey.client` raises subclasses of `ClientError` only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from covey.chain.errors import ChainError


class ClientError(Exception):
    """The operation could not be completed. The message is one line: what failed, where, and what to do."""


class InvalidInput(ClientError):
    """An argument cannot be used. Nothing was written or sent.

    Args:
        parameter: name of the parameter at fault, if there is a single one; the message then begins with it and a
            colon.
    """

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message if parameter is None else f"{parameter}: {message}")
        self.parameter = parameter


class NothingToDo(InvalidInput):
    """There is nothing to withdraw or to claim now. Nothing was sent."""


class UnknownTask(InvalidInput):
    """The network has no task of this id."""


class InsufficientBalance(InvalidInput):
    """The account holds fewer tokens than the operation takes."""


class NetworkError(ClientError):
    """No endpoint answered, the endpoints disagree, or the contracts are not those of the deployment record."""


class TransactionFailed(ClientError):
    """A transaction could not be sent, was reverted, or was not mined in time. The message begins with its purpose."""


class IncompleteEvents(ClientError):
    """The events read from the chain are not the whole history of a task, so nothing can be recomputed from them."""


class JournalError(ClientError):
    """The node's journal cannot be opened or read."""


@contextmanager
def network_errors() -> Iterator[None]:
    """Raise `NetworkError` for any `ChainError` of the block."""
    try:
        yield
    except ChainError as error:
        raise NetworkError(str(error)) from error
