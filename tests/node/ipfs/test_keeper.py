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
from covey.ipfs.keeper import DAY_S, Keeper
from covey.ipfs.pinning import PinningService


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def cid(embedded: BlockStore) -> Cid:
    return embedded.add_directory({"f": b"result"}, pin=False)


def test_kept_until_settled_and_some_days_more(embedded: BlockStore, cid: Cid, tmp_path: Path) -> None:
    keeper = Keeper(embedded, tmp_path / "promises.json")
    keeper.promise(cid, "task 7")
    assert keeper.release(now=1 << 40) == ()
    keeper.settle(cid, settled_at=1000, days=2)
    keeper.settle(cid, settled_at=0, days=1)  # an earlier end does not shorten it
    keeper = Keeper(embedded, tmp_path / "promises.json")
    assert [(p.cid, p.label, p.keep_until) for p in keeper.promises()] == [(cid, "task 7", 1000 + 2 * DAY_S)]
    assert keeper.release(now=1000 + 2 * DAY_S - 1) == ()
    embedded.collect()
    assert keeper.check() == ()
    assert [promise.cid for promise in keeper.release(now=1000 + 2 * DAY_S)] == [cid]
    assert keeper.promises() == Keeper(embedded, tmp_path / "promises.json").promises() == ()
    assert embedded.pins() == ()
    assert embedded.collect() > 0


def test_what_is_not_there_cannot_be_promised_or_settled(embedded: BlockStore, tmp_path: Path) -> None:
    keeper = Keeper(embedded, tmp_path / "promises.json")
    with pytest.raises(NotFound):
        keeper.promise(Cid.directory(bytes(32)), "x")
    assert keeper.promises() == ()
    with pytest.raises(NotFound, match="never promised"):
        keeper.settle(Cid.directory(bytes([1] * 32)), 0, 1)


def test_a_lost_pin_and_a_lost_block_are_noticed(embedded: BlockStore, cid: Cid, tmp_path: Path) -> None:
    keeper = Keeper(embedded, tmp_path / "promises.json")
    keeper.promise(cid, "task 7")
    embedded.unpin(cid)
    (lapse,) = keeper.check()
    assert "pinned again" in lapse.reason
    assert keeper.check() == ()
    leaf = embedded.local_plan(cid).file("f").cid
    embedded._files.path(leaf.digest).write_bytes(b"damage")
    (lapse,) = keeper.check()
    assert "corrupt" in lapse.reason
    embedded.delete_block(cid)
    (lapse,) = keeper.check()
    assert (lapse.promise.cid, lapse.where) == (cid, embedded.name)
    assert "not in" in lapse.reason


def damage_all(store: BlockStore, cid: Cid) -> int:
    """Spoil every second block, and remove the others; how many there were."""
    blocks = list(store.local_plan(cid).blocks())
    for number, block in enumerate(blocks):
        path = store._files.path(block.digest)
        if number % 2:
            path.unlink()
        else:
            path.write_bytes(bytes(path.stat().st_size))
    return len(blocks)


class Lost:
    """A source that has nothing, or lies."""

    name = "elsewhere"

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        if self.answer is None:
            raise NotFound(f"{self.name} has no {cid}")
        return self.answer


@pytest.mark.parametrize("where", ["a fetcher", "a gateway", "a gateway, after a fetcher has failed"])
def test_what_another_source_has_is_fetched_again(embedded: BlockStore, tmp_path: Path, where: str) -> None:
    files = {"f": os.urandom(3 * MIB + 1), "g": b"1"}
    cid = embedded.add_directory(files)
    other = BlockStore(tmp_path / "other")
    with Fetcher(embedded, [other if where == "a fetcher" else Lost()], timeout_s=20) as fetcher:
        keeper = Keeper(
            embedded,
            tmp_path / "promises.json",
            gateways=[] if where == "a fetcher" else [Lost(b"rubbish"), other],
            fetch=None if where == "a gateway" else fetcher.get_block,
        )
        keeper.promise(cid, "task 7")
        count = damage_all(embedded, cid)
        first = [lapse for lapse in keeper.check() if lapse.where == embedded.name]
        assert len(first) == 1
        assert first[0].reason.endswith("(no other source has it now)")
        other.add_directory(files)
        (lapse,) = [lapse for lapse in keeper.check() if lapse.where == embedded.name]
        assert lapse.reason == f"damaged or lost blocks fetched again: {count}"
        assert [lapse for lapse in keeper.check() if lapse.where == embedded.name] == []
    assert embedded.has(cid)
    assert all(embedded.read(cid, name, 1 << 30) == content for name, content in files.items())
    assert [(pin.cid, pin.name) for pin in embedded.pins()] == [(cid, "task 7")]


def kubo_file(kubo: Kubo, cid: Cid) -> Path:
    """Where a Kubo node keeps a block: under the base32 of its multihash."""
    name = base64.b32encode(b"\x12\x20" + cid.digest).decode().rstrip("=")
    (path,) = (kubo.repo / "blocks").rglob(f"{name}.data")
    return path


@pytest.mark.daemon
def test_a_block_damaged_in_kubo_is_replaced(kubo: Kubo, embedded: BlockStore, tmp_path: Path) -> None:
    files = {"f": os.urandom(MIB + 1), "g": os.urandom(10)}
    with open_store(kubo.rpc) as store, Fetcher(embedded) as fetcher:
        keeper = Keeper(store, tmp_path / "promises.json", fetch=fetcher.get_block)
        keeper.promise(store.add_directory(files), "task 7")
        (promise,) = keeper.promises()
        for file in store.list_directory(promise.cid):
            path = kubo_file(kubo, file.leaves[0].cid)
            path.chmod(0o644)
            path.write_bytes(b"damage")
        (lapse,) = keeper.check()
        assert "6 bytes" in lapse.reason
        assert lapse.reason.endswith("(no other source has it now)")
        assert promise.cid in {pin.cid for pin in store.pins()}, "what cannot be mended is left as it is"
        embedded.add_directory(files)
        (lapse,) = keeper.check()
        assert lapse.reason == "damaged or lost blocks fetched again: 2"
        assert keeper.check() == ()
        assert {pin.cid: pin.name for pin in store.pins()}[promise.cid] == "task 7"
        assert store.read(promise.cid, "f", 1 << 30) == files["f"]


