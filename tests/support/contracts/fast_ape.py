"""Makes ape send fewer requests per transaction on the tests' anvil, whose fees, gas limit and mining are fixed.

Without this, ape sends about twelve requests per transaction: it asks for fees and balances, looks for console logs by
tracing, and waits for the nonce. It also derives the sender's key and signs in pure Python. Here anvil signs: it holds
the keys of ape's test accounts. The transaction itself and the replay that gives a revert's reason are unchanged.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from typing import Any

import ape.utils.testing
import ape_ethereum.provider
from ape.api.transactions import ReceiptAPI, TransactionAPI
from ape.contracts.base import ContractMethodHandler
from ape_ethereum.trace import Trace
from ape_foundry.provider import FoundryProvider
from ape_test.accounts import TestAccount
from eth_utils.conversions import to_hex


def _send_transaction(provider: Any, transaction: TransactionAPI) -> str:
    """Let anvil sign and send a transaction; return its hash."""
    fields = transaction.model_dump(by_alias=True, mode="json")
    request = {key: to_hex(value) if isinstance(value, int) else value for key, value in fields.items()}
    return str(provider.make_request("eth_sendTransaction", [request]))


_build_command = FoundryProvider.build_command


def _build_command_with_states(provider: FoundryProvider) -> list[str]:
    """Keep anvil's states in a folder of this process: anvil leaves hundreds of MB in the home otherwise."""
    states = tempfile.mkdtemp(prefix="covey-anvil-")
    atexit.register(shutil.rmtree, states, ignore_errors=True)
    return [*_build_command(provider), "--cache-path", states]


def install() -> None:
    """Patch ape. Call before ape connects to anvil."""
    patches: list[tuple[Any, str, Any]] = [
        (ape.utils.testing, "_generate_dev_account", cache(ape.utils.testing._generate_dev_account)),
        # Fees are zero (ape-config.yaml), and every transaction is mined at once.
        (FoundryProvider, "base_fee", property(lambda provider: 0)),
        (FoundryProvider, "priority_fee", property(lambda provider: 0)),
        (FoundryProvider, "auto_mine", property(lambda provider: True)),
        (FoundryProvider, "build_command", _build_command_with_states),
        (FoundryProvider, "get_balance", lambda provider, address, block_id=None: 10**24),
        (FoundryProvider, "_send_transaction", _send_transaction),
        (TestAccount, "sign_transaction", lambda account, transaction, **options: transaction),
        (ReceiptAPI, "_await_sender_nonce_increment", lambda receipt: None),
        (ContractMethodHandler, "_validate_is_contract", lambda handler: None),
        # No console logs, and no call trace of expected reverts.
        (ape_ethereum.provider, "_post_send_transaction", lambda transaction, receipt: None),
        (Trace, "show", lambda trace, verbose=False, file=None: None),
    ]
    for owner, name, replacement in patches:
        if not hasattr(owner, name):
            raise AttributeError(f"{owner} has no {name}: this version of ape needs other patches")
        setattr(owner, name, replacement)
