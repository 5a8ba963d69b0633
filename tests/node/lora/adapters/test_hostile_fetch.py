"""Fetching of hostile entries: a refused fetch leaves nothing behind; a fetched entry is checked afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.lora.hostile_base import VALID_CONFIG, VALID_MANIFEST, VALID_WEIGHTS
from tests.support.lora.instrumented import judge

from covey.ipfs import (
    DAG_PB,
    RAW,
    BlockStore,
    Cid,
    Fetcher,
    InvalidContent,
    IpfsError,
    LimitExceeded,
    Limits,
    NotFound,
    SourceError,
    directory_cid,
)
from covey.ipfs.dagpb import Link, encode_directory, encode_file, encode_node
from covey.lora.adapters.format import CONFIG, MANIFEST, WEIGHTS
from covey.lora.adapters.refusal import Refusal

FILES = {CONFIG: VALID_CONFIG, WEIGHTS: VALID_WEIGHTS, MANIFEST: VALID_MANIFEST}
LIMITS = Limits(max_bytes=1 << 20, max_files=3)


class Peer:
    """Blocks of an untrusted peer, by the CIDs under which it serves them."""

    name = "peer"

    def __init__(self) -> None:
        self.blocks: dict[Cid, bytes] = {}

    def add(self, block: bytes, codec: int = DAG_PB) -> Cid:
        cid = Cid.of(block, codec)
        self.blocks[cid] = block
        return cid

    def link(self, name: str, data: bytes) -> Link:
        return Link(self.add(data, RAW), name, len(data))

    def entry(self, *more: Link) -> Cid:
        links = [self.link(name, data) for name, data in FILES.items()]
        return self.add(encode_directory([*links, *more]))

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        if cid not in self.blocks:
            raise NotFound(f"{self.name} has no {cid}")
        return self.blocks[cid]


def named(name: str) -> Callable[[Peer], Cid]:
    """The weights under another name."""

    def make(peer: Peer) -> Cid:
        links = [peer.link(CONFIG, VALID_CONFIG), peer.link(name, VALID_WEIGHTS), peer.link(MANIFEST, VALID_MANIFEST)]
        return peer.add(encode_directory(links))

    return make


def raw_name(name: bytes) -> Callable[[Peer], Cid]:
    """A directory of one file whose name is written as these bytes."""

    def make(peer: Peer) -> Cid:
        block = encode_directory([peer.link("n" * len(name), b"x")])
        return peer.add(block.replace(b"n" * len(name), name))

    return make


def claimed(size: int) -> Callable[[Peer], Cid]:
    """Weights whose link claims another size."""
    return lambda peer: peer.add(encode_directory([Link(peer.add(VALID_WEIGHTS, RAW), WEIGHTS, size)]))


def tree(levels: int, width: int) -> Callable[[Peer], Cid]:
    """Weights of width^levels leaves in a few blocks."""

    def make(peer: Peer) -> Cid:
        child, size = peer.add(b"leaf", RAW), 4
        for _ in range(levels):
            child, size = peer.add(encode_file([Link(child, "", size)] * width, [size] * width)), size * width
        return peer.add(encode_directory([Link(child, WEIGHTS, size)]))

    return make


def forged(corrupt: Callable[[bytes], bytes], which: str) -> Callable[[Peer], Cid]:
    """A block that does not match its CID: a file's, or the directory's."""

    def make(peer: Peer) -> Cid:
        root = peer.entry()
        cid = Cid.of(FILES[which], RAW) if which else root
        peer.blocks[cid] = corrupt(peer.blocks[cid])
        return root

    return make


def without(name: str) -> Callable[[Peer], Cid]:
    def make(peer: Peer) -> Cid:
        root = peer.entry()
        del peer.blocks[Cid.of(FILES[name], RAW)]
        return root

    return make


CORRUPTIONS: dict[str, Callable[[bytes], bytes]] = {
    "the first bit": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "the last bit": lambda data: data[:-1] + bytes([data[-1] ^ 128]),
    "cut": lambda data: data[:-1],
    "cut in half": lambda data: data[: len(data) // 2],
    "an extra byte": lambda data: data + b"\0",
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "three megabytes": lambda data: data + bytes(3 << 20),
}
NAMES = (
    *(
        "..",
        ".",
        "",
        "/",
        "../x",
        "../../etc/cron.d/x",
        "/etc/passwd",
        "a/b",
        "./x",
        "a/../x",
        "x/",
        "..\\x",
        "a\\b",
        "\\",
    ),
    *("C:\\x", "\0", "x\0.safetensors", "x\n", "\r", "\x1b[2J", "\x7f", "n" * 256, "é" * 128),
)
Rows = list[tuple[str, Callable[[Peer], Cid], type[IpfsError]]]
CASES: Rows = [
    *((f"name {name!a:.40}", named(name), InvalidContent) for name in NAMES),
    *(
        (f"name {name!r}", raw_name(name), InvalidContent)
        for name in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"..", b"\0")
    ),
    *(
        (f"{which or 'directory'}: {what}", forged(corrupt, which), SourceError)
        for which in ("", *FILES)
        for what, corrupt in CORRUPTIONS.items()
    ),
    *((f"no {name}", without(name), NotFound) for name in FILES),
    ("no directory", lambda peer: directory_cid(FILES), NotFound),
    ("a duplicate file", lambda peer: peer.entry(peer.link(CONFIG, b"{}")), LimitExceeded),
    (
        "two files of one name",
        lambda peer: peer.add(encode_directory([peer.link(CONFIG, b"{}")] * 2)),
        InvalidContent,
    ),
    ("an extra file", lambda peer: peer.entry(peer.link("x", b"x")), LimitExceeded),
    ("a thousand files", lambda peer: peer.entry(*(peer.link(f"{n}", b"x") for n in range(1000))), LimitExceeded),
    ("a folder", lambda peer: peer.add(encode_directory([Link(peer.entry(), "sub", 9)])), InvalidContent),
    ("a bare file", lambda peer: peer.add(VALID_WEIGHTS, RAW), InvalidContent),
    ("a bare dag-pb file", lambda peer: peer.add(encode_file([peer.link("", b"four")], [4])), InvalidContent),
    ("a link to /etc", lambda peer: peer.add(encode_node([], b"\x08\x04\x12\x04/etc")), InvalidContent),
    (
        "a link to /etc inside",
        lambda peer: peer.add(
            encode_directory([Link(peer.add(encode_node([], b"\x08\x04\x12\x04/etc")), WEIGHTS, 12)])
        ),
        InvalidContent,
    ),
    ("a sharded directory", lambda peer: peer.add(encode_node([], b"\x08\x05\x28\x22\x30\x80\x02")), InvalidContent),
    ("not dag-pb", lambda peer: peer.add(VALID_WEIGHTS), InvalidContent),
    ("a pyramid", tree(3, 1000), LimitExceeded),
    ("a tower", tree(20, 1), LimitExceeded),
    ("a megabyte too much", tree(2, 600), LimitExceeded),
    *((f"{size} bytes claimed", claimed(size), LimitExceeded) for size in (1 << 21, 1 << 40, (1 << 63) - 1)),
    *((f"{size} bytes claimed", claimed(size), InvalidContent) for size in (0, 1, len(VALID_WEIGHTS) + 1)),
]


@pytest.mark.parametrize(("make", "error"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.timeout(20)
def test_hostile_entry_is_not_fetched(tmp_path: Path, make: Callable[[Peer], Cid], error: type[IpfsError]) -> None:
    peer = Peer()
    cid = make(peer)
    with Fetcher(BlockStore(tmp_path / "cache"), [peer], timeout_s=5) as fetcher:
        with pytest.raises(IpfsError) as caught:
            fetcher.get_directory(cid, tmp_path / "entries" / "entry", LIMITS)
        assert type(caught.value) is error
        assert (error is SourceError) == ("peer" in fetcher.dropped)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "entries"}
    assert not (tmp_path / "entries").exists() or list((tmp_path / "entries").iterdir()) == []


def test_names_of_the_cases_differ() -> None:
    assert len({name for name, _, _ in CASES}) == len(CASES) >= 70


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Peer.entry, "accepted"),
        *(
            (named(name), Refusal.MISSING_FILE.value)
            for name in (
                "adapter_model.bin",
                WEIGHTS + " ",
                WEIGHTS.upper(),
                "\u202e" + WEIGHTS,
                "аdapter_model.safetensors",
            )
        ),
        (lambda peer: peer.add(encode_directory([peer.link(name, VALID_CONFIG) for name in FILES])), "wrong_manifest"),
    ],
)
def test_fetched_entry_is_checked(tmp_path: Path, make: Callable[[Peer], Cid], reason: str) -> None:
    peer = Peer()
    with Fetcher(BlockStore(tmp_path / "cache"), [peer]) as fetcher:
        assert judge(fetcher.get_directory(make(peer), tmp_path / "entry", LIMITS)) == reason
