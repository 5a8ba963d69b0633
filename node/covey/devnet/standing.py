"""`covey devnet`: a network that stands until Ctrl-C, can be continued later, and obeys commands meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.signing.keystore import load_keystore
from covey.chain.tx.oneshot import send_all
from covey.chain.units import CVY
from covey.config.amounts import SUGGESTED_STAKE
from covey.devnet.anvil import CHAIN_ID, AnvilRpc
from covey.devnet.errors import BadInput, DevnetError
from covey.devnet.local import (
    GAS_FUNDS,
    SUPPLY_SHARE,
    Account,
    LocalNetwork,
    interrupt_on_signals,
    prepare_folder,
)

MARKER = ".covey-devnet"
STATE, FACTS, KEYS = "chain.json", "devnet.json", "keys"
OWNER_FUNDS = 10_000 * CVY
SIGNER_FUNDS = 1_000 * CVY
_NOT_RUNNING = "start it with `covey devnet`, or name its folder with --out"


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    `block_time` is the seconds between blocks, `accounts` the number of funded accounts, `operators` the number of
    registered operators; `resume` continues the chain of the folder's last run.
    """

    out: Path
    port: int
    block_time: float
    accounts: int
    operators: int = 0
    resume: bool = False


def run_devnet(options: Options, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Run a network with funded accounts until Ctrl-C.

    Keys of an earlier run in the same folder are used again, so that nodes keep their signers.

    Args:
        on_ready: called once with rpc_url, chain_id, deployment, password_file, resumed, accounts (name, address,
            keystore, and the balances coin and cvy in wei) and operators (name, owner, signer, both keystores, stake).

    Raises:
        BadInput: the folder cannot be used, or holds no chain to continue.
        DevnetError: the chain does not start, or fails.
    """
    folder = options.out.expanduser().absolute()
    if options.resume:
        if not (folder / STATE).is_file():
            raise BadInput(f"{folder} holds no chain to continue: start without --resume")
    else:
        folder = prepare_folder(folder, MARKER, keep=(KEYS,))
    network = LocalNetwork(folder, port=options.port, block_time=options.block_time, state=folder / STATE)
    with interrupt_on_signals(), network:
        facts = _set_up(network, options)
        _write_facts(folder / FACTS, facts)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                on_ready(facts)
                while True:
                    network.anvil.wait(1.0)
        finally:
            (folder / FACTS).unlink(missing_ok=True)


def _set_up(network: LocalNetwork, options: Options) -> dict[str, Any]:
    accounts = [network.account(f"account-{number}") for number in range(1, options.accounts + 1)]
    pairs = [
        (network.account(f"operator-{number}-owner"), network.account(f"operator-{number}-signer"))
        for number in range(1, options.operators + 1)
    ]
    token, staking = network.chain.contracts.token, network.chain.contracts.staking
    wanted = {account.address: SUPPLY_SHARE for account in accounts}
    for owner, signer in pairs:
        if not staking.pool_of(owner.address).registered:
            wanted |= {owner.address: OWNER_FUNDS, signer.address: SIGNER_FUNDS}
    if network.resumed:  # only accounts that the last run did not have
        wanted = {address: amount for address, amount in wanted.items() if not network.rpc.balance(address)}
        for address in wanted:
            network.anvil.set_balance(address, GAS_FUNDS)
    network.fund(wanted)
    for owner, signer in pairs:
        if not staking.pool_of(owner.address).registered:
            network.register(owner, signer, SUGGESTED_STAKE)

    def facts_of(account: Account) -> dict[str, Any]:
        coin, cvy = network.rpc.balance(account.address), token.balance_of(account.address)
        return {
            "name": account.name, "address": account.address, "keystore": str(account.keystore),
            "coin": coin, "cvy": cvy,
        }  # fmt: skip

    return {
        "rpc_url": network.anvil.url,
        "chain_id": CHAIN_ID,
        "deployment": str(network.deployment_folder),
        "password_file": str(network.password_file),
        "resumed": network.resumed,
        "accounts": [facts_of(account) for account in accounts],
        "operators": [
            {
                "owner": facts_of(owner),
                "signer": facts_of(signer),
                "stake": staking.pool_of(owner.address).active_tokens,
            }
            for owner, signer in pairs
        ],
    }


def _write_facts(file: Path, facts: dict[str, Any]) -> None:
    known = {name: facts[name] for name in ("rpc_url", "deployment", "password_file")}
    file.write_text(json.dumps({**known, "pid": os.getpid()}) + "\n", encoding="utf-8")


class RunningDevnet:
    """A network that `run_devnet` keeps running, seen from another process.

    Raises:
        BadInput: no network runs with this folder.
    """

    def __init__(self, out: Path) -> None:
        folder = out.expanduser().absolute()
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise BadInput(f"no local network runs with the folder {folder}: {_NOT_RUNNING}") from None
        self._folder, self._facts = folder, facts
        self._anvil = AnvilRpc(facts["rpc_url"])
        try:
            self._anvil.time()
        except (DevnetError, urllib3.exceptions.HTTPError):
            raise BadInput(
                f"the local network of {folder} does not answer at {facts['rpc_url']}: {_NOT_RUNNING}"
            ) from None

    def skip(self, seconds: int) -> int:
        """Let chain time pass at once. Returns the new chain time, unix seconds."""
        self._anvil.rpc("evm_increaseTime", hex(seconds))
        self._anvil.rpc("anvil_mine", hex(1))
        return self._anvil.time()

    def fund(self, address: str, coin: int, cvy: int) -> tuple[int, int]:
        """Add coin and CVY, both in wei, to an account. Returns its balances. Raises DevnetError."""
        try:
            rpc = Rpc(self._facts["rpc_url"], CHAIN_ID)
            contracts = Contracts(rpc, Deployment.load(self._facts["deployment"]))
            password = Path(self._facts["password_file"]).read_text(encoding="utf-8").strip()
            deployer = load_keystore(self._folder / KEYS / "deployer.json", password)
            self._anvil.set_balance(address, rpc.balance(address) + coin)
            if cvy:
                send_all(rpc, deployer, [contracts.token.transfer(address, cvy)])
            return rpc.balance(address), contracts.token.balance_of(address)
        except (ChainError, OSError) as error:
            raise DevnetError(f"{address} could not be funded: {error}") from None
