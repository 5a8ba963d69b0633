"""Fetching from untrusted sources in memory; other files test gateways over sockets and Kubo."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support.ipfs.samples import MIB

from covey.ipfs import (
    BlockStore,
    Cid,
    Fetcher,
    Gateway,
    InvalidContent,
    IpfsError,
    LimitExceeded,
    Limits,
    NotFound,
    SourceError,
    StoreFull,
    open_fetcher,
    open_store,
)
from covey.ipfs import fetch as fetch_module
from covey.ipfs.dagpb import Link, encode_directory

FILES = {"adapter.bin": os.urandom(5 * MIB + 77), "manifest.json": b'{"task": 1}'}


class Peer:
    """A source over a store that records requests; subclasses misbehave."""

    def __init__(self, name: str, store: BlockStore) -> None:
        self.name = name
        self.requests: list[Cid] = []
        self._store = store

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        self.requests.append(cid)
        return self._store.get_block(cid)


class Failing(Peer):
    def __init__(self, name: str, store: BlockStore, error: IpfsError, after: int = 0) -> None:
        super().__init__(name, store)
        self.error = error
        self.after = after

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        block = super().get_block(cid)
        if len(self.requests) > self.after:
            raise self.error
        return block


class WrongBytes(Peer):
    """Returns wrong bytes without checking them."""

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        return super().get_block(cid)[:-1] + b"\0"


class Stuck(Peer):
    def __init__(self, name: str, store: BlockStore) -> None:
        super().__init__(name, store)
        self.release = threading.Event()

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        super().get_block(cid)
        self.release.wait(timeout)
        raise SourceError(f"{self.name} timed out")


@pytest.fixture
def remote(tmp_path: Path) -> BlockStore:
    return BlockStore(tmp_path / "remote")


@pytest.fixture
def cid(remote: BlockStore) -> Cid:
    return remote.add_directory(FILES)


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_directory_is_fetched_and_cached(embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path) -> None:
    peer = Peer("peer", remote)
    with Fetcher(embedded, [peer]) as fetcher:
        assert contents(fetcher.get_directory(cid, tmp_path / "out")) == FILES
        assert embedded.has(cid)
        assert len(peer.requests) == len(set(peer.requests)) == remote.stat(cid).blocks
        assert contents(fetcher.get_directory(cid, tmp_path / "again")) == FILES
        assert len(peer.requests) == remote.stat(cid).blocks
        assert list((embedded.root / "pins").iterdir()) == []
        fetcher.pin(cid, "kept")
    assert [(pin.cid, pin.name) for pin in embedded.pins()] == [(cid, "kept")]
    assert list((embedded.root / "pins").iterdir()) == [embedded.root / "pins" / f"{cid}.pin"]


def test_reading_one_file_fetches_only_its_blocks(embedded: BlockStore, remote: BlockStore, cid: Cid) -> None:
    peer = Peer("peer", remote)
    with Fetcher(embedded, [peer]) as fetcher:
        assert fetcher.read(cid, "manifest.json") == FILES["manifest.json"]
        assert len(peer.requests) == 2  # the directory and the file
        with pytest.raises(LimitExceeded):
            fetcher.read(cid, "adapter.bin", max_bytes=MIB)
        with pytest.raises(NotFound, match="no file"):
            fetcher.read(cid, "other")


def test_source_of_wrong_bytes_is_excluded_and_named(
    embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path
) -> None:
    wrong, honest = WrongBytes("wrong", remote), Peer("honest", remote)
    with Fetcher(embedded, [wrong, honest], parallel=1) as fetcher:
        assert contents(fetcher.get_directory(cid, tmp_path / "out")) == FILES
        assert list(fetcher.dropped) == ["wrong"]
        assert "do not match" in fetcher.dropped["wrong"]
        assert len(wrong.requests) == 1
        assert len(honest.requests) == remote.stat(cid).blocks


def test_error_names_the_sources_of_wrong_bytes(embedded: BlockStore, remote: BlockStore, cid: Cid) -> None:
    with Fetcher(embedded, [WrongBytes("wrong", remote)]) as fetcher:
        with pytest.raises(SourceError, match="wrong returned bytes that do not match"):
            fetcher.fetch(cid)
        with pytest.raises(SourceError, match="excluded"):
            fetcher.fetch(cid)
    assert embedded.usage() == 0


def test_excluded_source_is_retried_after_a_growing_time(
    embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A middlebox may have caused the mismatch, and the source may be the only one with the content."""
    clock = [1_000.0]
    monkeypatch.setattr(fetch_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    wrong = WrongBytes("peer", remote)
    with Fetcher(embedded, [wrong], parallel=1) as fetcher:
        for exclusion in (5, 10, 20, 40):
            with pytest.raises(SourceError, match="do not match"):
                fetcher.fetch(cid)
            clock[0] += exclusion - 0.1
            with pytest.raises(SourceError, match="excluded"):
                fetcher.fetch(cid)
            clock[0] += 0.2
        monkeypatch.setattr(wrong, "get_block", lambda cid, timeout: remote.get_local(cid))
        assert contents(fetcher.get_directory(cid, tmp_path / "out")) == FILES
        assert not fetcher.dropped
    assert len(wrong.requests) == 4


def test_exclusion_lasts_at_most_an_hour(
    embedded: BlockStore, remote: BlockStore, cid: Cid, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(fetch_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with Fetcher(embedded, [WrongBytes("wrong", remote)]) as fetcher:
        for _ in range(20):
            with pytest.raises(SourceError, match="do not match"):
                fetcher.fetch(cid)
            clock[0] += 3600.1


def test_next_source_is_asked_while_one_hangs(
    embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path
) -> None:
    stuck, honest = Stuck("stuck", remote), Peer("honest", remote)
    with Fetcher(embedded, [stuck, honest], stagger_s=0.01, timeout_s=60) as fetcher:
        assert contents(fetcher.get_directory(cid, tmp_path / "out")) == FILES
        assert not fetcher.dropped
        stuck.release.set()
    assert 1 <= len(stuck.requests) < remote.stat(cid).blocks  # once slower than another, it is asked last


def test_timeout_of_a_block(embedded: BlockStore, remote: BlockStore, cid: Cid) -> None:
    stuck = Stuck("stuck", remote)
    with Fetcher(embedded, [stuck], timeout_s=0.2) as fetcher:
        with pytest.raises(SourceError, match="stuck"):
            fetcher.fetch(cid)
        stuck.release.set()


def test_deadline_of_a_whole_fetch(embedded: BlockStore, remote: BlockStore, cid: Cid) -> None:
    stuck = Stuck("stuck", remote)
    with Fetcher(embedded, [stuck], timeout_s=600, deadline_s=0.2) as fetcher:
        with pytest.raises(SourceError, match="stuck"):
            fetcher.fetch(cid)
        stuck.release.set()


def test_failed_source_is_asked_last_next_time(embedded: BlockStore, remote: BlockStore, cid: Cid) -> None:
    failing = Failing("failing", remote, SourceError("failing answered 502"))
    honest = Peer("honest", remote)
    with Fetcher(embedded, [failing, honest], parallel=1) as fetcher:
        fetcher.fetch(cid)
    assert len(failing.requests) == 1
    assert len(honest.requests) == remote.stat(cid).blocks


def test_source_without_a_block_is_asked_for_the_next_block(
    embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path
) -> None:
    empty, honest = Peer("empty", BlockStore(tmp_path / "nothing")), Peer("honest", remote)
    with Fetcher(embedded, [empty, honest]) as fetcher:
        fetcher.fetch(cid)
        with pytest.raises(NotFound, match="could not be fetched"):
            fetcher.fetch(Cid.directory(bytes(32)))
    assert len(empty.requests) == remote.stat(cid).blocks + 1


def test_interrupted_fetch_resumes(embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path) -> None:
    failing = Failing("failing", remote, SourceError("failing went away"), after=5)
    with Fetcher(embedded, [failing], parallel=1) as fetcher, pytest.raises(SourceError, match="went away"):
        fetcher.fetch(cid)
    assert not embedded.has(cid)
    assert embedded.collect() == 0  # fetched blocks are kept for the retry
    peer = Peer("peer", remote)
    with Fetcher(BlockStore(embedded.root), [peer], parallel=1) as fetcher:
        assert contents(fetcher.get_directory(cid, tmp_path / "out")) == FILES
    assert len(peer.requests) == remote.stat(cid).blocks - 5
    assert set(peer.requests).isdisjoint(failing.requests[:5])


def test_limits_are_checked_before_leaves_are_requested(embedded: BlockStore, remote: BlockStore, cid: Cid) -> None:
    for limits in (Limits(max_bytes=5 * MIB), Limits(max_files=1), Limits(max_blocks=7), Limits(max_depth=0)):
        peer = Peer("peer", remote)
        with Fetcher(embedded, [peer]) as fetcher, pytest.raises(LimitExceeded):
            fetcher.fetch(cid, limits)
        assert not any(remote.block_size(requested) == MIB for requested in peer.requests)
    assert list((embedded.root / "pins").iterdir()) == []
    assert embedded.collect() > 0
    assert embedded.usage() == 0


def test_source_of_bad_content_is_not_excluded(embedded: BlockStore, remote: BlockStore) -> None:
    leaf = remote.local_plan(remote.add_directory({"f": b"four"})).file("f").cid
    block = encode_directory([Link(leaf, "f", 5)])
    bad = Cid.of(block, 0x70)
    remote.put_block(bad, block)
    with Fetcher(embedded, [Peer("peer", remote)]) as fetcher:
        with pytest.raises(InvalidContent, match="has 4 bytes"):
            fetcher.fetch(bad)
        assert not fetcher.dropped
    assert list((embedded.root / "pins").iterdir()) == []


def test_damaged_block_in_the_cache_is_fetched_again(
    embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path
) -> None:
    embedded.add_directory(FILES)
    leaf = embedded.local_plan(cid).file("adapter.bin").leaves[2].cid
    embedded._files.path(leaf.digest).write_bytes(bytes(MIB))
    peer = Peer("peer", remote)
    with Fetcher(embedded, [peer]) as fetcher:
        assert contents(fetcher.get_directory(cid, tmp_path / "out")) == FILES
    assert peer.requests == [leaf]


def test_damaged_block_without_another_source_is_removed(embedded: BlockStore) -> None:
    cid = embedded.add_directory({"f": b"content"})
    leaf = embedded.local_plan(cid).file("f").cid
    embedded._files.path(leaf.digest).write_bytes(b"damaged")
    with Fetcher(embedded) as fetcher, pytest.raises(NotFound):
        fetcher.fetch(cid)
    assert not embedded.has(cid)


def test_fetch_stops_at_the_quota(tmp_path: Path, remote: BlockStore, cid: Cid) -> None:
    cache = BlockStore(tmp_path / "cache", quota_bytes=4 * MIB)
    peer = Peer("peer", remote)
    with Fetcher(cache, [peer]) as fetcher, pytest.raises(StoreFull):
        fetcher.fetch(cid)
    assert len(peer.requests) == 2


def test_fetch_without_sources_is_an_error(embedded: BlockStore, cid: Cid) -> None:
    with Fetcher(embedded) as fetcher, pytest.raises(NotFound, match="no source is configured"):
        fetcher.fetch(cid)


def test_threads_share_a_fetcher(embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path) -> None:
    with Fetcher(embedded, [Peer("peer", remote)]) as fetcher:
        threads = [
            threading.Thread(target=fetcher.get_directory, args=(cid, tmp_path / f"out{number}")) for number in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [contents(tmp_path / f"out{number}") for number in range(6)] == [FILES] * 6


@pytest.mark.daemon
def test_two_nodes_fetch_from_each_other(embedded: BlockStore, remote: BlockStore, cid: Cid, tmp_path: Path) -> None:
    with Gateway(remote) as gateway, open_fetcher(embedded, ["http://127.0.0.1:9", gateway.url]) as fetcher:
        assert contents(fetcher.get_directory(cid, tmp_path / "out")) == FILES


@pytest.fixture
def wrong_gateway(embedded: BlockStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway whose store returns unchecked, wrong bytes."""
    wrong = BlockStore(embedded.root.parent / "wrong")
    monkeypatch.setattr(wrong, "get_local", lambda _cid: b"rubbish")
    with Gateway(wrong) as gateway:
        yield gateway


@pytest.mark.daemon
def test_gateway_of_wrong_bytes_is_excluded(
    embedded: BlockStore, remote: BlockStore, cid: Cid, wrong_gateway: Gateway, tmp_path: Path
) -> None:
    with Gateway(remote) as honest, open_fetcher(embedded, [wrong_gateway.url, honest.url]) as fetcher:
        assert contents(fetcher.get_directory(cid, tmp_path / "out")) == FILES
        assert list(fetcher.dropped) == [wrong_gateway.url]
        assert "7 bytes" in fetcher.dropped[wrong_gateway.url]


def test_kubo_needs_a_cache_folder() -> None:
    with open_store("http://127.0.0.1:5001") as store, pytest.raises(IpfsError, match="needs a cache folder"):
        open_fetcher(store)
