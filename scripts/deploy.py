"""Deploy Covey to the network that ape is connected to, and write the deployment records.

    ape run deploy --network ethereum:sepolia:node --account NAME --governance 0x… --guardian 0x… --treasury 0x…

The contracts are those that the package ships, the same bytes that `make contracts` compiles. Commit what it writes to
deployments/<chainId>/ for a public network: a record a contract, and their sources in one compiler-input.json, the
standard JSON input that Sourcify and Etherscan verify with and that `covey audit bytecode` compiles again.
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
    """ape's connection as an endpoint of the pool."""

    def __init__(self, provider: ProviderAPI) -> None:
        self.url = str(getattr(provider, "uri", provider.name))
        self._web3: Any = getattr(provider, "web3")  # noqa: B009 - every Ethereum provider has it, the base class not

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """One call; ape's own time limit holds."""
        answer = self._web3.provider.make_request(method, params)
        return result_of(answer, method, answer.get("id"))


class ApeSigner:
    """An ape account as a signer: a local keyfile, a hardware wallet, whatever ape has."""

    def __init__(self, account: AccountAPI, provider: ProviderAPI) -> None:
        self._account = account
        self._ecosystem = provider.network.ecosystem

    @property
    def address(self) -> str:
        """The account's address."""
        return str(self._account.address)

    def sign_transaction(self, fields: dict[str, Any]) -> SignedTransaction:
        """Sign, asking the person where ape asks."""
        transaction = self._account.sign_transaction(self._ecosystem.create_transaction(**fields))
        if transaction is None:
            raise click.Abort
        raw = bytes(transaction.serialize_transaction())
        return SignedTransaction(raw, "0x" + keccak(raw).hex())


@click.command(cls=ConnectedProviderCommand)
@account_option()
@click.option("--governance", help="Who governs from now on; needed on a public network. Else: the deploying account.")
@click.option("--governance-delay", type=click.IntRange(0), help="Delay of what governance does, seconds.")
@click.option("--guardian", help="Who may pause entry at once; needed on a public network.")
@click.option("--treasury", help="Who is credited forfeits; without it who governs.")
@click.option("--receiver", help="Who gets the tokens; without it who governs.")
@click.option("--windows", type=click.Choice(["public", "devnet"]), help="Default: devnet on chain 31337, else public.")
@click.option("--out", type=click.Path(path_type=Path), default=DEPLOYMENTS, show_default=True, help="For the records.")
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
    click.echo(f"records in {deployment.save(out, compiler_input(deployment))}")


def compiler_input(deployment: Deployment) -> bytes:
    """The standard JSON input of all contracts out of this checkout, if it is what they were compiled from."""
    records = list(deployment.contracts.values())
    try:
        whole = from_checkout(ROOT, records)
        changed = [record.name for record in records if input_hash(part_of(whole, record)) != record.input_hash]
    except AuditError as error:
        raise click.ClickException(str(error)) from None
    if changed:
        deployed = f"deployed, but the sources of {', '.join(changed)} are not those of the shipped bytecode"
        raise click.ClickException(f"{deployed}: run `make contracts`")
    return canonical(whole)
