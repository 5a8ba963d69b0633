"""`Network`: one deployment of the contracts, and the operations of the public API on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from covey.audit.chain import Chain
from covey.audit.evidence import Reader
from covey.chain.deployment import Deployment
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.signing.keystore import Signer
from covey.client import claims, emissions, operators, parameters, payouts, positions, posting, staking, tasks
from covey.client.emissions import EmissionsView
from covey.client.errors import InvalidInput, NetworkError, network_errors
from covey.client.journal import has_journal
from covey.client.node_wallet import NodeWallet
from covey.client.operators import OperatorView
from covey.client.parameters import Parameter
from covey.client.payouts import PayoutReport
from covey.client.positions import Position
from covey.client.posting import PostedTask
from covey.client.staking import OwnedEntry
from covey.client.tasks import TaskView
from covey.client.wallet import SentTransaction, Wallet
from covey.ipfs import Store
from covey.protocol.spec import TaskSpec
from covey.protocol.types import TaskParams


class Network(Chain):
    """One deployment of the contracts. Close it, or use it as a context manager.

    Amounts are wei of CVY (10^18 wei are 1 CVY), times are chain time in unix seconds, addresses are checksummed.
    Every method raises `NetworkError` if the chain cannot be read, besides the errors it names; those that send raise
    `TransactionFailed`. `contracts` gives access to each contract's reads and calls.
    """

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the endpoints."""
        self.rpc.close()

    def task(self, task_id: int) -> TaskView:
        """A task at the newest block.

        Raises:
            UnknownTask: there is no task of this id.
        """
        with network_errors():
            return tasks.read_task(self, task_id)

    def tasks(self) -> list[TaskView]:
        """All tasks at the newest block, newest first."""
        with network_errors():
            return tasks.read_tasks(self)

    def operators(self) -> list[OperatorView]:
        """All operators with their pools and their record, in the order of registration."""
        with network_errors():
            return operators.read_operators(self)

    def position(self, account: str) -> Position:
        """What an account holds: pools with their value and gain, unbonding stake, credits and tokens."""
        with network_errors():
            return positions.read_position(self, account)

    def parameters(self) -> list[Parameter]:
        """All parameters of the network, each with its unit."""
        with network_errors():
            return parameters.read_parameters(self)

    def emissions(self) -> EmissionsView:
        """The stream of emissions and the tasks' shares."""
        with network_errors():
            return emissions.read_emissions(self)

    def verify_payout(self, task_id: int, *, reader: Reader | None = None) -> PayoutReport:
        """Recompute a task's seats, medians, gains and payments from its events; see `payouts.verify_payout`.

        Raises:
            UnknownTask: there is no task of this id.
            IncompleteEvents: the endpoint did not return the task's whole history.
        """
        with network_errors():
            return payouts.verify_payout(self, task_id, reader=reader)

    def wallet(self, signer: Signer, *, data_dir: Path | None = None) -> Wallet:
        """A wallet that sends transactions of `signer`.

        Args:
            data_dir: data directory of the node that uses the same key, if any; the wallet then shares its queue.
        """
        if data_dir is not None and has_journal(data_dir):
            return NodeWallet(self.rpc, signer, data_dir)
        return Wallet(self.rpc, signer)

    def operator_of(self, signer: str) -> str:
        """The operator that has named `signer` as its hot key.

        Raises:
            InvalidInput: no operator has.
        """
        with network_errors():
            return staking.operator_of(self, signer)

    def entries_of(self, owner: str) -> list[OwnedEntry]:
        """The owner's stake that left pools and is not withdrawn; see `staking.entries_of`."""
        with network_errors():
            return staking.entries_of(self, owner)

    def stake(
        self,
        wallet: Wallet,
        amount: int,
        *,
        signer: str,
        consent: bytes = b"",
        reward_address: str | None = None,
        commission_bps: int = 500,
    ) -> list[SentTransaction]:
        """Open the wallet's pool if it has none yet, then add `amount` to its self-bond; see `staking.stake_calls`.

        Raises:
            InvalidInput: the commission is above the highest allowed, the self-bond stays below the minimum, or the
                consent is not the signer's.
            InsufficientBalance: the wallet holds less than `amount`.
        """
        with network_errors():
            calls = staking.stake_calls(
                self, wallet.address, amount,
                signer=signer, consent=consent, reward_address=reward_address, commission_bps=commission_bps,
            )  # fmt: skip
            return list(wallet.send_all(calls))

    def delegate(self, wallet: Wallet, operator: str, amount: int) -> list[SentTransaction]:
        """Delegate `amount` to an operator's pool.

        Raises:
            InvalidInput: the address is no operator, or its pool is closed to others.
            InsufficientBalance: the wallet holds less than `amount`.
        """
        with network_errors():
            return list(wallet.send_all(staking.delegate_calls(self, wallet.address, operator, amount)))

    def undelegate(self, wallet: Wallet, operator: str, amount: int | None = None) -> list[SentTransaction]:
        """Start leaving a pool with `amount`, or with everything if None. `withdraw` takes the tokens out later.

        Raises:
            InvalidInput: the address is no operator, or the wallet owns less than `amount` of its pool.
        """
        with network_errors():
            return list(wallet.send_all(staking.undelegate_calls(self, wallet.address, operator, amount)))

    def redelegate(self, wallet: Wallet, source: str, target: str, amount: int | None = None) -> list[SentTransaction]:
        """Move `amount`, or everything if None, from one pool to another; see `staking.redelegate_calls`.

        Raises:
            InvalidInput: an address is no operator, the target is closed to others, or the wallet owns less.
        """
        with network_errors():
            return list(wallet.send_all(staking.redelegate_calls(self, wallet.address, source, target, amount)))

    def cancel(self, wallet: Wallet, operator: str, index: int) -> list[SentTransaction]:
        """Delegate one of the wallet's entries to the pool that it left.

        Raises:
            InvalidInput: the entry is unknown or moved to another pool, or the pool is closed to others.
        """
        with network_errors():
            return list(wallet.send_all(staking.cancel_calls(self, wallet.address, operator, index)))

    def withdraw(self, wallet: Wallet, operator: str | None = None, index: int | None = None) -> list[SentTransaction]:
        """Withdraw a finished entry, all of a pool, or (None) all of them and whatever the contracts owe the wallet.

        Raises:
            NothingToDo: there is nothing to withdraw.
            InvalidInput: the entry is unknown or not over yet.
        """
        with network_errors():
            return list(wallet.send_all(staking.withdraw_calls(self, wallet.address, operator, index)))

    def claim(self, wallet: Wallet, operator: str, task_id: int | None = None) -> list[SentTransaction]:
        """Pay an operator's pool what it earned in one ended task, or in all (None). Any wallet may do it.

        Raises:
            UnknownTask: there is no task of this id.
            InvalidInput: the task is still running.
            IncompleteEvents: the endpoint did not return the task's whole history.
        """
        with network_errors():
            return list(wallet.send_all(claims.claim_calls(self, operator, task_id)))

    def post_task(self, wallet: Wallet, store: Store, spec: TaskSpec, params: TaskParams) -> PostedTask:
        """Pin the spec in `store`, then create the task, paying its bounty and bond; see `posting.task_params`.

        Raises:
            InsufficientBalance: the wallet holds less than bounty and bond.
        """
        with network_errors():
            return posting.post_task(self, wallet, store, spec, params)


def connect(
    rpc_urls: str | Sequence[str], deployment: Path | str, *, timeout_s: float = 10.0, quorum: int = 2
) -> Network:
    """Connect to a network.

    Args:
        rpc_urls: JSON-RPC endpoints, best first; the others are used when it fails.
        deployment: folder of the deployment's records, ``deployments/<chain id>``.
        timeout_s: time limit for one request over all endpoints, seconds.
        quorum: endpoints that must agree on reads that decide payments; at most as many as there are.

    Raises:
        InvalidInput: the folder has no valid records.
        NetworkError: no endpoint responds, or all serve another chain.
    """
    try:
        records = Deployment.load(deployment)
    except ChainError as error:
        raise InvalidInput(str(error)) from None
    try:
        rpc = Rpc(rpc_urls, records.chain_id, timeout_s, quorum=quorum)
        rpc.check()
    except ChainError as error:
        raise NetworkError(str(error)) from None
    return Network(rpc, records)
