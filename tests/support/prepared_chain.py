"""A chain's state with the contracts deployed and operators registered, made once and loaded by many anvils."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from covey.audit.chain import Chain
from covey.chain.deployment import Deployment
from covey.chain.rpc.client import Rpc
from covey.chain.signing.keystore import LocalSigner
from covey.devnet.anvil import CHAIN_ID, Anvil
from covey.devnet.local import Account, LocalNetwork, write_private

CVY = 10**18
OPERATORS = 12
"""Registered in advance, with 5,000 CVY of stake and 200 CVY for fees each."""


@dataclass(frozen=True, slots=True)
class PreparedChain:
    """The dumped state and the keys, in one folder."""

    folder: Path
    long_windows: bool

    @property
    def state(self) -> Path:
        """What anvil dumped, as JSON."""
        return self.folder / "state.json"

    @property
    def keys(self) -> Path:
        """A JSON object: the private keys of the deployer, and of each operator's owner and signer."""
        return self.folder / "prepared.json"


def prepare_chain(folder: Path, *, long_windows: bool = False) -> PreparedChain:
    """Deploy the contracts on a new anvil, register the operators and dump the state to ``folder``."""
    prepared = PreparedChain(folder, long_windows)
    operators = []
    with LocalNetwork(folder, long_windows=long_windows) as local:
        for number in range(OPERATORS):
            owner, signer = local.account(f"operator-{number}-owner"), local.account(f"operator-{number}")
            local.fund({owner.address: 5_000 * CVY, signer.address: 200 * CVY})
            local.register(owner, signer, 5_000 * CVY)
            operators.append([_as_json(owner), _as_json(signer)])
        dumped = bytes.fromhex(local.anvil.rpc("anvil_dumpState")[2:])
        prepared.state.write_bytes(gzip.decompress(dumped))
        facts = {
            "deployer": local.deployer.key.hex(),
            "deployment": str(local.deployment_folder),
            "password": local.password_file.read_text(encoding="utf-8").strip(),
            "operators": operators,
        }
    prepared.keys.write_text(json.dumps(facts), encoding="utf-8")
    return prepared


class PreparedNetwork(LocalNetwork):
    """A local network that starts from a `PreparedChain`. `operators` are (owner, signer) pairs that are still free."""

    def __init__(self, out: Path, prepared: PreparedChain) -> None:
        super().__init__(out, long_windows=prepared.long_windows)
        # Loaded at the start: a state that is loaded into a running chain can meet a block that is being mined.
        self.anvil = Anvil(out / "logs" / "anvil.log", initial=prepared.state)
        self._prepared = prepared
        self.operators: list[tuple[Account, Account]] = []

    def _set_up(self) -> None:
        facts = json.loads(self._prepared.keys.read_text(encoding="utf-8"))
        self.rpc = Rpc(self.anvil.url, CHAIN_ID)
        self.deployer = LocalSigner.from_key(facts["deployer"])
        self.deployment = Deployment.load(facts["deployment"])
        self.deployment_folder = self.deployment.save(self.out / "deployments")
        self.chain = Chain(self.rpc, self.deployment)
        self._password = facts["password"]
        write_private(self.password_file, self._password + "\n")
        self.operators = [(_account(owner), _account(signer)) for owner, signer in facts["operators"]]


def _as_json(account: Account) -> dict[str, str]:
    return {"name": account.name, "key": account.signer.key.hex(), "keystore": str(account.keystore)}


def _account(fields: dict[str, str]) -> Account:
    return Account(fields["name"], LocalSigner.from_key(fields["key"]), Path(fields["keystore"]))
