"""Base of all bindings: reads through web3's contract object, structs as dataclasses, writes as `Call` values."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_type_hints

from eth_utils.address import to_checksum_address

from covey.chain import artifacts
from covey.chain.errors import Unreachable, WrongDeployment

if TYPE_CHECKING:
    from covey.chain.rpc.client import BlockId, Rpc

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction to send. ``describe`` says in one line what it does, for logs and status output."""

    to: str | None
    """None creates a contract."""
    data: bytes
    describe: str
    value: int = 0
    """Native coin sent along, wei."""

    def named(self, describe: str) -> Call:
        """The same call, described by one who knows more of it: which amount moves, from where to where."""
        return dataclasses.replace(self, describe=describe)


def snake(name: str) -> str:
    """Convert camelCase to snake_case."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Types of a dataclass's fields, by name."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def struct(kind: type[T], components: list[dict[str, Any]], values: Any) -> T:
    """Convert a Solidity struct to a dataclass with the same field names in snake_case.

    Components without a field in the dataclass are ignored.

    Raises:
        WrongDeployment: the ABI lacks a field of the dataclass.
    """
    by_name = {snake(c["name"]): (c, v) for c, v in zip(components, values, strict=True)}
    arguments = {}
    for name, hint in _hints(cast(Any, kind)).items():
        if name not in by_name:
            raise WrongDeployment(f"the contract's struct lacks {name} of {kind.__name__}: it may be another version")
        component, value = by_name[name]
        arguments[name] = _converted(hint, component, value)
    return kind(**arguments)


def _converted(hint: Any, component: dict[str, Any], value: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return struct(hint, component["components"], value)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return hint(value)
    return value


class Binding:
    """A contract at an address, over an `Rpc`.

    Args:
        rpc: client for reads.
        address: the contract's address, in any letter case.
        block: default block of reads.
    """

    artifact = ""
    """Name of the compiled contract."""

    def __init__(self, rpc: Rpc, address: str, block: BlockId = "latest") -> None:
        self.rpc = rpc
        self.address: str = to_checksum_address(address)
        self.block = block
        self._contract: Any = None
        self._outputs: dict[str, list[dict[str, Any]]] = {}

    @property
    def contract(self) -> Any:
        """web3's contract object."""
        if self._contract is None:
            from covey.chain.rpc.web3_provider import web3_of

            abi = artifacts.load(self.artifact).abi
            self._outputs = {item["name"]: item["outputs"] for item in abi if item["type"] == "function"}
            self._contract = web3_of(self.rpc).eth.contract(address=self.address, abi=abi)  # type: ignore[call-overload]
        return self._contract

    def authority(self) -> str:
        """The AccessManager of a governed contract."""
        return str(self._read("authority"))

    def read_number(self, function: str) -> int:
        """The result of a view without arguments that returns one number. Raises as other reads do."""
        return int(self._read(function))

    def _read(self, function: str, *args: Any, block: BlockId | None = None) -> Any:
        """Call a view function and return its decoded result.

        Raises:
            ContractReverted: the view reverted.
            Unreachable: no endpoint answered, or one answered as if there were no such contract. `Deployment.verify`
                has checked at the start that there is, so the endpoint lacks the state; that must not be fatal.
        """
        from web3.exceptions import Web3Exception

        call = getattr(self.contract.functions, function)(*self._arguments(args))
        try:
            return call.call({}, block_identifier=self.block if block is None else block)
        except Web3Exception as error:
            where = f"{self.artifact} at {self.address}"
            raise Unreachable(f"{where} returned a malformed result of {function}: {str(error)[:200]}") from None

    def _read_struct(self, kind: type[T], function: str, *args: Any, block: BlockId | None = None) -> T:
        values = self._read(function, *args, block=block)
        outputs = self._outputs[function]
        components = outputs[0]["components"] if len(outputs) == 1 else outputs
        return struct(kind, components, values)

    def _write(self, describe: str, function: str, *args: Any) -> Call:
        """Encode a call of a state-changing function.

        Raises:
            ValueError: an argument does not fit its type; the message names the function.
        """
        from web3.exceptions import Web3Exception

        try:
            data = self.contract.encode_abi(function, list(self._arguments(args)))
        except KeyError as error:  # a struct that is given as a dictionary lacks a field
            raise ValueError(f"{function}: the field {error} is missing") from None
        except (Web3Exception, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise ValueError(f"{function}: {(str(error) or type(error).__name__).splitlines()[0]}") from None
        return Call(self.address, bytes.fromhex(data[2:]), describe)

    def write(self, describe: str, function: str, *args: Any) -> Call:
        """Encode a call of a state-changing function, by name. Raises ValueError as other writes do."""
        return self._write(describe, function, *args)

    @staticmethod
    def _arguments(args: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(_checksummed(argument) for argument in args)


def _checksummed(argument: Any) -> Any:
    """Checksum an address, as web3 requires; return anything else unchanged."""
    if isinstance(argument, str) and re.fullmatch(r"0x[0-9a-fA-F]{40}", argument):
        return to_checksum_address(argument)
    return argument
