"""Decodes the contracts' events from raw logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from eth_hash.auto import keccak

from covey.chain import artifacts
from covey.chain.abi.layout import Decoder, layout_of
from covey.chain.abi.reverts import signature
from covey.chain.contracts.base import struct
from covey.chain.errors import Unreachable
from covey.protocol.types import Schedule, TaskParams

if TYPE_CHECKING:
    from covey.chain.deployment import Deployment


class Event(NamedTuple):
    """One event. ``args`` are by ABI name: bytes32 as 0x hex, addresses checksummed, structs as dicts."""

    name: str
    contract: str
    """Name of the artifact that emitted it, for instance ``Scoring``."""
    args: dict[str, Any]
    block: int
    block_hash: str
    tx_hash: str
    log_index: int


class _Decoder(NamedTuple):
    name: str
    topics: Decoder
    data: Decoder


@cache
def _decoders(contract: str) -> dict[str, _Decoder]:
    """Decoders of a contract's events, by topic 0."""
    found = {}
    for item in artifacts.load(contract).abi:
        if item["type"] != "event" or item["anonymous"]:
            continue
        indexed = [_as_topic(c) for c in item["inputs"] if c["indexed"]]
        plain = [c for c in item["inputs"] if not c["indexed"]]
        topic = "0x" + keccak(signature(item).encode()).hex()
        found[topic] = _Decoder(item["name"], layout_of(indexed), layout_of(plain))
    return found


def _as_topic(component: dict[str, Any]) -> dict[str, Any]:
    """An indexed parameter as its topic encodes it: a type that does not fit into a word is stored as its hash."""
    kind: str = component["type"]
    fits = not kind.endswith("]") and kind not in ("tuple", "bytes", "string")
    return component if fits else {"name": component["name"], "type": "bytes32"}


NOT_FOLLOWED = ("AccessManager", "CoveyToken")
"""Contracts whose events do not concern tasks and pools."""


@cache
def followed() -> tuple[str, ...]:
    """Contracts whose events rebuild the state of tasks and pools: all that emit events, except `NOT_FOLLOWED`."""
    return tuple(name for name in artifacts.CONTRACTS if name not in NOT_FOLLOWED and _decoders(name))


def topic_of(contract: str, name: str) -> str:
    """Topic 0 of an event, 0x hex.

    Raises:
        KeyError: the contract has no such event.
    """
    for topic, decoder in _decoders(contract).items():
        if decoder.name == name:
            return topic
    raise KeyError(f"{contract} has no event {name}")


class EventReader:
    """Decodes raw logs of one deployment.

    Args:
        contracts: artifact name to address; only these are decoded.
    """

    def __init__(self, contracts: Mapping[str, str]) -> None:
        self.addresses = sorted(address.lower() for address in contracts.values())
        self._by_address = {address.lower(): (name, _decoders(name)) for name, address in contracts.items()}

    @classmethod
    def of(cls, deployment: Deployment) -> EventReader:
        """A reader for the contracts that a node follows."""
        return cls({name: deployment.address(name) for name in followed()})

    def read(self, log: dict[str, Any]) -> Event | None:
        """Decode a raw JSON-RPC log; None if it is not an event of these contracts.

        Raises:
            Unreachable: the log is malformed.
        """
        try:
            known = self._by_address.get(log["address"].lower())
            topics = log["topics"]
            if known is None or not topics:
                return None
            contract, decoders = known
            decoder = decoders.get(topics[0])
            if decoder is None:
                return None
            args = decoder.topics.decode(bytes.fromhex("".join([topic[2:] for topic in topics[1:]])))
            args.update(decoder.data.decode(bytes.fromhex(log["data"][2:])))
            return Event(
                decoder.name,
                contract,
                args,
                int(log["blockNumber"], 16),
                log["blockHash"],
                log["transactionHash"],
                int(log["logIndex"], 16),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unreachable(f"a node returned a malformed log: {error}") from None

    def read_all(self, logs: Iterable[dict[str, Any]]) -> list[Event]:
        """Decode raw logs in order, skipping those that are not events of these contracts."""
        return [event for event in map(self.read, logs) if event is not None]


def task_params(args: Mapping[str, Any]) -> TaskParams:
    """The ``params`` of a TaskCreated event as the protocol's type."""
    params: TaskParams = _protocol_struct(TaskParams, "params", args["params"])
    return params


def task_schedule(args: Mapping[str, Any]) -> Schedule:
    """The ``schedule`` of a TaskCreated event as the protocol's type."""
    schedule: Schedule = _protocol_struct(Schedule, "schedule", args["schedule"])
    return schedule


@cache
def _components(parameter: str) -> list[dict[str, Any]]:
    abi = artifacts.load("TaskRegistry").abi
    created = next(item for item in abi if item["type"] == "event" and item["name"] == "TaskCreated")
    inputs: list[dict[str, Any]] = next(c for c in created["inputs"] if c["name"] == parameter)["components"]
    return inputs


def _protocol_struct(kind: type[Any], parameter: str, values: Mapping[str, Any]) -> Any:
    return struct(kind, _components(parameter), _values(_components(parameter), values))


def _values(components: list[dict[str, Any]], values: Mapping[str, Any]) -> list[Any]:
    """Values of a decoded dict in the ABI's order, with bytes32 as bytes."""
    ordered: list[Any] = []
    for component in components:
        value = values[component["name"]]
        if component["type"] == "tuple":
            value = _values(component["components"], value)
        elif component["type"] == "bytes32":
            value = bytes.fromhex(value[2:])
        ordered.append(value)
    return ordered
