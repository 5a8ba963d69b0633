"""Errors between the node and the chain, classified by remedy.

- `TransientError`: retry later, here or at another endpoint. A flaky provider is never fatal.
- `FatalError`: a retry cannot help; stop and report to the operator (wrong chain, wrong deployment, unreadable key).
- `ContractReverted`: a contract refused a call, with its reason.
- `RpcResponseError`: a node answered with an error of its own, for instance to a malformed transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class ChainError(Exception):
    """Base class of all errors of this package. The message is one line for the operator."""


class TransientError(ChainError):
    """A later retry may succeed."""


class Unreachable(TransientError):
    """No endpoint gave a usable answer in time; the message lists each endpoint and its fault."""


class TooSlow(Unreachable):
    """No endpoint answered before the deadline, or an answer broke off; a smaller request may succeed."""


class TooManyResults(TransientError):
    """A log query was refused for its size; ask for a smaller range."""


class Disagreement(TransientError):
    """Too few endpoints gave the same answer; the message lists the answers and their endpoints."""


class Timeout(TransientError):
    """The awaited event did not happen before the deadline."""


class FatalError(ChainError):
    """A retry cannot help."""


class WrongChain(FatalError):
    """An endpoint serves another chain than configured."""


class WrongDeployment(FatalError):
    """The deployment records do not match the chain."""


class SigningFailed(ChainError):
    """The signer refused, or returned something other than the requested transaction."""


class SignerUnreachable(SigningFailed, TransientError):
    """A remote signer did not answer."""


class RpcResponseError(ChainError):
    """A node answered with a JSON-RPC error; ``code`` and ``message`` are the node's, ``status`` is that of HTTP."""

    def __init__(self, method: str, code: int, message: str, data: Any = None, *, status: int = 200) -> None:
        super().__init__(f"{method}: {message}" + (f" ({code})" if code else ""))
        self.method = method
        self.code = code
        self.message = message
        self.data = data
        self.status = status


@dataclass(frozen=True, slots=True)
class RevertReason:
    """A decoded revert: the error's name, its arguments by name, a line for the operator, the raw data."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    data: bytes = b""

    def __str__(self) -> str:
        return self.text or self.name


class ContractReverted(ChainError):
    """A call or transaction reverted; ``reason`` is the decoded revert, ``what`` describes the call."""

    def __init__(self, reason: RevertReason, what: str = "") -> None:
        super().__init__(f"{what}: {reason}" if what else str(reason))
        self.reason = reason
        self.what = what

    @property
    def name(self) -> str:
        """Name of the contract's error, for instance ``RegistryWindowClosed``."""
        return self.reason.name
