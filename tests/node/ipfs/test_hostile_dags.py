"""Blocks that hash to their CIDs and are still an attack, or nonsense: each is refused by name, before its leaves."""

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


class World:
    """Blocks by CID; asking for one that is not there is a test failure, so no test can fetch a leaf unnoticed."""

    def __init__(self) -> None:
        self.blocks: dict[Cid, bytes] = {}

    def add(self, block: bytes, codec: int = DAG_PB) -> Cid:
        cid = Cid.of(block, codec)
        self.blocks[cid] = block
        return cid

    def get(self, cid: Cid) -> bytes:
        return self.blocks[cid]


def directory(world: World, *links: Link) -> Cid:
    return world.add(encode_directory(links))


def pyramid(world: World, levels: int, width: int) -> Link:
    """A file of width^levels logical leaves in very few blocks."""
    child, size = LEAF, 4
    for _ in range(levels):
        block = encode_file([Link(child, "", size)] * width, [size] * width)
        child, size = world.add(block), size * width
    return Link(child, "bomb", size)


@pytest.mark.parametrize(
    ("make", "limits"),
    [
        (lambda w: directory(w, *(Link(LEAF, str(i), 4) for i in range(65))), Limits()),
        (lambda w: directory(w, Link(LEAF, "a", 2 * MIB + 1)), Limits()),
        (lambda w: directory(w, Link(LEAF, "a", 600), Link(LEAF, "b", 600)), Limits(max_bytes=1000)),
        (lambda w: directory(w, Link(LEAF, "a", 1 << 62)), Limits()),
        (lambda w: directory(w, pyramid(w, 3, 1000)), Limits()),
        (lambda w: directory(w, pyramid(w, 2, 100)), Limits()),
        (lambda w: directory(w, pyramid(w, 6, 1)), Limits()),
        (lambda w: directory(w, Link(w.add(encode_file([Link(LEAF, "", 4)], [3 * MIB])), "a", 4)), Limits()),
        (
            lambda w: directory(w, Link(w.add(encode_file([Link(LEAF, "", 0)] * 9, [1] * 9)), "a", 9)),
            Limits(max_bytes=8),
        ),
    ],
)
def test_bombs_are_refused_before_any_leaf(make: Callable[[World], Cid], limits: Limits) -> None:
    world = World()
    with pytest.raises(LimitExceeded):
        plan(make(world), world.get, limits)


def file_node(message: bytes, *links: Link) -> bytes:
    return encode_node(links, message)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda w: directory(w, Link(LEAF, "../evil", 4)), "separator"),
        (lambda w: directory(w, Link(LEAF, "a\\b", 4)), "separator"),
        (lambda w: directory(w, Link(LEAF, "..", 4)), "reserved"),
        (lambda w: directory(w, Link(LEAF, "", 4)), "empty"),
        (lambda w: directory(w, Link(LEAF, "a\0", 4)), "control"),
        (lambda w: directory(w, Link(LEAF, "a", 4), Link(LEAF, "a", 4)), "two files"),
        (lambda w: directory(w, Link(directory(w), "sub", 4)), "flat"),
        (lambda w: w.add(encode_node([], b"\x08\x05\x28\x22\x30\x80\x02")), "sharded"),
        (lambda w: w.add(encode_node([], b"\x08\x04\x12\x01x")), "symlink"),
        (lambda w: w.add(encode_node([], b"\x08\x63")), "unknown type"),
        (lambda w: w.add(encode_node([], b"")), "unknown type"),
        (lambda w: w.add(b""), "no UnixFS"),
        (lambda w: w.add(b"\xff\xff"), "varint"),
        (lambda w: w.add(b"\x0a\x7f\x08"), "truncated"),
        (lambda w: w.add(b"\x0a\x02\x08\x01\x12\x00"), "out of order"),
        (lambda w: w.add(b"\x12\x02\x12\x00\x0a\x02\x08\x01"), "without a CID"),
        (lambda w: w.add(b"\x12\x04\x0a\x02\x01\x70\x0a\x02\x08\x01"), "cannot read"),
        (lambda w: w.add(b"\x12\x28\x0a\x24\x01\x71\x12\x20" + bytes(34) + b"\x0a\x02\x08\x01"), "cannot read|field"),
        (lambda w: w.add(b"\x12\x28\x18\x04\x0a\x24" + LEAF.to_bytes() + b"\x0a\x02\x08\x01"), "link fields"),
        (lambda w: w.add(b"\x0a\x05\x08\x01\x12\x01x"), "directory with file content"),
        (lambda w: w.add(b"\x0a\x82\x00\x08\x01"), "not minimal"),
        (lambda w: w.add(file_node(b"\x08\x02\x12\x01x\x20\x04", Link(LEAF, "", 4))), "mixes"),
        (lambda w: w.add(file_node(b"\x08\x02\x18\x04", Link(LEAF, "", 4))), "1 links but 0"),
        (lambda w: w.add(file_node(b"\x08\x02\x18\x05\x20\x04", Link(LEAF, "", 4))), "claims 5 bytes and lists 4"),
        (lambda w: w.add(file_node(b"\x08\x02\x18\x00\x20\x00", Link(LEAF, "", 4))), "empty chunk"),
        (lambda w: w.add(file_node(b"\x08\x02\x18\x04\x20\x04", Link(LEAF, "x", 4))), "named"),
        (lambda w: w.add(file_node(b"\x08\x02\x18\x04\x20\x04", Link(directory(w), "", 4))), "not of the 4 bytes"),
        (lambda w: w.add(file_node(b"\x08\x02\x18\x09\x12\x01x")), "claims 9 bytes"),
    ],
)
def test_malformed_content_is_refused_with_a_reason(make: Callable[[World], Cid], reason: str) -> None:
    world = World()
    with pytest.raises(InvalidContent, match=reason):
        plan(make(world), world.get, Limits())


def test_a_leaf_of_another_length_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    world = World()
    leaf = world.add(b"four", RAW)
    for claimed in (3, 5):
        contents = plan(directory(world, Link(leaf, "a", claimed)), world.get, Limits())
        with pytest.raises(InvalidContent, match=f"has 4 bytes where its parent says {claimed}"):
            write_directory(contents, world.get, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_other_tools_write_is_read() -> None:
    """Leaves inside dag-pb blocks, mode and mtime, small chunks: legal UnixFS that Covey itself does not write."""
    world = World()
    leaves = [
        world.add(encode_node([], b"\x08\x02\x12\x03abc\x18\x03")),
        world.add(encode_node([], b"\x08\x00\x12\x01d")),
    ]
    root = world.add(encode_file([Link(leaves[0], "", 11), Link(leaves[1], "", 8)], [3, 1]))
    dated = world.add(encode_node([], b"\x08\x02\x12\x02hi\x18\x02\x38\xa4\x03\x42\x02\x08\x01"))
    empty = world.add(encode_node([], b"\x08\x02\x18\x00"))
    contents = plan(
        directory(world, Link(root, "a", 60), Link(dated, "b", 20), Link(empty, "c", 6)), world.get, Limits()
    )
    assert [b"".join(read_file(file, world.get)) for file in contents.files] == [b"abcd", b"hi", b""]


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(block: bytes) -> None:
    try:
        node = decode_node(block)
    except InvalidContent:
        return
    assert node.kind in (0, 1, 2)


@given(st.integers(min_value=0, max_value=(1 << 63) - 1))
def test_varints(value: int) -> None:
    block = encode_node([Link(LEAF, "n", value)], b"\x08\x01")
    assert decode_node(block).links[0].size == value
    assert len(varint(value)) == max(1, -(-value.bit_length() // 7))
