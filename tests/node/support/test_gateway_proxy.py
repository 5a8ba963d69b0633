"""What each fault of the chaos tests' proxy of a gateway does to a node's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chaos.gateway_proxy import FAULTS, LIES, VANISHED, GatewayProxy

from covey.ipfs import RAW, BlockStore, Cid, Gateway, GatewaySource, MismatchedBlock, NotFound, SourceError

pytestmark = pytest.mark.daemon

BLOCK = bytes(range(256)) * 8
CID = Cid.of(BLOCK, RAW)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[GatewayProxy]:
    with BlockStore(tmp_path / "blocks") as store, Gateway(store) as gateway:
        store.put_block(CID, BLOCK)
        running = GatewayProxy(gateway.url)
        yield running
        running.close()


def ask(proxy: GatewayProxy, timeout: float = 60.0) -> bytes:
    source = GatewaySource(proxy.url)
    try:
        return source.get_block(CID, timeout)
    finally:
        source.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_it_lasts(proxy: GatewayProxy, fault: str) -> None:
    proxy.set(fault)
    kind = MismatchedBlock if fault in LIES else NotFound if fault == "404" else SourceError
    with pytest.raises(kind) as caught:
        ask(proxy, 2 if fault in ("stalls", "trickles") else 60)
    assert type(caught.value) is kind
    assert proxy.hits == {fault: 1}
    proxy.set(None)
    assert ask(proxy) == BLOCK


def test_one_that_vanishes_and_comes_back(proxy: GatewayProxy) -> None:
    for _ in range(3):
        proxy.set(VANISHED)
        with pytest.raises(SourceError, match="refused"):
            ask(proxy)
        proxy.set(None)
        assert ask(proxy) == BLOCK


def test_what_the_gateway_lacks_is_told_as_it_is(proxy: GatewayProxy) -> None:
    source = GatewaySource(proxy.url)
    with pytest.raises(NotFound):
        source.get_block(Cid.of(b"nobody has this", RAW), 60)
    source.close()


def test_a_fault_must_be_known(proxy: GatewayProxy) -> None:
    with pytest.raises(KeyError):
        proxy.set("no such fault")
