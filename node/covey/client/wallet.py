"""One-off transactions of a command. The daemon's queue (`covey.chain.tx.sender`) is for what must survive a crash."""

from __future__ import annotations

import os
import time
import uuid
from typing import TYPE_CHECKING

from covey.chain.errors import ChainError
from covey.cli.errors import CliError

if TYPE_CHECKING:
    from covey.chain.contracts.base import Call
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Receipt
    from covey.chain.signing.keystore import Signer
    from covey.chain.tx.store import SqliteTxStore
    from covey.cli.settings import Settings


_NODE_SECONDS = 300.0  # for a transaction that the running node sends


class Wallet:
    """Sends transactions of one key and waits for each."""

    def __init__(self, rpc: Rpc, signer: Signer) -> None:
        self.rpc = rpc
        self.signer = signer

    @property
    def address(self) -> str:
        """The sender."""
        return self.signer.address

    def send(self, call: Call) -> Receipt:
        """Send and wait until mined. Raises CliError, one line that begins with what was tried."""
        from covey.chain.tx.oneshot import send

        try:
            return send(self.rpc, self.signer, call)
        except ChainError as error:
            text = str(error)
            raise CliError(text if text.startswith(call.describe) else f"{call.describe}: {text}") from None


class NodeWallet(Wallet):
    """The signer's wallet beside its node: one key, one queue.

    While the node runs, it is asked to send; while it does not, what is sent here is noted in its journal, so that it
    takes it for its own.
    """

    def __init__(self, rpc: Rpc, signer: Signer, settings: Settings) -> None:
        super().__init__(rpc, signer)
        self._settings = settings

    def send(self, call: Call) -> Receipt:
        """See `Wallet.send`."""
        from covey.client.tx_requests import journal_store, node_lock

        lock = node_lock(self._settings)
        with journal_store(self._settings) as store:
            if lock is None:
                return self._by_node(store, call)
            try:
                receipt = super().send(call)
                store.expect(self.address, self.rpc.nonce(self.address))
            except ChainError as error:
                raise CliError(f"{call.describe}: {error}") from None
            finally:
                os.close(lock)
        return receipt

    def _by_node(self, store: SqliteTxStore, call: Call) -> Receipt:
        from covey.chain.tx.records import TxStatus

        try:
            self.rpc.estimate_gas(call.to, call.data, sender=self.address, value=call.value)
            request = store.add(f"command/{uuid.uuid4().hex}", self.address, call, None)
            end = time.monotonic() + _NODE_SECONDS
            while True:
                request = store.find(request.id) or request
                if request.status in (TxStatus.MINED, TxStatus.DONE) and request.tx_hash is not None:
                    receipt = self.rpc.receipt(request.tx_hash)
                    if receipt is not None:
                        return receipt
                elif request.status.over:
                    raise CliError(f"{call.describe}: {request.outcome}")
                if time.monotonic() > end:
                    where = f"it is {request.status}, `covey tx list` shows it as {request.id}"
                    raise CliError(f"{call.describe}: not mined by the running node in {_NODE_SECONDS:g} s; {where}")
                time.sleep(0.2)
        except ChainError as error:
            raise CliError(f"{call.describe}: {error}") from None
