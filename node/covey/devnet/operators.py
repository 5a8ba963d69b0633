"""Operators of the demo: their keys, stake, ports, folders and node settings."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey.devnet import scenario
from covey.devnet.anvil import free_port
from covey.devnet.scenario import Behaviour, Participant

if TYPE_CHECKING:
    from covey.devnet.icd10 import Split
    from covey.devnet.local import Account, LocalNetwork
    from covey.devnet.nodes import Nodes
    from covey.devnet.workers import WorkerServer

DELEGATED = 3_000 * scenario.CVY
SIGNER_CVY = 200 * scenario.CVY


@dataclass(frozen=True, slots=True)
class Operator:
    """A participant, its accounts on chain and its node on this machine."""

    participant: Participant
    owner: Account
    signer: Account
    folder: Path
    records: Path
    gateway_port: int
    health_port: int

    @property
    def address(self) -> str:
        """The operator's address, that of its owner."""
        return self.owner.address

    @property
    def gateway(self) -> str:
        """URL of its node's gateway."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def log(self) -> Path:
        """Log of its node."""
        return self.folder / "node.log"

    def start(
        self, nodes: Nodes, network: LocalNetwork, workers: WorkerServer, base: str, peers: Sequence[str], seed: int
    ) -> int:
        """Write the node's settings beside its log, start the node, and return its process id."""
        settings = self._settings(network, workers, base, peers)
        text = json.dumps(settings, indent=2, default=str) + "\n"
        (self.folder / "settings.json").write_text(text, encoding="utf-8")
        who = self.participant
        node_seed = seed * 100 + who.index + (50 if who.behaviour == Behaviour.RANDOM_WEIGHTS else 0)
        return nodes.start(who.slug, settings, who.behaviour, node_seed, self.log)

    def _settings(
        self, network: LocalNetwork, workers: WorkerServer, base: str, peers: Sequence[str]
    ) -> dict[str, Any]:
        earmark = scenario.EARMARK if self.participant.honest else scenario.LAZY_EARMARK
        return {
            "roles": ["trainer" if self.participant.trainer else "validator"],
            "operator": self.address,
            "keystore": str(self.signer.keystore),
            "password_file": str(network.password_file),
            "rpc_urls": [network.anvil.url],
            "deployment": str(network.deployment_folder),
            "data_dir": str(self.folder),
            "training_records" if self.participant.trainer else "heldout_records": str(self.records),
            "bases": [base],
            "device": "cpu",  # the same figures on every machine
            "gateway_listen": f"127.0.0.1:{self.gateway_port}",
            "peers": [url for url in peers if url != self.gateway],
            "confirmations": 0,
            "poll_interval_seconds": 0.4,
            "stagger_seconds": 0.3,
            "executor": f"unix:{workers.socket}",
            "worker_threads": 1,
            "health_listen": f"127.0.0.1:{self.health_port}",
            # Few validators share all seats here, so each takes more than a node of a public network should.
            "policy": {"earmark": earmark, "max_seat_share_bps": 10_000, "max_fee": 5 * scenario.ENTRY_FEE},
        }

    def training(self) -> tuple[list[float], int]:
        """Loss per training step and tokens seen, from the node's journal; empty for a validator."""
        path = self.folder / "journal.sqlite"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as journal:
            rows = journal.execute("SELECT result FROM jobs WHERE result IS NOT NULL").fetchall()
        for (text,) in rows:
            result = json.loads(text)
            if "losses" in result:
                return [float(loss) for loss in result["losses"]], int(result["tokens_seen"])
        return [], 0


def set_up_operators(network: LocalNetwork, participants: Sequence[Participant], split: Split) -> list[Operator]:
    """Create each participant's keys, tokens, pool, self-bond and a delegation.

    A lazy validator uses the records of the first validator, which it never reads.
    """
    operators = []
    for participant in participants:
        files = split.hospitals if participant.trainer else split.validators
        folder = network.out / "nodes" / participant.slug
        folder.mkdir(parents=True, exist_ok=True)
        owner, signer = network.account(f"{participant.slug}-owner"), network.account(f"{participant.slug}-signer")
        records = files[participant.index]
        operators.append(Operator(participant, owner, signer, folder, records, free_port(), free_port()))
    delegator = network.account("delegator")
    amounts = {operator.address: scenario.STAKE for operator in operators}
    amounts |= {operator.signer.address: SIGNER_CVY for operator in operators if operator.participant.trainer}
    network.fund(amounts | {delegator.address: DELEGATED * len(operators)})
    for operator in operators:
        network.register(operator.owner, operator.signer, scenario.STAKE)
    contracts = network.chain.contracts
    calls = [contracts.token.approve(contracts.staking.address, DELEGATED * len(operators))]
    calls += [contracts.staking.delegate(operator.address, DELEGATED) for operator in operators]
    network.send(delegator.signer, calls)
    return operators
