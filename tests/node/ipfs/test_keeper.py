from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kubo.daemon import Kubo
from tests.node.ipfs.pinning_service import TOKEN, Service

from covey.ipfs import BlockStore, Cid, Gateway, GatewaySource, IpfsError, NotFound, SourceError
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
