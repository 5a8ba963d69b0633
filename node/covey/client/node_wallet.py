"""The wallet of a node's signer, which shares one transaction queue with the node."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from covey.chain.contracts.base import Call
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.responses import Receipt
from covey.chain.signing.keystore import Signer
from covey.chain.tx.records import TxStatus
from covey.chain.tx.store import SqliteTxStore
from covey.client.journal import journal_store, node_lock
from covey.client.wallet import Wallet, failed

_NODE_TIMEOUT_S = 300.0
_POLL_S = 0.2


class NodeWallet(Wallet):
    """Sends transactions of a node's signer without disturbing the node's nonces.

    While the node runs, the call goes into the node's queue and the node sends it. While it does not run, this process
    sends the call and records the nonce in the node's journal, so that the node does not report a foreign use of its
    key later.
    """

    def __init__(self, rpc: Rpc, signer: Signer, data_dir: Path) -> None:
        super().__init__(rpc, signer)
        self._data_dir = data_dir

    def send(self, call: Call) -> Receipt:
        """See `Wallet.send`; a running node has five minutes to get the call mined."""
        with node_lock(self._data_dir) as locked, journal_store(self._data_dir) as store:
            if not locked:
                return self._send_through_node(store, call)
            receipt = super().send(call)
            try:
                store.claim_nonces(self.address, self.rpc.nonce(self.address))
            except ChainError as error:
                raise failed(call, str(error)) from None
            return receipt

    def _send_through_node(self, store: SqliteTxStore, call: Call) -> Receipt:
        try:
            self.rpc.estimate_gas(call.to, call.data, sender=self.address, value=call.value)
            request = store.add(f"command/{uuid.uuid4().hex}", self.address, call, None)
            end = time.monotonic() + _NODE_TIMEOUT_S
            while True:
                request = store.find(request.id) or request
                if request.status in (TxStatus.MINED, TxStatus.DONE) and request.tx_hash is not None:
                    receipt = self.rpc.receipt(request.tx_hash)
                    if receipt is not None:
                        return receipt
                elif request.status.is_final:
                    raise failed(call, request.outcome)
                if time.monotonic() > end:
                    raise failed(
                        call,
                        f"the running node did not get it mined in {_NODE_TIMEOUT_S:g} s; it is {request.status}, "
                        f"`covey tx list` shows it as {request.id}",
                    )
                time.sleep(_POLL_S)
        except ChainError as error:
            raise failed(call, str(error)) from None
