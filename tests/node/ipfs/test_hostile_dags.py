"""Hostile or malformed DAGs whose blocks match their CIDs: each is refused with a reason before leaves are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.ipfs.samples import MIB

from covey.ipfs import DAG_PB, RAW, Cid, InvalidContent, LimitExceeded, Limits
from covey.ipfs.dag import plan, read_file, write_directory
from covey.ipfs.dagpb import Link, decode_node, encode_directory, encode_file, encode_node, varint

LEAF = Cid.of(b"leaf", RAW)


class Blocks:
    """Blocks by CID. A request for an absent block raises KeyError, so no test reads a leaf unnoticed."""

    def __init__(self) -> None:
        self.blocks: dict[Cid, bytes] = {}

    def add(self, block: bytes, codec: int = DAG_PB) -> Cid:
        cid = Cid.of(block, codec)
        self.blocks[cid] = block
        return cid

    def get(self, cid: Cid) -> bytes:
        return self.blocks[cid]


def directory(blocks: Blocks, *links: Link) -> Cid:
    return blocks.add(encode_directory(links))


def pyramid(blocks: Blocks, levels: int, width: int) -> Link:
    """A file of width^levels logical leaves in a few blocks."""
    child, size = LEAF, 4
    for _ in range(levels):
        block = encode_file([Link(child, "", size)] * width, [size] * width)
        child, size = blocks.add(block), size * width
    return Link(child, "bomb", size)


@pytest.mark.parametrize(
    ("make", "limits"),
    [
        (lambda b: directory(b, *(Link(LEAF, str(i), 4) for i in range(65))), Limits()),
        (lambda b: directory(b, Link(LEAF, "a", 2 * MIB + 1)), Limits()),
        (lambda b: directory(b, Link(LEAF, "a", 600), Link(LEAF, "b", 600)), Limits(max_bytes=1000)),
        (lambda b: directory(b, Link(LEAF, "a", 1 << 62)), Limits()),
        (lambda b: directory(b, pyramid(b, 3, 1000)), Limits()),
        (lambda b: directory(b, pyramid(b, 2, 100)), Limits()),
        (lambda b: directory(b, pyramid(b, 6, 1)), Limits()),
        (lambda b: directory(b, Link(b.add(encode_file([Link(LEAF, "", 4)], [3 * MIB])), "a", 4)), Limits()),
        (
            lambda b: directory(b, Link(b.add(encode_file([Link(LEAF, "", 0)] * 9, [1] * 9)), "a", 9)),
            Limits(max_bytes=8),
        ),
    ],
)
def test_oversized_dag_is_refused_before_any_leaf(make: Callable[[Blocks], Cid], limits: Limits) -> None:
    blocks = Blocks()
    with pytest.raises(LimitExceeded):
        plan(make(blocks), blocks.get, limits)


def file_node(message: bytes, *links: Link) -> bytes:
    return encode_node(links, message)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda b: directory(b, Link(LEAF, "../evil", 4)), "separator"),
        (lambda b: directory(b, Link(LEAF, "a\\b", 4)), "separator"),
        (lambda b: directory(b, Link(LEAF, "..", 4)), "reserved"),
        (lambda b: directory(b, Link(LEAF, "", 4)), "empty"),
        (lambda b: directory(b, Link(LEAF, "a\0", 4)), "control"),
        (lambda b: directory(b, Link(LEAF, "a", 4), Link(LEAF, "a", 4)), "two files"),
        (lambda b: directory(b, Link(directory(b), "sub", 4)), "flat"),
        (lambda b: b.add(encode_node([], b"\x08\x05\x28\x22\x30\x80\x02")), "sharded"),
        (lambda b: b.add(encode_node([], b"\x08\x04\x12\x01x")), "symlink"),
        (lambda b: b.add(encode_node([], b"\x08\x63")), "unknown type"),
        (lambda b: b.add(encode_node([], b"")), "unknown type"),
        (lambda b: b.add(b""), "no UnixFS"),
        (lambda b: b.add(b"\xff\xff"), "varint"),
        (lambda b: b.add(b"\x0a\x7f\x08"), "truncated"),
        (lambda b: b.add(b"\x0a\x02\x08\x01\x12\x00"), "out of order"),
        (lambda b: b.add(b"\x12\x02\x12\x00\x0a\x02\x08\x01"), "has no CID"),
        (lambda b: b.add(b"\x12\x04\x0a\x02\x01\x70\x0a\x02\x08\x01"), "cannot read"),
        (lambda b: b.add(b"\x12\x28\x0a\x24\x01\x71\x12\x20" + bytes(34) + b"\x0a\x02\x08\x01"), "cannot read|field"),
        (lambda b: b.add(b"\x12\x28\x18\x04\x0a\x24" + LEAF.to_bytes() + b"\x0a\x02\x08\x01"), "link fields"),
        (lambda b: b.add(b"\x0a\x05\x08\x01\x12\x01x"), "directory has file content"),
        (lambda b: b.add(b"\x0a\x82\x00\x08\x01"), "not minimal"),
        (lambda b: b.add(file_node(b"\x08\x02\x12\x01x\x20\x04", Link(LEAF, "", 4))), "mixes"),
        (lambda b: b.add(file_node(b"\x08\x02\x18\x04", Link(LEAF, "", 4))), "1 links but 0"),
        (lambda b: b.add(file_node(b"\x08\x02\x18\x05\x20\x04", Link(LEAF, "", 4))), "claims 5 bytes and lists 4"),
        (lambda b: b.add(file_node(b"\x08\x02\x18\x00\x20\x00", Link(LEAF, "", 4))), "empty chunk"),
        (lambda b: b.add(file_node(b"\x08\x02\x18\x04\x20\x04", Link(LEAF, "x", 4))), "named"),
        (
            lambda b: b.add(file_node(b"\x08\x02\x18\x04\x20\x04", Link(directory(b), "", 4))),
            "does not have the 4 bytes",
        ),
        (lambda b: b.add(file_node(b"\x08\x02\x18\x09\x12\x01x")), "claims 9 bytes"),
    ],
)
def test_malformed_content_is_refused_with_a_reason(make: Callable[[Blocks], Cid], reason: str) -> None:
    blocks = Blocks()
    with pytest.raises(InvalidContent, match=reason):
        plan(make(blocks), blocks.get, Limits())


def test_leaf_of_wrong_length_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    blocks = Blocks()
    leaf = blocks.add(b"four", RAW)
    for claimed in (3, 5):
        contents = plan(directory(blocks, Link(leaf, "a", claimed)), blocks.get, Limits())
        with pytest.raises(InvalidContent, match=f"has 4 bytes, its parent claims {claimed}"):
            write_directory(contents, blocks.get, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_output_of_other_tools_is_read() -> None:
    """Inline leaves, mode and mtime, small chunks: legal UnixFS that Covey does not write."""
    blocks = Blocks()
    leaves = [
        blocks.add(encode_node([], b"\x08\x02\x12\x03abc\x18\x03")),
        blocks.add(encode_node([], b"\x08\x00\x12\x01d")),
    ]
    root = blocks.add(encode_file([Link(leaves[0], "", 11), Link(leaves[1], "", 8)], [3, 1]))
    dated = blocks.add(encode_node([], b"\x08\x02\x12\x02hi\x18\x02\x38\xa4\x03\x42\x02\x08\x01"))
    empty = blocks.add(encode_node([], b"\x08\x02\x18\x00"))
    contents = plan(
        directory(blocks, Link(root, "a", 60), Link(dated, "b", 20), Link(empty, "c", 6)), blocks.get, Limits()
    )
    assert [b"".join(read_file(file, blocks.get)) for file in contents.files] == [b"abcd", b"hi", b""]


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_decoded_or_refused(block: bytes) -> None:
    try:
        node = decode_node(block)
    except InvalidContent:
        return
    assert node.kind in (0, 1, 2)


@given(st.integers(min_value=0, max_value=(1 << 63) - 1))
def test_varint_round_trip(value: int) -> None:
    block = encode_node([Link(LEAF, "n", value)], b"\x08\x01")
    assert decode_node(block).links[0].size == value
    assert len(varint(value)) == max(1, -(-value.bit_length() // 7))
