"""Opens stores, sources and fetchers from the addresses in an operator's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from covey.ipfs.blockstore import BlockStore
from covey.ipfs.errors import IpfsError
from covey.ipfs.fetch import Fetcher
from covey.ipfs.peers import GatewaySource
from covey.ipfs.store import Source, Store

CACHE_QUOTA_BYTES = 8 << 30
_RPC_PREFIXES = ("http://", "https://", "/ip4/", "/ip6/", "/dns/", "/dns4/", "/dns6/")


def is_rpc(location: str | Path) -> bool:
    """Whether a store's location is the address of a Kubo RPC rather than a folder."""
    return isinstance(location, str) and location.startswith(_RPC_PREFIXES)


def open_store(
    location: str | Path, *, quota_bytes: int | None = None, token: str | None = None, token_in_clear: bool = False
) -> Store:
    """Open the store at ``location``: a folder (embedded store), or ``http(s)://host:port`` or a multiaddr (Kubo RPC).

    ``quota_bytes`` applies to the embedded store. ``token`` is Kubo's bearer token; it is sent over plain http to
    another machine only with ``token_in_clear``. Does not contact the daemon yet. Raises `IpfsError` for an unusable
    location.
    """
    if is_rpc(location):
        # Kubo's client imports an HTTP stack that a node with the embedded store does not need.
        from covey.ipfs.kubo import KuboStore

        return KuboStore(str(location), token=token, token_in_clear=token_in_clear)
    if isinstance(location, str) and ("://" in location or not location):
        raise IpfsError(f"{location!r} is neither a folder nor a Kubo RPC address (http://host:port)")
    return BlockStore(Path(location).expanduser(), quota_bytes=quota_bytes)


def open_fetcher(
    store: Store,
    gateways: Sequence[str] = (),
    *,
    cache: str | Path | None = None,
    cache_quota_bytes: int = CACHE_QUOTA_BYTES,
    timeout_s: float = 30.0,
    deadline_s: float = 600.0,
) -> Fetcher:
    """Open a fetcher that tries ``store`` first, then ``gateways`` in order.

    An embedded store is its own cache. With Kubo, ``cache`` is the folder for fetched blocks; the oldest are evicted to
    stay within ``cache_quota_bytes``.
    """
    peers: list[Source] = [GatewaySource(url) for url in gateways]
    if isinstance(store, BlockStore):
        return Fetcher(store, peers, timeout_s=timeout_s, deadline_s=deadline_s)
    if cache is None:
        raise IpfsError("with a Kubo store the fetcher needs a cache folder")
    return Fetcher(
        BlockStore(cache, quota_bytes=cache_quota_bytes), [store, *peers], timeout_s=timeout_s, deadline_s=deadline_s
    )
