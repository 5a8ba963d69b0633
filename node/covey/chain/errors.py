"""What can go wrong between the node and the chain, sorted by what to do about it.

- `TransientError`: try again later, here or at another endpoint. A flaky provider is never fatal.
- `FatalError`: trying again cannot help; stop and tell the operator (wrong chain, wrong deployment, unreadable key).
- `ContractReverted`: a contract said no, and why.
- `RpcResponseError`: a node answered with an error of its own, for instance to a malformed transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class ChainError(Exception):
    """Root of all errors of this package; the message is one line for a person."""


class TransientError(ChainError):
    """Trying again later may help."""


class Unreachable(TransientError):
    """No endpoint gave a usable answer in time; the message names each and its fault."""


class TooSlow(Unreachable):
    """No endpoint answered before the deadline, or an answer broke off; asking for less may help."""


class TooManyResults(TransientError):
    """A log query was refused for its size; ask for a smaller range."""


class Disagreement(TransientError):
    """Too few endpoints gave the same answer; the message says who gave which."""


class Timeout(TransientError):
    """What was waited for did not happen before the deadline."""


class FatalError(ChainError):
    """Trying again cannot help."""


class WrongChain(FatalError):
    """An endpoint serves another chain than configured."""


class WrongDeployment(FatalError):
    """The deployment records do not agree with the chain."""


class SigningFailed(ChainError):
    """The signer gave no signature that may be broadcast: it refused, or what it gave is not what was asked for."""


class SignerUnreachable(SigningFailed, TransientError):
    """A remote signer did not answer."""


class RpcResponseError(ChainError):
    """A node answered with a JSON-RPC error; ``code`` and ``message`` are the node's."""

    def __init__(self, method: str, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{method}: {message}" + (f" ({code})" if code else ""))
        self.method = method
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class RevertReason:
    """A decoded revert: the error's name, its arguments by name, a line for a person, the raw data."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    data: bytes = b""

    def __str__(self) -> str:
        return self.text or self.name


class ContractReverted(ChainError):
    """A call or transaction reverted; ``reason`` says why."""

    def __init__(self, reason: RevertReason, what: str = "") -> None:
        super().__init__(f"{what}: {reason}" if what else str(reason))
        self.reason = reason
        self.what = what

    @property
    def name(self) -> str:
        """Name of the contract's error, for instance ``RegistryWindowClosed``."""
        return self.reason.name
