"""The event decoder compared with eth_abi, for every event of every contract and for other ABI types."""

from __future__ import annotations

import re
import struct
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from covey.chain import artifacts
from covey.chain.abi.layout import GeneralLayout, Layout, canonical_type, layout_of
from covey.chain.abi.reverts import signature
from covey.chain.errors import Unreachable
from covey.chain.events.decoder import EventReader, followed, topic_of

ADDRESSES = {name: "0x" + f"{i + 1:02x}" * 20 for i, name in enumerate(followed())}
READER = EventReader(ADDRESSES)
EVENTS = [
    pytest.param(name, item, id=f"{name}.{item['name']}")
    for name in followed()
    for item in artifacts.load(name).abi
    if item["type"] == "event"
]


def values_of(component: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind = component["type"]
    array = re.fullmatch(r"(.*)\[(\d*)\]", kind)
    if array is not None:
        shortest, longest = (int(array[2]), int(array[2])) if array[2] else (0, 5)
        return st.lists(values_of(component | {"type": array[1]}), min_size=shortest, max_size=longest)
    if kind == "tuple":
        return st.tuples(*map(values_of, component["components"]))
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
    if kind == "bool":
        return st.booleans()
    if kind == "string":
        return st.text(max_size=40)
    if kind == "bytes":
        return st.binary(max_size=70)
    if kind.startswith("bytes"):
        size = int(kind.removeprefix("bytes"))
        return st.binary(min_size=size, max_size=size)
    if kind.startswith("uint"):
        return st.integers(0, (1 << int(kind.removeprefix("uint"))) - 1)
    bits = int(kind.removeprefix("int")) - 1
    return st.integers(-(1 << bits), (1 << bits) - 1)


def as_read(component: dict[str, Any], value: Any) -> Any:
    """Convert a value of eth_abi to the form of the event decoder."""
    kind = component["type"]
    if kind.endswith("]"):
        return [as_read(component | {"type": kind[: kind.rindex("[")]}, item) for item in value]
    if kind == "tuple":
        return {c["name"]: as_read(c, v) for c, v in zip(component["components"], value, strict=True)}
    return "0x" + value.hex() if isinstance(value, bytes) else value


def lower_case(value: Any) -> Any:
    """Convert addresses to lower case."""
    if isinstance(value, dict):
        return {k: lower_case(v) for k, v in value.items()}
    if isinstance(value, list):
        return [lower_case(v) for v in value]
    return value.lower() if isinstance(value, str) else value


@pytest.mark.parametrize(("contract", "item"), EVENTS)
@given(data=st.data())
@settings(max_examples=25)
def test_event_is_decoded_like_eth_abi(contract: str, item: dict[str, Any], data: st.DataObject) -> None:
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
    expected_args = {c["name"]: as_read(c, v) for c, v in zip(indexed, topics, strict=True)}
    expected_args |= {c["name"]: as_read(c, v) for c, v in zip(plain, decode(types, body), strict=True)}
    assert lower_case(event.args) == lower_case(expected_args)


def abi(kind: str, name: str = "value", *components: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "name": name} | ({"components": list(components)} if components else {})


FAST = [
    *map(
        abi,
        ["uint8", "uint64", "uint256", "int8", "int64", "int72", "int256", "bool", "address", "bytes4", "bytes32"],
    ),
    *map(abi, ["uint256[]", "uint16[]", "int128[]", "bytes32[]", "address[]", "bool[]", "bytes", "string"]),
    abi(
        "tuple",
        "point",
        abi("uint40", "x"),
        abi("tuple", "inner", abi("address", "who"), abi("int16", "y")),
    ),
]
GENERAL = [
    *map(abi, ["uint256[3]", "uint256[][]", "string[]", "bytes[2]"]),
    abi("tuple", "holder", abi("uint256[]", "words"), abi("address", "who")),
    abi("tuple[]", "points", abi("uint40", "x"), abi("bytes32", "y")),
]


@pytest.mark.parametrize("component", FAST + GENERAL, ids=canonical_type)
@given(data=st.data())
@settings(max_examples=25)
def test_any_type_is_decoded_like_eth_abi(component: dict[str, Any], data: st.DataObject) -> None:
    components = [abi("uint256", "before"), component, abi("bytes", "after")]
    values = [data.draw(values_of(c)) for c in components]
    body = encode([canonical_type(c) for c in components], values)
    layout = layout_of(components)
    assert isinstance(layout, GeneralLayout if component in GENERAL else Layout)
    expected = decode([canonical_type(c) for c in components], body)
    expected_args = {c["name"]: as_read(c, v) for c, v in zip(components, expected, strict=True)}
    assert lower_case(layout.decode(body)) == lower_case(expected_args)


@pytest.mark.parametrize("component", FAST + GENERAL, ids=canonical_type)
@given(data=st.data())
@settings(max_examples=10)
def test_truncated_data_is_refused_unless_only_padding_is_missing(
    component: dict[str, Any], data: st.DataObject
) -> None:
    body = encode([canonical_type(component)], [data.draw(values_of(component))])
    short = body[: data.draw(st.integers(0, len(body) - 1))]
    try:
        found = layout_of([component]).decode(short)
    except ValueError:
        return
    assert lower_case(found) == lower_case(layout_of([component]).decode(body))


def make_log(**changes: Any) -> dict[str, Any]:
    return {
        "address": ADDRESSES["Rewards"],
        "topics": [topic_of("Rewards", "TipPaid"), "0x" + "00" * 31 + "07", "0x" + "00" * 12 + "ab" * 20],
        "data": "0x" + "00" * 31 + "05",
        "blockNumber": "0x10",
        "blockHash": "0x" + "aa" * 32,
        "transactionHash": "0x" + "bb" * 32,
        "logIndex": "0x3",
    } | changes


def test_logs_of_other_contracts_are_skipped() -> None:
    assert READER.read(make_log()) is not None
    assert READER.read(make_log(address="0x" + "99" * 20)) is None
    assert READER.read(make_log(topics=["0x" + "99" * 32])) is None
    assert READER.read(make_log(topics=[])) is None
    assert READER.read_all([make_log(), make_log(topics=[])]) == [READER.read(make_log())]


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
def test_malformed_log_is_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="malformed log"):
        READER.read(make_log(**changes))


def test_array_beyond_the_data_is_refused() -> None:
    layout = Layout([{"type": "uint256[]", "name": "words"}])
    word = struct.Struct(">24xQ").pack
    assert layout.decode(word(32) + word(1) + word(9)) == {"words": [9]}
    for data in (word(32) + word(2) + word(9), word(1 << 40), word(64) + word(0)):
        with pytest.raises(ValueError, match="its data"):
            layout.decode(data)


def test_topic_of_an_unknown_event_raises_key_error() -> None:
    with pytest.raises(KeyError, match="Rewards has no event Nothing"):
        topic_of("Rewards", "Nothing")