@pytest.mark.daemon
def test_a_block_that_another_pin_of_kubo_holds_stays_an_alarm(
    kubo: Kubo, embedded: BlockStore, tmp_path: Path
) -> None:
    shared = os.urandom(100)
    with open_store(kubo.rpc) as store, Fetcher(embedded) as fetcher:
        keeper = Keeper(store, tmp_path / "promises.json", fetch=fetcher.get_block)
        keeper.promise(store.add_directory({"f": shared}), "task 7")
        other = store.add_directory({"other name": shared})
        path = kubo_file(kubo, embedded.list_directory(embedded.add_directory({"f": shared}))[0].cid)
        path.chmod(0o644)
        path.write_bytes(b"damage")
        (lapse,) = keeper.check()
        assert "keeps its damaged block" in lapse.reason
        assert str(other) in lapse.reason
        store.unpin(other)
        assert "fetched again: 1" in keeper.check()[0].reason
        assert keeper.check() == ()


def test_a_damaged_file_of_promises_is_named(embedded: BlockStore, tmp_path: Path) -> None:
    path = tmp_path / "promises.json"
    record = {"cid": str(Cid.directory(bytes(32))), "label": "x", "keep_until": "soon"}
    for damage in (b"{", b"[{}]", json.dumps([record]).encode()):
        path.write_bytes(damage)
        with pytest.raises(IpfsError, match=r"promises.json is damaged"):
            Keeper(embedded, path)


@pytest.mark.daemon
def test_a_service_is_asked_to_pin_and_to_unpin(
    embedded: BlockStore, cid: Cid, service: Service, tmp_path: Path
) -> None:
    remote = PinningService(service.endpoint, TOKEN)
    keeper = Keeper(embedded, tmp_path / "promises.json", services=[remote])
    keeper.promise(cid, "task 7")
    assert remote.status(cid).status == "pinned"
    assert remote.status(cid).name == "task 7"
    remote.pin(cid, "again")
    assert service.requests.count("POST") == 1
    assert keeper.check() == ()
    next(iter(service.pins.values()))["status"] = "failed"
    assert "failed" in keeper.check()[0].reason
    assert remote.status(cid).status == "pinned"
    service.pins.clear()
    assert "asked again" in keeper.check()[0].reason
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
def test_a_service_that_fails_is_named_without_its_token(
    embedded: BlockStore, cid: Cid, service: Service, tmp_path: Path
) -> None:
    keeper = Keeper(embedded, tmp_path / "promises.json", services=[PinningService(service.endpoint, "wrong-token")])
    keeper.promise(cid, "task 7")
    (lapse,) = keeper.check()
    assert lapse.where == "pinning service 127.0.0.1"
    assert "refuses the access token" in lapse.reason
    assert "wrong-token" not in lapse.reason
    remote = PinningService(service.endpoint, TOKEN)
    service.fail_with = 503
    with pytest.raises(SourceError, match="answered 503: 'out of order'"):
        remote.status(cid)
    service.fail_with = None
    for garbage, reason in (
        (b"<html>", "not JSON"),
        (b"[]", "no list of pins"),
        (b'{"results": [{}]}', "no list"),
        (b'{"results": [{"status": "lost", "requestid": "1", "pin": {"cid": "%s"}}]}' % str(cid).encode(), "'lost'"),
    ):
        service.garbage = garbage
        with pytest.raises(SourceError, match=reason):
            remote.status(cid)
    unreachable = PinningService("http://127.0.0.1:9/psa", TOKEN)
    with pytest.raises(SourceError, match="cannot be reached"):
        unreachable.pin(cid)


@pytest.mark.parametrize("endpoint", ["", "host", "ftp://host", "http://pins.example/psa", "https://h/psa?x=1"])
def test_bad_endpoints_are_refused(endpoint: str) -> None:
    with pytest.raises(IpfsError, match=r"is not a pinning service|in the clear"):
        PinningService(endpoint, TOKEN)


@pytest.mark.daemon
def test_what_gateways_no_longer_have_is_noticed(embedded: BlockStore, cid: Cid, tmp_path: Path) -> None:
    other = BlockStore(tmp_path / "other")
    with Gateway(other) as gateway:
        keeper = Keeper(embedded, tmp_path / "promises.json", gateways=[GatewaySource(gateway.url)])
        keeper.promise(cid, "task 7")
        (lapse,) = keeper.check()
        assert lapse.where == gateway.url
        assert "does not have" in lapse.reason
        other.add_directory({"f": b"result"})
        assert keeper.check() == ()


@pytest.mark.daemon
def test_kubos_own_client_understands_the_service_of_these_tests(kubo: Kubo, service: Service, cid: Cid) -> None:
    kubo.run("pin", "remote", "service", "add", "tests", service.endpoint, TOKEN)
    PinningService(service.endpoint, TOKEN).pin(cid, "task 7")
    assert f"{cid} pinned task 7".split() == kubo.run("pin", "remote", "ls", "--service=tests").split()
    kubo.run("pin", "remote", "rm", "--service=tests", f"--cid={cid}")
    assert service.pins == {}
