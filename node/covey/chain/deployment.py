"""Deployment records: one file ``deployments/<chainId>/<Contract>.json`` per contract."""

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
"""File beside the records with the sources and settings of all contracts, as standard JSON."""


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
    """0x-prefixed keccak256 of the deployed code, including immutables."""
    compiler: str = ""
    """Full version of the compiler."""
    source_name: str = ""
    """Source unit of the contract in the compiler input."""
    sources: tuple[str, ...] = ()
    """Names of the sources it was compiled from."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The contracts of one deployment on one chain."""

    chain_id: int
    contracts: dict[str, ContractRecord]

    def address(self, name: str) -> str:
        """Address of a contract, by the name of its artifact.

        Raises:
            WrongDeployment: the contract is not part of this deployment.
        """
        try:
            return self.contracts[name].address
        except KeyError:
            raise WrongDeployment(f"the deployment on chain {self.chain_id} has no {name}") from None

    @property
    def start_block(self) -> int:
        """The first block that can contain an event of these contracts."""
        return min(record.block for record in self.contracts.values())

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses by contract name."""
        return {name: record.address for name, record in self.contracts.items()}

    @classmethod
    def load(cls, path: Path | str) -> Deployment:
        """Read the records in ``deployments/<chainId>``.

        Raises:
            FatalError: the folder does not exist, a record is missing or malformed, or records name several chains.
        """
        folder = Path(path)
        files = sorted(file for file in folder.glob("*.json") if file.name != COMPILER_INPUT)
        if not files:
            raise FatalError(f"no deployment records in {folder}: name a folder deployments/<chainId>")
        contracts: dict[str, ContractRecord] = {}
        chain_ids = set()
        for file in files:
            try:
                fields = json.loads(file.read_text(encoding="utf-8-sig"))
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
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                raise FatalError(f"{file}: not a deployment record ({error})") from None
        if len(chain_ids) != 1:
            raise FatalError(f"{folder}: records of several chains {sorted(chain_ids)}")
        missing = sorted(set(artifacts.CONTRACTS) - set(contracts))
        if missing:
            raise FatalError(f"{folder}: no record of {', '.join(missing)}")
        return cls(chain_ids.pop(), contracts)

    def save(self, root: Path | str, compiler_input: bytes | None = None) -> Path:
        """Write the records to ``root/<chainId>/``, replacing older ones, and return that folder.

        Args:
            compiler_input: the sources of all contracts as standard JSON, stored beside the records.
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
        """Check that the chain has the recorded code. A mismatch counts only if a quorum of endpoints confirms it.

        Raises:
            WrongDeployment: another chain, or other code at an address.
            Unreachable, Disagreement: the code cannot be verified now.
        """
        if rpc.chain_id != self.chain_id:
            raise WrongDeployment(f"records of chain {self.chain_id}, endpoint of chain {rpc.chain_id}")
        for record in self.contracts.values():
            code = rpc.code(record.address)
            if _hash(code) != record.runtime_hash:
                code = quorum_read(rpc, partial(_code_at, record.address))
            if not code:
                raise WrongDeployment(f"no contract at {record.address}, the recorded address of {record.name}")
            if _hash(code) != record.runtime_hash:
                raise WrongDeployment(f"the code at {record.address} is not the recorded {record.name}")


def _code_at(address: str, rpc: Rpc) -> bytes:
    return rpc.code(address)


def _hash(code: bytes) -> str:
    return "0x" + keccak(code).hex()


def _write(file: Path, content: bytes) -> None:
    """Replace a file atomically."""
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(file)
