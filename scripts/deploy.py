"""Deploy Covey to the network that ape is connected to, and write its deployment records.

    ape run deploy --network ethereum:sepolia:node --account NAME --governance 0x… --guardian 0x… --treasury 0x…

It deploys the bytecode that ships in the package, which `make contracts` compiles. For a public network, commit
deployments/<chainId>/: a record per contract, and compiler-input.json with their sources, the standard JSON input that
Sourcify and Etherscan accept and `covey audit bytecode` compiles. deployments/README.md describes the format.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from ape.api import AccountAPI, ProviderAPI
from ape.cli import ConnectedProviderCommand, account_option
from eth_hash.auto import keccak

from covey.audit.record import AuditError
from covey.audit.sources import canonical, from_checkout, input_hash, part_of
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.deployment import Deployment
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import result_of
from covey.chain.signing.keystore import SignedTransaction

ROOT = Path(__file__).resolve().parent.parent
DEPLOYMENTS = ROOT / "deployments"
DEVNET_CHAIN = 31337


class ApeEndpoint:
    """ape's connection as an RPC endpoint."""

    def __init__(self, provider: ProviderAPI) -> None:
        self.url = str(getattr(provider, "uri", provider.name))
        self._web3: Any = getattr(provider, "web3")  # noqa: B009 - Ethereum providers have it, their base class does not

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """Send one request; ape's own time limit applies."""
        answer = self._web3.provider.make_request(method, params)
        return result_of(answer, method, answer.get("id"))


class ApeSigner:
    """An ape account as a signer: a local keyfile, a hardware wallet, or any other account type of ape."""

    def __init__(self, account: AccountAPI, provider: ProviderAPI) -> None:
        self._account = account
        self._ecosystem = provider.network.ecosystem

    @property
    def address(self) -> str:
        """The account's address."""
        return str(self._account.address)

    def sign_transaction(self, fields: dict[str, Any]) -> SignedTransaction:
        """Sign; ape may ask the user to confirm."""
        transaction = self._account.sign_transaction(self._ecosystem.create_transaction(**fields))
        if transaction is None:
            raise click.Abort
        raw = bytes(transaction.serialize_transaction())
        return SignedTransaction(raw, "0x" + keccak(raw).hex())


@click.command(cls=ConnectedProviderCommand)
@account_option()
@click.option("--governance", help="Governance address; required on a public network. Default: the deploying account.")
@click.option("--governance-delay", type=click.IntRange(0), help="Delay of governance operations, seconds.")
@click.option("--guardian", help="Guardian address, which may pause entry at once; required on a public network.")
@click.option("--treasury", help="Treasury address, credited with forfeits. Default: governance.")
@click.option("--receiver", help="Receiver of the tokens. Default: governance.")
@click.option("--windows", type=click.Choice(["public", "devnet"]), help="Default: devnet on chain 31337, else public.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=DEPLOYMENTS, show_default=True, help="Folder for the records."
)
def cli(
    account: AccountAPI,
    provider: ProviderAPI,
    governance: str | None,
    governance_delay: int | None,
    guardian: str | None,
    treasury: str | None,
    receiver: str | None,
    windows: str | None,
    out: Path,
) -> None:
    """Deploy Covey and write deployments/<chainId>/."""
    rpc = Rpc([], endpoints=[ApeEndpoint(provider)], timeout=60)
    try:
        local = (windows or ("devnet" if rpc.chain_id == DEVNET_CHAIN else "public")) == "devnet"
        config = DeployConfig.devnet() if local else DeployConfig.public()
        config = replace(config, governance=governance, guardian=guardian, treasury=treasury, receiver=receiver)
        if governance_delay is not None:
            config = replace(config, governance_delay=governance_delay)
        deployment = deploy(rpc, ApeSigner(account, provider), config, progress=click.echo)
    except (ChainError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    folder = deployment.save(out)  # before anything can fail: the addresses must not be lost
    deployment.save(out, compiler_input(deployment))
    click.echo(f"records in {folder}")


def compiler_input(deployment: Deployment) -> bytes:
    """The standard JSON input of all contracts, from this checkout's sources.

    Raises:
        ClickException: a source is missing, or the sources are not those of the deployed bytecode.
    """
    records = list(deployment.contracts.values())
    try:
        whole = from_checkout(ROOT, records)
        changed = [record.name for record in records if input_hash(part_of(whole, record)) != record.input_hash]
    except AuditError as error:
        raise click.ClickException(str(error)) from None
    if changed:
        problem = f"deployed, but the sources of {', '.join(changed)} differ from those of the shipped bytecode"
        raise click.ClickException(f"{problem}: check out the revision of the package")
    return canonical(whole)
