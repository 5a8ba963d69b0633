"""Content-addressed storage: the same CIDs whether blocks are on this disk, in Kubo, or at an untrusted peer.

The interface for the rest of Covey::

    store = open_store("/var/lib/covey/blocks")          # or "http://127.0.0.1:5001" for Kubo's RPC
    cid = directory_cid({"spec.json": b"..."})            # hash only: for content that stays private until a reveal
    cid = store.add_directory("adapter/", name="task 7")  # store and pin a flat directory; durable on return
    word = cid.word                                       # the 32 bytes that go on chain
    cid = Cid.directory(word)                             # and back

    with Gateway(store, port=4180) as gateway:            # serve local blocks to peers, read only (gateway.url)
        fetcher = open_fetcher(store, ["http://10.0.0.7:4180", "https://ipfs.example"])
        fetcher.get_directory(cid, "entry/", Limits(max_bytes=64 << 20, max_files=3))
        spec = fetcher.read(cid, "spec.json", max_bytes=1 << 20)

`covey.ipfs.keeper` manages the content that a node must keep available, remote pins included.

A directory is flat: names mapped to plain files, without folders or links. Writing one to disk is atomic. Every error
is an `IpfsError`. `InvalidContent` (with `LimitExceeded`) means that the content itself is bad and no other source can
help; after `NotFound` and `SourceError` a retry may succeed. Nothing here imports torch, and Kubo's client is imported
only when a Kubo address is opened.
"""

from __future__ import annotations

from covey.ipfs.blockstore import BlockStore
from covey.ipfs.cid import DAG_PB, RAW, Cid
from covey.ipfs.dag import FilePlan, Limits, Plan
from covey.ipfs.errors import (
    CorruptBlock,
    InvalidCid,
    InvalidContent,
    IpfsError,
    LimitExceeded,
    MismatchedBlock,
    NotFound,
    SourceError,
    StoreBusy,
    StoreFull,
)
from covey.ipfs.fetch import Fetcher
from covey.ipfs.gateway import Gateway
from covey.ipfs.open import open_fetcher, open_store
from covey.ipfs.peers import GatewaySource
from covey.ipfs.store import Pin, Source, Stat, Store
from covey.ipfs.unixfs import Content, directory_cid

__all__ = [
    "DAG_PB",
    "RAW",
    "BlockStore",
    "Cid",
    "Content",
    "CorruptBlock",
    "Fetcher",
    "FilePlan",
    "Gateway",
    "GatewaySource",
    "InvalidCid",
    "InvalidContent",
    "IpfsError",
    "LimitExceeded",
    "Limits",
    "MismatchedBlock",
    "NotFound",
    "Pin",
    "Plan",
    "Source",
    "SourceError",
    "Stat",
    "Store",
    "StoreBusy",
    "StoreFull",
    "directory_cid",
    "open_fetcher",
    "open_store",
]
