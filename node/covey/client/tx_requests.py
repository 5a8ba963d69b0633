"""Behind `covey tx`: the node's database, and wishes that its sender, or this process in its place, fulfils."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey.chain.errors import ChainError
from covey.chain.tx.records import TxAction, TxRequest, TxStatus
from covey.chain.tx.store import SqliteTxStore
from covey.cli.errors import CliError, InputError
from covey.cli.settings import Settings

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What came of a wish: who did it ("node", "command", "nobody yet"), a line, and the request's facts."""

    by: str
    told: str
    facts: dict[str, Any]


@contextmanager
def journal_store(settings: Settings) -> Iterator[SqliteTxStore]:
    """The transactions in the node's journal. Raises InputError without one, CliError if it cannot be used."""
    if settings.data_dir is None:
        raise InputError("no node: give --data-dir, COVEY_DATA_DIR or a settings file with data_dir")
    path = Path(settings.data_dir) / "journal.sqlite"
    if not path.is_file():
        raise InputError(f"{path}: no such journal; has this node ever run?")
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=30)
        db.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise CliError(f"{path}: {error}") from None
    try:
        yield SqliteTxStore(db)
    except sqlite3.Error as error:
        raise CliError(f"{path}: {error}") from None
    finally:
        db.close()


def facts_of(store: SqliteTxStore, request: TxRequest) -> dict[str, Any]:
    """A request as `covey tx list --json` shows it. Fees are wei a unit of gas."""
    attempts = store.attempts(request.id)
    return {
        "id": request.id,
        "key": request.key,
        "what": request.call.describe,
        "status": request.status.value,
        "sender": request.sender,
        "to": request.call.to,
        "nonce": request.nonce,
        "not_after": request.not_after,
        "transaction": request.tx_hash,
        "block": request.block,
        "outcome": request.outcome,
        "wish": None if request.wish is None else request.wish.value,
        "attempts": [
            {
                "transaction": one.hash,
                "nonce": one.nonce,
                "gas": one.gas,
                "max_fee": one.max_fee,
                "priority_fee": one.priority_fee,
                "head": one.block,
                "cancels": one.cancels,
            }
            for one in attempts
        ],
    }


def make_wish(settings: Settings, number: int, wish: TxAction, wait_s: float) -> ActionResult:
    """Have a transaction bumped or cancelled. Raises InputError for one that cannot be, CliError if it was not."""
    with journal_store(settings) as store:
        request = _find(store, number)
        if request.status.over:
            raise InputError(f"transaction {number} ({request.call.describe}) is over: {request.status}")
        if request.status == TxStatus.MINED:
            raise InputError(f"transaction {number} is in block {request.block} already: too late to {wish}")
        if request.status == TxStatus.QUEUED and wish == TxAction.BUMP:
            raise InputError(f"transaction {number} is queued: nothing was signed for it yet, so there is no offer")
        before = len(store.attempts(number))
        store.wish(number, wish)
        lock = node_lock(settings)
        if lock is None:
            by = _await_node(store, number, wait_s)
        else:
            by = "command"
            try:
                _work(settings, store, number)
            finally:
                os.close(lock)
        return _result(store, number, wish, by, before)


def queue_again(settings: Settings, number: int) -> ActionResult:
    """Queue a transaction once more that is over without success. Raises InputError for any other."""
    with journal_store(settings) as store:
        request = _find(store, number)
        if request.status not in (TxStatus.CANCELLED, TxStatus.FAILED, TxStatus.REVERTED):
            raise InputError(f"transaction {number} is {request.status}: there is nothing to try again")
        store.requeue(number, request.sender, request.call, request.not_after)
        return ActionResult("nobody yet", "queued again", facts_of(store, _find(store, number)))


def _find(store: SqliteTxStore, number: int) -> TxRequest:
    request = store.find(number)
    if request is None:
        raise InputError(f"there is no transaction {number}; `covey tx list` shows which there are")
    return request


def node_lock(settings: Settings) -> int | None:
    """The node's lock, so that it does not start meanwhile; None while it runs."""
    from covey.config.node import ConfigError
    from covey.daemon.assemble import lock_data_dir

    assert settings.data_dir is not None
    try:
        return lock_data_dir(Path(settings.data_dir))
    except ConfigError:
        return None


def _await_node(store: SqliteTxStore, number: int, wait_s: float) -> str:
    """Wait until the running node has fulfilled the wish."""
    end = time.monotonic() + wait_s
    while _find(store, number).wish is not None:
        if time.monotonic() > end:
            return "nobody yet"
        time.sleep(_POLL_S)
    return "node"


def _work(settings: Settings, store: SqliteTxStore, number: int) -> None:
    """Do what the node would, for signed transactions only: nothing is sent that was not signed before."""
    from covey.chain.rpc.finality import Finality
    from covey.chain.tx.fees import FeePolicy
    from covey.chain.tx.sender import Sender
    from covey.client.access import connect

    request = _find(store, number)
    if request.status == TxStatus.QUEUED:
        store.update(number, TxStatus.CANCELLED, outcome="cancelled before anything was signed")
        return
    try:
        wallet = connect(settings).wallet(settings, "signer")
        if wallet.address != request.sender:
            raise InputError(f"transaction {number} was signed by {request.sender}, not by {wallet.address}")
        fees = FeePolicy(
            cap=settings.max_gas_price, max_priority=settings.max_priority_fee, patience=settings.bump_blocks
        )
        finality = Finality(settings.confirmations)
        status = Sender(wallet.rpc, wallet.signer, store, fees=fees, finality=finality).tick(launch=False)
    except ChainError as error:
        store.wish(number, None)
        raise CliError(str(error)) from None
    except CliError:
        store.wish(number, None)
        raise
    if _find(store, number).wish is not None:
        store.wish(number, None)
        raise CliError(status.blocked or f"transaction {number}: nothing could be done")


def _result(store: SqliteTxStore, number: int, wish: TxAction, by: str, before: int) -> ActionResult:
    request, attempts = _find(store, number), store.attempts(number)
    facts = facts_of(store, request)
    if by == "nobody yet":
        return ActionResult(by, f"{wish} asked for; the running node has not done it yet", facts)
    if request.status == TxStatus.CANCELLED:
        return ActionResult(by, request.outcome, facts)
    if len(attempts) > before:
        newest = attempts[-1]
        what = "a transfer of nothing" if newest.cancels else "the same"
        told = f"{what} at nonce {newest.nonce} for up to {newest.max_fee / 1e9:.3f} gwei, {newest.hash}"
        return ActionResult(by, told, facts)
    raise CliError(f"transaction {number}: {request.outcome or f'is {request.status}'}")
