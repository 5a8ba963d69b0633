"""Lists, bumps, cancels and retries a node's transactions, whether the node runs or not.

A request to bump or cancel is recorded in the node's journal. The running node carries it out; if the node does not
run, this process does, holding the node's lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from covey.chain.errors import ChainError
from covey.chain.rpc.finality import Finality
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.records import ExternalUse, TxAction, TxRequest, TxStatus
from covey.chain.tx.store import SqliteTxStore
from covey.client.errors import InvalidInput, NetworkError, TransactionFailed
from covey.client.journal import journal_store, node_lock
from covey.client.wallet import Wallet

_POLL_S = 0.2
Actor = Literal["node", "command", "pending"]


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One signed transaction. Fees are wei per gas; `head` is the chain's head when it was signed."""

    transaction: str
    nonce: int
    gas: int
    max_fee: int
    priority_fee: int
    head: int
    cancels: bool


@dataclass(frozen=True, slots=True)
class TransactionView:
    """A transaction of a node: its number and key, its purpose, its status, and what was signed for it.

    `not_after` is chain time; `transaction`, `nonce` and `block` are None until known; `outcome` explains a failure or
    a wait; `action` is "bump" or "cancel" while such a request is open.
    """

    id: int
    key: str
    what: str
    status: str
    sender: str
    to: str | None
    nonce: int | None
    not_after: int | None
    transaction: str | None
    block: int | None
    outcome: str
    action: str | None
    attempts: tuple[AttemptView, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ActionResult:
    """Result of a request: who carried it out, a one-line summary, and the transaction afterwards.

    `by` is "node" (the running node), "command" (this process) or "pending" (the node has not done it yet).
    """

    by: Actor
    summary: str
    transaction: TransactionView


def list_transactions(data_dir: Path, *, limit: int = 20, only_open: bool = False) -> list[TransactionView]:
    """A node's transactions, newest first.

    Raises:
        InvalidInput: the data directory has no journal.
        JournalError: the journal cannot be read.
    """
    with journal_store(data_dir) as store:
        return [_view(store, request) for request in store.recent(limit, only_open=only_open)]


def external_uses(data_dir: Path, senders: set[str]) -> list[ExternalUse]:
    """For each sender, the newest nonce used by a transaction that the node did not send.

    Raises: see `list_transactions`.
    """
    with journal_store(data_dir) as store:
        return [use for sender in sorted(senders) if (use := store.last_external_use(sender)) is not None]


def request_action(
    data_dir: Path,
    number: int,
    action: TxAction,
    *,
    open_wallet: Callable[[], Wallet],
    fees: FeePolicy | None = None,
    confirmations: int | None = None,
    wait_s: float = 60.0,
) -> ActionResult:
    """Bump or cancel a transaction of a node.

    Args:
        number: id of the transaction, `TransactionView.id`.
        open_wallet: opens the signer's wallet; called only if the node does not run and something must be signed.
        fees: limits for the new offer, if this process signs it; None is the default policy.
        confirmations: blocks until a transaction is settled; None is the chain's finalised block.
        wait_s: how long to wait for a running node, seconds.

    Raises:
        InvalidInput: there is no such transaction, it is over, or nothing was signed for it yet.
        TransactionFailed: nothing could be done.
        NetworkError: this process had to sign and could not reach the chain.
    """
    with journal_store(data_dir) as store:
        request = _find(store, number)
        if request.status.is_final:
            raise InvalidInput(f"transaction {number} ({request.call.describe}) is over: {request.status}")
        if request.status == TxStatus.MINED:
            raise InvalidInput(f"transaction {number} is in block {request.block} already: too late to {action}")
        if request.status == TxStatus.QUEUED and action == TxAction.BUMP:
            raise InvalidInput(f"transaction {number} is queued: nothing was signed for it yet, so there is no offer")
        attempts_before = len(store.attempts(number))
        store.request_action(number, action)
        with node_lock(data_dir) as locked:
            if locked:
                by: Actor = "command"
                _carry_out(store, number, open_wallet, fees, confirmations)
        if not locked:
            by = _await_node(store, number, wait_s)
        return _result(store, number, action, by, attempts_before)


def retry_transaction(data_dir: Path, number: int) -> ActionResult:
    """Queue a transaction again that was cancelled, failed or reverted; the node sends it.

    Raises:
        InvalidInput: there is no such transaction, or it is in another state.
    """
    with journal_store(data_dir) as store:
        request = _find(store, number)
        if request.status not in (TxStatus.CANCELLED, TxStatus.FAILED, TxStatus.REVERTED):
            raise InvalidInput(f"transaction {number} is {request.status}: there is nothing to try again")
        store.requeue(number, request.sender, request.call, request.not_after)
        return ActionResult("pending", "queued again", _view(store, _find(store, number)))


def _view(store: SqliteTxStore, request: TxRequest) -> TransactionView:
    return TransactionView(
        id=request.id,
        key=request.key,
        what=request.call.describe,
        status=request.status.value,
        sender=request.sender,
        to=request.call.to,
        nonce=request.nonce,
        not_after=request.not_after,
        transaction=request.tx_hash,
        block=request.block,
        outcome=request.outcome,
        action=None if request.action is None else request.action.value,
        attempts=tuple(
            AttemptView(
                transaction=attempt.hash,
                nonce=attempt.nonce,
                gas=attempt.gas,
                max_fee=attempt.max_fee,
                priority_fee=attempt.priority_fee,
                head=attempt.block,
                cancels=attempt.cancels,
            )
            for attempt in store.attempts(request.id)
        ),
    )


def _find(store: SqliteTxStore, number: int) -> TxRequest:
    request = store.find(number)
    if request is None:
        raise InvalidInput(f"there is no transaction {number}; `covey tx list` lists them")
    return request


def _await_node(store: SqliteTxStore, number: int, wait_s: float) -> Actor:
    """Wait until the running node has carried out the request."""
    end = time.monotonic() + wait_s
    while _find(store, number).action is not None:
        if time.monotonic() > end:
            return "pending"
        time.sleep(_POLL_S)
    return "node"


def _carry_out(
    store: SqliteTxStore,
    number: int,
    open_wallet: Callable[[], Wallet],
    fees: FeePolicy | None,
    confirmations: int | None,
) -> None:
    """Do what the node would, for transactions that are signed already; sends nothing else."""
    from covey.chain.tx.sender import Sender

    request = _find(store, number)
    if request.status == TxStatus.QUEUED:
        store.update(number, TxStatus.CANCELLED, outcome="cancelled before anything was signed")
        return
    try:
        wallet = open_wallet()
        if wallet.address != request.sender:
            raise InvalidInput(f"transaction {number} was signed by {request.sender}, not by {wallet.address}")
        sender = Sender(wallet.rpc, wallet.signer, store, fees=fees, finality=Finality(confirmations))
        status = sender.tick(launch=False)
    except ChainError as error:
        store.request_action(number, None)
        raise NetworkError(str(error)) from None
    except Exception:
        store.request_action(number, None)
        raise
    if _find(store, number).action is not None:
        store.request_action(number, None)
        raise TransactionFailed(status.blocked or f"transaction {number}: nothing could be done")


def _result(store: SqliteTxStore, number: int, action: TxAction, by: Actor, attempts_before: int) -> ActionResult:
    request, attempts = _find(store, number), store.attempts(number)
    view = _view(store, request)
    if by == "pending":
        return ActionResult(by, f"{action} requested; the running node has not done it yet", view)
    if request.status == TxStatus.CANCELLED:
        return ActionResult(by, request.outcome, view)
    if len(attempts) > attempts_before:
        newest = attempts[-1]
        what = "an empty transfer" if newest.cancels else "the same call"
        summary = f"{what} at nonce {newest.nonce} for up to {newest.max_fee / 1e9:.3f} gwei, {newest.hash}"
        return ActionResult(by, summary, view)
    raise TransactionFailed(f"transaction {number}: {request.outcome or f'is {request.status}'}")
