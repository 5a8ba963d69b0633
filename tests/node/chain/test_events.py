"""Fast decoding against web3's and eth_abi's general decoders, for every event of every contract."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from covey.chain import artifacts
from covey.chain.errors import Unreachable
from covey.chain.events import EventReader, topic_of
from covey.chain.layout import Layout
from covey.chain.reverts import canonical_type, signature

ADDRESSES = {name: "0x" + f"{i + 1:02x}" * 20 for i, name in enumerate(EventReader.FOLLOWED)}
READER = EventReader(ADDRESSES)
EVENTS = [
    pytest.param(name, item, id=f"{name}.{item['name']}")
    for name in EventReader.FOLLOWED
    for item in artifacts.load(name).abi
    if item["type"] == "event"
]


def values_of(component: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind = component["type"]
    if kind == "tuple":
        return st.tuples(*map(values_of, component["components"]))
    if kind == "uint256[]":
        return st.lists(st.integers(0, (1 << 256) - 1), max_size=5)
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
    if kind == "bool":
        return st.booleans()
    if kind == "bytes32":
        return st.binary(min_size=32, max_size=32)
    return st.integers(0, (1 << int(kind.removeprefix("uint"))) - 1)


def as_read(component: dict[str, Any], value: Any) -> Any:
    """eth_abi's value in the form that events are read in."""
    if component["type"] == "tuple":
        return {c["name"]: as_read(c, v) for c, v in zip(component["components"], value, strict=True)}
    if component["type"] == "uint256[]":
        return list(value)
    return "0x" + value.hex() if isinstance(value, bytes) else value


def spelled(value: Any) -> Any:
    """Addresses in one letter case."""
    if isinstance(value, dict):
        return {k: spelled(v) for k, v in value.items()}
    return value.lower() if isinstance(value, str) else value


@pytest.mark.parametrize(("contract", "item"), EVENTS)
@given(data=st.data())
@settings(max_examples=25)
def test_reads_what_eth_abi_reads(contract: str, item: dict[str, Any], data: st.DataObject) -> None:
    indexed = [c for c in item["inputs"] if c["indexed"]]
    plain = [c for c in item["inputs"] if not c["indexed"]]
    topics = [data.draw(values_of(c)) for c in indexed]
    values = [data.draw(values_of(c)) for c in plain]
    types = [canonical_type(c) for c in plain]
    body = encode(types, values)
    log = {
        "address": ADDRESSES[contract],
        "topics": ["0x" + keccak(signature(item).encode()).hex()]
        + ["0x" + encode([c["type"]], [v]).hex() for c, v in zip(indexed, topics, strict=True)],
        "data": "0x" + body.hex(),
        "blockNumber": "0x10",
        "blockHash": "0x" + "aa" * 32,
        "transactionHash": "0x" + "bb" * 32,
        "logIndex": "0x3",
    }
    event = READER.read(log)
    assert event is not None
    assert (event.name, event.contract, event.block, event.log_index) == (item["name"], contract, 16, 3)
    wanted = {c["name"]: as_read(c, v) for c, v in zip(indexed, topics, strict=True)}
    wanted |= {c["name"]: as_read(c, v) for c, v in zip(plain, decode(types, body), strict=True)}
    assert spelled(event.args) == spelled(wanted)


def a_log(**changes: Any) -> dict[str, Any]:
    return {
        "address": ADDRESSES["Rewards"],
        "topics": [topic_of("Rewards", "TipPaid"), "0x" + "00" * 31 + "07", "0x" + "00" * 12 + "ab" * 20],
        "data": "0x" + "00" * 31 + "05",
        "blockNumber": "0x10",
        "blockHash": "0x" + "aa" * 32,
        "transactionHash": "0x" + "bb" * 32,
        "logIndex": "0x3",
    } | changes


def test_others_logs_are_passed_over() -> None:
    assert READER.read(a_log()) is not None
    assert READER.read(a_log(address="0x" + "99" * 20)) is None
    assert READER.read(a_log(topics=["0x" + "99" * 32])) is None
    assert READER.read(a_log(topics=[])) is None
    assert READER.read_all([a_log(), a_log(topics=[])]) == [READER.read(a_log())]


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "0x"},
        {"data": "0x0"},
        {"data": None},
        {"topics": [topic_of("Rewards", "TipPaid")]},
        {"blockNumber": None},
        {"address": None},
    ],
)
def test_a_damaged_log_is_not_believed(changes: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="damaged log"):
        READER.read(a_log(**changes))


def test_an_array_past_the_data_is_refused() -> None:
    layout = Layout([{"type": "uint256[]", "name": "words"}])
    word = struct.Struct(">24xQ").pack
    assert layout.decode(word(32) + word(1) + word(9)) == {"words": [9]}
    for data in (word(32) + word(2) + word(9), word(1 << 40), word(64) + word(0)):
        with pytest.raises(ValueError, match="past its data"):
            layout.decode(data)


def test_topic_of_an_unknown_event() -> None:
    with pytest.raises(KeyError, match="Rewards has no event Nothing"):
        topic_of("Rewards", "Nothing")
