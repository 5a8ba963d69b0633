"""Deployment records: ``deployments/<chainId>/<Contract>.json``, one file a contract."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_hash.auto import keccak

from covey.chain import artifacts
from covey.chain.errors import Fatal, WrongDeployment

if TYPE_CHECKING:
    from covey.chain.rpc import Rpc


@dataclass(frozen=True, slots=True)
class ContractRecord:
    """One deployed contract."""

    name: str
    address: str
    constructor_args: list[Any]
    tx_hash: str
    block: int
    input_hash: str
    """0x-prefixed sha256 of the compiler input."""
    runtime_hash: str
    """0x-prefixed keccak256 of the deployed code, immutables filled in."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """All contracts of a chain that belong together."""

    chain_id: int
    contracts: dict[str, ContractRecord]

    def address(self, name: str) -> str:
        """Address of a contract by the name of its artifact.

        Raises:
            WrongDeployment: it is not part of this deployment.
        """
        try:
            return self.contracts[name].address
        except KeyError:
            raise WrongDeployment(f"the deployment on chain {self.chain_id} has no {name}") from None

    @property
    def start_block(self) -> int:
        """The first block that can hold an event of these contracts."""
        return min(record.block for record in self.contracts.values())

    @property
    def addresses(self) -> dict[str, str]:
        """Name to address."""
        return {name: record.address for name, record in self.contracts.items()}

    @classmethod
    def load(cls, path: Path | str) -> Deployment:
        """Read ``deployments/<chainId>``; the folder's name is the chain id.

        Raises:
            Fatal: no such folder, or a record that cannot be read.
        """
        folder = Path(path)
        files = sorted(folder.glob("*.json"))
        if not files:
            raise Fatal(f"no deployment records in {folder}: name a folder deployments/<chainId>")
        contracts: dict[str, ContractRecord] = {}
        chain_ids = set()
        for file in files:
            try:
                fields = json.loads(file.read_text(encoding="utf-8"))
                chain_ids.add(int(fields["chainId"]))
                contracts[file.stem] = ContractRecord(
                    name=fields["contractName"],
                    address=fields["address"],
                    constructor_args=fields["constructorArgs"],
                    tx_hash=fields["transactionHash"],
                    block=int(fields["blockNumber"]),
                    input_hash=fields["compilerInputHash"],
                    runtime_hash=fields["runtimeBytecodeHash"],
                )
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise Fatal(f"{file}: not a deployment record ({error})") from None
        if len(chain_ids) != 1:
            raise Fatal(f"{folder}: records of several chains {sorted(chain_ids)}")
        missing = sorted(set(artifacts.CONTRACTS) - set(contracts))
        if missing:
            raise Fatal(f"{folder}: no record of {', '.join(missing)}")
        return cls(chain_ids.pop(), contracts)

    def save(self, root: Path | str) -> Path:
        """Write the records to ``root/<chainId>/`` and return that folder. Older records there are replaced."""
        folder = Path(root) / str(self.chain_id)
        folder.mkdir(parents=True, exist_ok=True)
        for name, record in self.contracts.items():
            fields = {
                "contractName": record.name,
                "chainId": self.chain_id,
                "address": record.address,
                "constructorArgs": record.constructor_args,
                "transactionHash": record.tx_hash,
                "blockNumber": record.block,
                "compilerInputHash": record.input_hash,
                "runtimeBytecodeHash": record.runtime_hash,
                "abi": artifacts.load(name).abi,
            }
            temporary = folder / f".{name}.json.tmp"
            temporary.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
            temporary.replace(folder / f"{name}.json")
        return folder

    def verify(self, rpc: Rpc) -> None:
        """Check that the chain holds the recorded code.

        Raises:
            WrongDeployment: another chain, or other code at an address.
        """
        if rpc.chain_id != self.chain_id:
            raise WrongDeployment(f"records of chain {self.chain_id}, endpoint of chain {rpc.chain_id}")
        for record in self.contracts.values():
            code = rpc.code(record.address)
            if not code:
                raise WrongDeployment(f"no contract at {record.address}, where {record.name} was recorded")
            if "0x" + keccak(code).hex() != record.runtime_hash:
                raise WrongDeployment(f"the code at {record.address} is not the recorded {record.name}")
