"""Reads published content (specs, manifests, score sheets) from a store and from peers' gateways."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from covey.client.errors import ClientError
from covey.ipfs import Fetcher, IpfsError, Store, open_fetcher


@contextmanager
def open_reader(store: Store, peers: Sequence[str] = (), *, timeout_s: float = 20.0) -> Iterator[Fetcher]:
    """A reader that looks in `store` first, then asks the gateways `peers` in order.

    Args:
        peers: URLs of other nodes' gateways.
        timeout_s: time limit for one read over all sources, seconds.

    Raises:
        ClientError: the reader cannot be opened.
    """
    with tempfile.TemporaryDirectory(prefix="covey-content-") as cache:  # used beside a Kubo store only
        try:
            fetcher = open_fetcher(store, peers, cache=cache, deadline_s=timeout_s)
        except IpfsError as error:
            raise ClientError(f"cannot read content: {error}") from None
        with fetcher:
            yield fetcher
