"""Deployment records: ``deployments/<chainId>/<Contract>.json``, one file a contract."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_hash.auto import keccak

from covey.chain import artifacts
from covey.chain.errors import FatalError, WrongDeployment
from covey.chain.rpc.quorum import quorum_read

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc


COMPILER_INPUT = "compiler-input.json"
"""Beside the records: the sources and settings of all contracts, standard JSON."""


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
    compiler: str = ""
    """Full version of the compiler."""
    source_name: str = ""
    """Source unit of the contract in the compiler input."""
    sources: tuple[str, ...] = ()
    """Names of the sources that it was compiled from."""


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
        files = sorted(file for file in folder.glob("*.json") if file.name != COMPILER_INPUT)
        if not files:
            raise FatalError(f"no deployment records in {folder}: name a folder deployments/<chainId>")
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
                    compiler=fields["compilerVersion"],
                    source_name=fields["sourceName"],
                    sources=tuple(fields["sources"]),
                )
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise FatalError(f"{file}: not a deployment record ({error})") from None
        if len(chain_ids) != 1:
            raise FatalError(f"{folder}: records of several chains {sorted(chain_ids)}")
        missing = sorted(set(artifacts.CONTRACTS) - set(contracts))
        if missing:
            raise FatalError(f"{folder}: no record of {', '.join(missing)}")
        return cls(chain_ids.pop(), contracts)

    def save(self, root: Path | str, compiler_input: bytes | None = None) -> Path:
        """Write the records to ``root/<chainId>/`` and return that folder. Older records there are replaced.

        Args:
            compiler_input: the sources of all contracts as standard JSON, to be kept beside the records.
        """
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
                "compilerVersion": record.compiler,
                "sourceName": record.source_name,
                "sources": list(record.sources),
                "abi": artifacts.load(name).abi,
            }
            _write(folder / f"{name}.json", (json.dumps(fields, indent=2) + "\n").encode())
        if compiler_input is not None:
            _write(folder / COMPILER_INPUT, compiler_input)
        return folder

    def verify(self, rpc: Rpc) -> None:
        """Check that the chain holds the recorded code. That it does not is believed if a quorum of endpoints says so.

        Raises:
            WrongDeployment: another chain, or other code at an address.
            Unreachable, Disagreement: it cannot be told now.
        """
        if rpc.chain_id != self.chain_id:
            raise WrongDeployment(f"records of chain {self.chain_id}, endpoint of chain {rpc.chain_id}")
        for record in self.contracts.values():
            code = rpc.code(record.address)
            if _hash(code) != record.runtime_hash:
                code = quorum_read(rpc, partial(_code_at, record.address))
            if not code:
                raise WrongDeployment(f"no contract at {record.address}, where {record.name} was recorded")
            if _hash(code) != record.runtime_hash:
                raise WrongDeployment(f"the code at {record.address} is not the recorded {record.name}")


def _code_at(address: str, rpc: Rpc) -> bytes:
    return rpc.code(address)


def _hash(code: bytes) -> str:
    return "0x" + keccak(code).hex()


def _write(file: Path, content: bytes) -> None:
    """Replace a file whole."""
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(file)
