"""The public Python API: read a network, verify payouts, move stake, post tasks, claim rewards.

    from covey import client

    with client.connect("http://127.0.0.1:8545", "deployments/31337") as network:
        task = network.task(7)                                  # parameters, windows, phase, outcome
        report = network.verify_payout(7)                       # every figure recomputed from events
        print(task.phase, report.matches, report.differences)

        wallet = network.wallet(client.open_keystore("owner.json", password))
        for sent in network.delegate(wallet, operator, 250 * client.CVY):
            print(sent.purpose, sent.hash, sent.gas_used)

Amounts are wei of CVY, times are chain time in unix seconds, addresses are checksummed hex. Results are frozen
dataclasses. Every exception is a `ClientError`; `InvalidInput` and its subclasses mean that nothing was sent. Functions
named ``*_calls`` check their arguments and return calls without sending them, for a wallet of your own.

The modules below this package may change between versions; the names exported here do not without a deprecation.
"""

from __future__ import annotations

from covey.chain.signing.consent import sign_consent
from covey.chain.units import CVY, cvy, to_wei
from covey.client.claims import claim_calls
from covey.client.content import open_reader
from covey.client.emissions import EmissionsView, TaskShare, push_calls, vote_calls
from covey.client.errors import (
    ClientError,
    IncompleteEvents,
    InsufficientBalance,
    InvalidInput,
    JournalError,
    NetworkError,
    NothingToDo,
    TransactionFailed,
    UnknownTask,
)
from covey.client.governance import (
    GovernanceView,
    Proposal,
    execute_call,
    find_proposal,
    governed_call,
    propose_call,
    read_governance,
    veto_call,
)
from covey.client.keys import open_keystore, open_remote_signer, read_keystore_address
from covey.client.network import Network, connect
from covey.client.operators import OperatorRecord, OperatorView
from covey.client.parameters import Parameter
from covey.client.payouts import PayoutReport
from covey.client.positions import PoolPosition, Position
from covey.client.posting import PostedTask, fetch_spec, read_spec, task_params
from covey.client.retirement import Retirement, read_retirement, retirement_calls
from covey.client.staking import (
    OwnedEntry,
    cancel_calls,
    delegate_calls,
    entries_of,
    redelegate_calls,
    stake_calls,
    undelegate_calls,
    withdraw_calls,
)
from covey.client.tasks import TaskView
from covey.client.tx_requests import (
    ActionResult,
    AttemptView,
    TransactionView,
    list_transactions,
    request_action,
    retry_transaction,
)
from covey.client.wallet import SentTransaction, Wallet

__all__ = [
    "CVY",
    "ActionResult",
    "AttemptView",
    "ClientError",
    "EmissionsView",
    "GovernanceView",
    "IncompleteEvents",
    "InsufficientBalance",
    "InvalidInput",
    "JournalError",
    "Network",
    "NetworkError",
    "NothingToDo",
    "OperatorRecord",
    "OperatorView",
    "OwnedEntry",
    "Parameter",
    "PayoutReport",
    "PoolPosition",
    "Position",
    "PostedTask",
    "Proposal",
    "Retirement",
    "SentTransaction",
    "TaskShare",
    "TaskView",
    "TransactionFailed",
    "TransactionView",
    "UnknownTask",
    "Wallet",
    "cancel_calls",
    "claim_calls",
    "connect",
    "cvy",
    "delegate_calls",
    "entries_of",
    "execute_call",
    "fetch_spec",
    "find_proposal",
    "governed_call",
    "list_transactions",
    "open_keystore",
    "open_reader",
    "open_remote_signer",
    "propose_call",
    "push_calls",
    "read_governance",
    "read_keystore_address",
    "read_retirement",
    "read_spec",
    "redelegate_calls",
    "request_action",
    "retirement_calls",
    "retry_transaction",
    "sign_consent",
    "stake_calls",
    "task_params",
    "to_wei",
    "undelegate_calls",
    "veto_call",
    "vote_calls",
    "withdraw_calls",
]
