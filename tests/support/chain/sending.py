"""Helpers for tests of the transaction sender."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from covey.chain.contracts import Call
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.signing.keystore import LocalSigner, Signer
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore, TxStatus

TO = "0x" + "77" * 20
HOT = LocalSigner.from_key(b"\x77" * 32)
"""A key that operators name as their signer."""
PATIENCE = 3


def plain(value: int = 5, to: str = TO) -> Call:
    return Call(to, b"", f"send {value} wei", value)


def open_store(path: Path | str = ":memory:") -> SqliteTxStore:
    return SqliteTxStore(sqlite3.connect(path, isolation_level=None))


def new_sender(rpc: Rpc, signer: Signer, store: SqliteTxStore | None = None, **options: Any) -> Sender:
    fees = options.pop("fees", FeePolicy(patience=PATIENCE))
    confirmations = options.pop("confirmations", 0)
    return Sender(rpc, signer, store or open_store(), fees=fees, finality=Finality(confirmations), **options)


def status_of(sender: Sender, key: str) -> TxStatus:
    request = sender.request(key)
    assert request is not None
    return request.status


def finish(sender: Sender, *keys: str) -> None:
    """Tick until the requests are final; anvil mines shortly after it accepts a transaction."""
    end = time.monotonic() + 120
    while not all(status_of(sender, key).is_final for key in keys):
        assert time.monotonic() < end, sender.status
        sender.tick()
