"""Retained content: how long it is kept, and what is reported when it is missing."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.ipfs.pinning_service import TOKEN, Service
from tests.support.ipfs.samples import MIB
from tests.support.kubo.daemon import Kubo

from covey.ipfs import BlockStore, Cid, Fetcher, Gateway, GatewaySource, IpfsError, NotFound, SourceError, open_store
from covey.ipfs.keeper import DAY_S, Keeper, RetainedContent
from covey.ipfs.pinning import PinningService


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def cid(embedded: BlockStore) -> Cid:
    return embedded.add_directory({"f": b"result"}, pin=False)


def test_content_is_kept_until_days_after_settlement(embedded: BlockStore, cid: Cid, tmp_path: Path) -> None:
    keeper = Keeper(embedded, tmp_path / "retained.json")
    keeper.retain(cid, "task 7")
    assert keeper.release(now=1 << 40) == ()
    keeper.settle(cid, settled_at=1000, days=2)
    keeper.settle(cid, settled_at=0, days=1)  # an earlier end does not shorten it
    keeper = Keeper(embedded, tmp_path / "retained.json")
    assert [(p.cid, p.label, p.keep_until) for p in keeper.retained()] == [(cid, "task 7", 1000 + 2 * DAY_S)]
    assert keeper.release(now=1000 + 2 * DAY_S - 1) == ()
    embedded.collect()
    assert keeper.check() == ()
    assert [content.cid for content in keeper.release(now=1000 + 2 * DAY_S)] == [cid]
    assert keeper.retained() == Keeper(embedded, tmp_path / "retained.json").retained() == ()
    assert embedded.pins() == ()
    assert embedded.collect() > 0


def test_absent_content_cannot_be_retained_or_settled(embedded: BlockStore, tmp_path: Path) -> None:
    keeper = Keeper(embedded, tmp_path / "retained.json")
    with pytest.raises(NotFound):
        keeper.retain(Cid.directory(bytes(32)), "x")
    assert keeper.retained() == ()
    with pytest.raises(NotFound, match="is not retained"):
        keeper.settle(Cid.directory(bytes([1] * 32)), 0, 1)


def test_lost_pin_and_lost_block_are_reported(embedded: BlockStore, cid: Cid, tmp_path: Path) -> None:
    keeper = Keeper(embedded, tmp_path / "retained.json")
    keeper.retain(cid, "task 7")
    embedded.unpin(cid)
    (missing,) = keeper.check()
    assert "pinned again" in missing.reason
    assert keeper.check() == ()
    leaf = embedded.local_plan(cid).file("f").cid
    embedded._files.path(leaf.digest).write_bytes(b"damage")
    (missing,) = keeper.check()
    assert "corrupt" in missing.reason
    embedded.delete_block(cid)
    (missing,) = keeper.check()
    assert (missing.content.cid, missing.where) == (cid, embedded.name)
    assert "not in" in missing.reason


def damage_all(store: BlockStore, cid: Cid) -> int:
    """Damage every second block and remove the others; return the number of blocks."""
    blocks = list(store.local_plan(cid).blocks())
    for number, block in enumerate(blocks):
        path = store._files.path(block.digest)
        if number % 2:
            path.unlink()
        else:
            path.write_bytes(bytes(path.stat().st_size))
    return len(blocks)


class EmptySource:
    """A source that has no blocks, or returns wrong bytes."""

    name = "elsewhere"

    def __init__(self, block: bytes | None = None) -> None:
        self.block = block

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        if self.block is None:
            raise NotFound(f"{self.name} has no {cid}")
        return self.block


@pytest.mark.parametrize("where", ["a fetcher", "a gateway", "a gateway, after a fetcher has failed"])
def test_lost_blocks_are_fetched_from_another_source(embedded: BlockStore, tmp_path: Path, where: str) -> None:
    files = {"f": os.urandom(3 * MIB + 1), "g": b"1"}
    cid = embedded.add_directory(files)
    other = BlockStore(tmp_path / "other")
    with Fetcher(embedded, [other if where == "a fetcher" else EmptySource()], timeout_s=20) as fetcher:
        keeper = Keeper(
            embedded,
            tmp_path / "retained.json",
            gateways=[] if where == "a fetcher" else [EmptySource(b"rubbish"), other],
            fetch=None if where == "a gateway" else fetcher.get_block,
        )
        keeper.retain(cid, "task 7")
        count = damage_all(embedded, cid)
        first = [missing for missing in keeper.check() if missing.where == embedded.name]
        assert len(first) == 1
        assert first[0].reason.endswith("(no other source has it now)")
        other.add_directory(files)
        (missing,) = [missing for missing in keeper.check() if missing.where == embedded.name]
        assert missing.reason == f"damaged or lost blocks fetched again: {count}"
        assert [missing for missing in keeper.check() if missing.where == embedded.name] == []
    assert embedded.has(cid)
    assert all(embedded.read(cid, name, 1 << 30) == content for name, content in files.items())
    assert [(pin.cid, pin.name) for pin in embedded.pins()] == [(cid, "task 7")]


def kubo_file(kubo: Kubo, cid: Cid) -> Path:
    """The file of a block in a Kubo repository: named by the base32 of its multihash."""
    name = base64.b32encode(b"\x12\x20" + cid.digest).decode().rstrip("=")
    (path,) = (kubo.repo / "blocks").rglob(f"{name}.data")
    return path


@pytest.mark.daemon
def test_damaged_block_in_kubo_is_replaced(kubo: Kubo, embedded: BlockStore, tmp_path: Path) -> None:
    files = {"f": os.urandom(MIB + 1), "g": os.urandom(10)}
    with open_store(kubo.rpc) as store, Fetcher(embedded) as fetcher:
        keeper = Keeper(store, tmp_path / "retained.json", fetch=fetcher.get_block)
        keeper.retain(store.add_directory(files), "task 7")
        (retained,) = keeper.retained()
        for file in store.list_directory(retained.cid):
            path = kubo_file(kubo, file.leaves[0].cid)
            path.chmod(0o644)
            path.write_bytes(b"damage")
        (missing,) = keeper.check()
        assert "6 bytes" in missing.reason
        assert missing.reason.endswith("(no other source has it now)")
        assert retained.cid in {pin.cid for pin in store.pins()}, "a directory that cannot be repaired stays pinned"
        embedded.add_directory(files)
        (missing,) = keeper.check()
        assert missing.reason == "damaged or lost blocks fetched again: 2"
        assert keeper.check() == ()
        assert {pin.cid: pin.name for pin in store.pins()}[retained.cid] == "task 7"
        assert store.read(retained.cid, "f", 1 << 30) == files["f"]


@pytest.mark.daemon
def test_damaged_block_below_another_kubo_pin_is_reported_until_unpinned(
    kubo: Kubo, embedded: BlockStore, tmp_path: Path
) -> None:
    shared = os.urandom(100)
    with open_store(kubo.rpc) as store, Fetcher(embedded) as fetcher:
        keeper = Keeper(store, tmp_path / "retained.json", fetch=fetcher.get_block)
        keeper.retain(store.add_directory({"f": shared}), "task 7")
        other = store.add_directory({"other name": shared})
        path = kubo_file(kubo, embedded.list_directory(embedded.add_directory({"f": shared}))[0].cid)
        path.chmod(0o644)
        path.write_bytes(b"damage")
        (missing,) = keeper.check()
        assert "keeps its damaged block" in missing.reason
        assert str(other) in missing.reason
        store.unpin(other)
        assert "fetched again: 1" in keeper.check()[0].reason
        assert keeper.check() == ()


def test_list_of_an_earlier_version_is_adopted(embedded: BlockStore, cid: Cid, tmp_path: Path) -> None:
    former, path = tmp_path / "promises.json", tmp_path / "retained.json"
    record = {"cid": str(cid), "label": "task 7", "keep_until": 1000}
    former.write_text(json.dumps([record]))
    expected = (RetainedContent(cid, "task 7", 1000),)
    assert Keeper(embedded, path).retained() == expected
    assert not former.exists()
    former.write_text("[]")
    assert Keeper(embedded, path).retained() == expected, "the current list takes precedence"


def test_damaged_list_is_reported_by_name(embedded: BlockStore, tmp_path: Path) -> None:
    path = tmp_path / "retained.json"
    record = {"cid": str(Cid.directory(bytes(32))), "label": "x", "keep_until": "soon"}
    for damage in (b"{", b"[{}]", json.dumps([record]).encode()):
        path.write_bytes(damage)
        with pytest.raises(IpfsError, match=r"retained\.json is damaged"):
            Keeper(embedded, path)


@pytest.mark.daemon
def test_service_pins_and_unpins(embedded: BlockStore, cid: Cid, service: Service, tmp_path: Path) -> None:
    remote = PinningService(service.endpoint, TOKEN)
    keeper = Keeper(embedded, tmp_path / "retained.json", services=[remote])
    keeper.retain(cid, "task 7")
    assert remote.status(cid).status == "pinned"
    assert remote.status(cid).name == "task 7"
    remote.pin(cid, "again")
    assert service.requests.count("POST") == 1
    assert keeper.check() == ()
    next(iter(service.pins.values()))["status"] = "failed"
    assert "failed" in keeper.check()[0].reason
    assert remote.status(cid).status == "pinned"
    service.pins.clear()
    assert "requested again" in keeper.check()[0].reason
    keeper.settle(cid, 0, 0)
    service.fail_with = 500
    assert keeper.release(now=1) == ()
    assert [pin.cid for pin in embedded.pins()] == [cid]
    service.fail_with = None
    assert len(keeper.release(now=1)) == 1
    assert service.pins == {}
    with pytest.raises(NotFound):
        remote.unpin(cid)


@pytest.mark.daemon
def test_failing_service_is_reported_without_its_token(
    embedded: BlockStore, cid: Cid, service: Service, tmp_path: Path
) -> None:
    keeper = Keeper(embedded, tmp_path / "retained.json", services=[PinningService(service.endpoint, "wrong-token")])
    keeper.retain(cid, "task 7")
    (missing,) = keeper.check()
    assert missing.where == "pinning service 127.0.0.1"
    assert "refuses the access token" in missing.reason
    assert "wrong-token" not in missing.reason
    remote = PinningService(service.endpoint, TOKEN)
    service.fail_with = 503
    with pytest.raises(SourceError, match="answered 503: 'out of order'"):
        remote.status(cid)
    service.fail_with = None
    for garbage, reason in (
        (b"<html>", "not JSON"),
        (b"[]", "not a list of pins"),
        (b'{"results": [{}]}', "not a list"),
        (b'{"results": [{"status": "lost", "requestid": "1", "pin": {"cid": "%s"}}]}' % str(cid).encode(), "'lost'"),
    ):
        service.garbage = garbage
        with pytest.raises(SourceError, match=reason):
            remote.status(cid)
    unreachable = PinningService("http://127.0.0.1:9/psa", TOKEN)
    with pytest.raises(SourceError, match="cannot be reached"):
        unreachable.pin(cid)


@pytest.mark.parametrize("endpoint", ["", "host", "ftp://host", "http://pins.example/psa", "https://h/psa?x=1"])
def test_bad_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(IpfsError, match=r"is not a pinning service|in the clear"):
        PinningService(endpoint, TOKEN)


@pytest.mark.daemon
def test_content_missing_at_a_gateway_is_reported(embedded: BlockStore, cid: Cid, tmp_path: Path) -> None:
    other = BlockStore(tmp_path / "other")
    with Gateway(other) as gateway:
        keeper = Keeper(embedded, tmp_path / "retained.json", gateways=[GatewaySource(gateway.url)])
        keeper.retain(cid, "task 7")
        (missing,) = keeper.check()
        assert missing.where == gateway.url
        assert "does not have" in missing.reason
        other.add_directory({"f": b"result"})
        assert keeper.check() == ()


@pytest.mark.daemon
def test_kubo_client_works_with_the_test_pinning_service(kubo: Kubo, service: Service, cid: Cid) -> None:
    kubo.run("pin", "remote", "service", "add", "tests", service.endpoint, TOKEN)
    PinningService(service.endpoint, TOKEN).pin(cid, "task 7")
    assert f"{cid} pinned task 7".split() == kubo.run("pin", "remote", "ls", "--service=tests").split()
    kubo.run("pin", "remote", "rm", "--service=tests", f"--cid={cid}")
    assert service.pins == {}
