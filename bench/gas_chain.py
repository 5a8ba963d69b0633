"""The chain of bench/gas.py: anvil with the Prague rules, our contracts and the plain ones, and what calls cost."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3
from web3 import Web3

from covey.chain import artifacts
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.header import header_rlp
from covey.chain.signing.keystore import LocalSigner
from covey.devnet.anvil import find_anvil, free_port

ROOT = Path(__file__).resolve().parents[1]
DAY = 86_400
CVY = 10**18
GAS = 59_000_000
BATCH = 400


@dataclass(frozen=True)
class Cost:
    """Gas of one transaction: what its receipt says, and its execution alone (without intrinsic gas and refunds)."""

    total: int
    execution: int


@dataclass(frozen=True)
class Account:
    address: str


class Contract:
    """A deployed contract, by its ABI."""

    def __init__(self, chain: BenchChain, address: str, abi: list[dict[str, Any]]) -> None:
        self.chain, self.address = chain, Web3.to_checksum_address(address)
        self._web3 = Web3().eth.contract(address=self.address, abi=abi)

    def data(self, function: str, *arguments: Any) -> str:
        return str(self._web3.encode_abi(function, args=list(arguments)))

    def call(self, function: str, *arguments: Any) -> Any:
        """What a view returns: one value, or a list of them."""
        answer = self.chain.rpc("eth_call", {"to": self.address, "data": self.data(function, *arguments)}, "latest")
        (described,) = [
            one for one in self._web3.abi if one.get("name") == function and len(one["inputs"]) == len(arguments)
        ]
        types = [kind_of(output) for output in described["outputs"]]
        values = Web3().codec.decode(types, bytes.fromhex(answer[2:]))
        return values[0] if len(values) == 1 else list(values)

    def call_slot_losses(self, index: int) -> int:
        """Eight losses of the plain scoring, packed as ours are."""
        word = 0
        for lane in range(8):
            word |= int(self.call("lossOf", 8 * index + lane)) << (32 * lane)
        return word


def kind_of(parameter: dict[str, Any]) -> str:
    """The ABI type of a parameter, structs as tuples."""
    if not parameter["type"].startswith("tuple"):
        return str(parameter["type"])
    inner = ",".join(kind_of(component) for component in parameter["components"])
    return f"({inner}){parameter['type'][5:]}"


class BenchChain:
    """anvil with everything deployed; accounts need no keys there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(600.0), retries=False)
        self.ours: dict[str, Contract] = {}

    def __enter__(self) -> BenchChain:
        command = [str(find_anvil()), "--port", str(self.port), "--hardfork", "prague", "--auto-impersonate"]
        command += ["--gas-limit", "2000000000", "--block-base-fee-per-gas", "0", "--accounts", "1", "--quiet"]
        self.process = subprocess.Popen(command)
        try:
            self._wait()
            self._set_up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)

    def _wait(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                self.chain_id = int(self.rpc("eth_chainId"), 16)
                return
            except urllib3.exceptions.HTTPError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def _set_up(self) -> None:
        signer = LocalSigner.from_key((1).to_bytes(32, "big"))
        self.deployer, self.keeper = Account(signer.address), self.account("keeper")
        self.rpc("anvil_setBalance", signer.address, hex(10**24))
        config = DeployConfig.devnet()
        staking = replace(config.staking, max_task_life=DAY, unbonding_period=2 * DAY, drip_period=7 * DAY)
        url = f"http://127.0.0.1:{self.port}"
        deployment = deploy(Rpc(url, self.chain_id), signer, replace(config, staking=staking))
        self.ours = {
            name: Contract(self, deployment.address(name), artifacts.load(name).abi) for name in artifacts.CONTRACTS
        }
        token = self.ours["CoveyToken"]
        for name in ("Staking", "Rewards"):
            self.send(self.deployer, token, "approve", self.ours[name].address, 2**256 - 1)
        self.plain = compile_plain()

    # ------------------------------------------------------------------ the chain

    def rpc(self, method: str, *parameters: Any) -> Any:
        return self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)})

    def _post(self, body: dict[str, Any]) -> Any:
        answer = self._request(body)
        if "error" in answer:
            raise SystemExit(f"error: {body['method']}: {answer['error']}")
        return answer["result"]

    def _request(self, body: Any) -> Any:
        headers = {"content-type": "application/json"}
        reply = self._http.request("POST", f"http://127.0.0.1:{self.port}", body=json.dumps(body), headers=headers)
        return json.loads(reply.data)

    def account(self, name: str) -> Account:
        """An account with gas money."""
        address = Web3.to_checksum_address(Web3.keccak(text=name)[-20:])
        self.rpc("anvil_setBalance", address, hex(10**24))
        return Account(address)

    def warp(self, timestamp: int) -> None:
        """Mine a block at `timestamp`, unless it is past."""
        if int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) < timestamp:
            self.rpc("evm_setNextBlockTimestamp", timestamp)
            self.rpc("evm_mine")

    def later(self, seconds: int) -> None:
        self.warp(int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) + seconds)

    def mine_past(self, number: int) -> None:
        while int(self.rpc("eth_blockNumber"), 16) <= number:
            self.rpc("evm_mine")

    def header(self, number: int) -> bytes:
        return header_rlp(self.rpc("eth_getBlockByNumber", hex(number), False))

    def round_of(self, task: int) -> dict[str, Any]:
        """The struct that Scoring.roundOf returns, by name."""
        scoring = self.ours["Scoring"]
        (described,) = [one for one in artifacts.load("Scoring").abi if one.get("name") == "roundOf"]
        names = [component["name"] for component in described["outputs"][0]["components"]]
        return dict(zip(names, scoring.call("roundOf", task), strict=True))

    # ------------------------------------------------------------------ transactions

    def _request_of(
        self, sender: Account, contract: Contract, function: str, arguments: Sequence[Any]
    ) -> dict[str, str]:
        data = contract.data(function, *arguments)
        return {"from": sender.address, "to": contract.address, "data": data, "gas": hex(GAS), "gasPrice": hex(10**9)}

    def estimate(self, sender: Account, contract: Contract, function: str, *arguments: Any) -> int:
        """Gas that a transaction would take, as the chain estimates it; more than any block's if it fails."""
        transaction = self._request_of(sender, contract, function, arguments) | {"gas": hex(2 * 10**9)}
        answer = self._request({"jsonrpc": "2.0", "id": 1, "method": "eth_estimateGas", "params": [transaction]})
        return int(answer["result"], 16) if "result" in answer else 10**12

    def send(self, sender: Account, contract: Contract, function: str, *arguments: Any, trace: bool = True) -> Cost:
        """One transaction in a block of its own, which must succeed."""
        asked = self._request_of(sender, contract, function, arguments)
        execution = self._execution(asked) if trace else None
        transaction = self.rpc("eth_sendTransaction", asked)
        receipt = self._receipt(transaction)
        if receipt["status"] != "0x1":
            raise SystemExit(f"error: {function} failed: {self.rpc('trace_transaction', transaction)[:1]}")
        total = int(receipt["gasUsed"], 16)
        return Cost(total, total - self._intrinsic(transaction) if execution is None else execution)

    def _receipt(self, transaction: str) -> dict[str, Any]:
        deadline = time.monotonic() + 300
        while (receipt := self.rpc("eth_getTransactionReceipt", transaction)) is None:
            if time.monotonic() > deadline:
                raise SystemExit(f"error: transaction {transaction} was not mined in five minutes")
            time.sleep(0.01)
        return dict(receipt)

    def _execution(self, asked: dict[str, str]) -> int:
        """Gas from the first step of the call's trace to its last; what is given back at the end is not taken off."""
        options = {"disableStorage": True, "disableMemory": True, "disableStack": True}
        steps = self.rpc("debug_traceCall", asked, "latest", options)["structLogs"]
        return int(steps[0]["gas"]) - int(steps[-1]["gas"]) + int(steps[-1]["gasCost"])

    def _intrinsic(self, transaction: str) -> int:
        data = bytes.fromhex(self.rpc("eth_getTransactionByHash", transaction)["input"][2:])
        return 21_000 + sum(4 if byte == 0 else 16 for byte in data)

    def send_many(self, calls: Sequence[tuple[Account, Contract, str, tuple[Any, ...]]]) -> None:
        """Many transactions to a block, for what is not measured."""
        self.rpc("evm_setAutomine", False)
        for start in range(0, len(calls), BATCH):
            requests = self._requests(calls[start : start + BATCH])
            answers = self._request(requests)
            if wrong := [answer["error"] for answer in answers if "error" in answer]:
                raise SystemExit(f"error: {calls[start][2]}: {wrong[0]}")
            hashes = [answer["result"] for answer in answers]
            self.rpc("evm_mine")
            self._receipt(hashes[-1])
            receipts = self._request(
                [
                    {"jsonrpc": "2.0", "id": i, "method": "eth_getTransactionReceipt", "params": [h]}
                    for i, h in enumerate(hashes)
                ]
            )
            if any(answer["result"]["status"] != "0x1" for answer in receipts):
                raise SystemExit(f"error: a {calls[start][2]} failed")
        self.rpc("evm_setAutomine", True)

    def _requests(self, calls: Sequence[tuple[Account, Contract, str, tuple[Any, ...]]]) -> list[dict[str, Any]]:
        """A batch of transactions; those of one sender are numbered, for the node takes them in any order."""
        senders = [sender.address for sender, *_ in calls]
        often = {address for address, count in Counter(senders).items() if count > 1}
        nonces = {address: int(self.rpc("eth_getTransactionCount", address, "latest"), 16) for address in often}
        requests = []
        for place, (sender, contract, function, arguments) in enumerate(calls):
            transaction = self._request_of(sender, contract, function, arguments) | {"gas": hex(1_000_000)}
            if sender.address in nonces:
                transaction["nonce"] = hex(nonces[sender.address])
                nonces[sender.address] += 1
            requests.append({"jsonrpc": "2.0", "id": place, "method": "eth_sendTransaction", "params": [transaction]})
        return requests

    def deploy(self, name: str, *arguments: Any) -> Contract:
        """One of the plain contracts."""
        compiled = self.plain[name]
        made = Web3().eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
        data = made.constructor(*arguments).data_in_transaction
        transaction = {"from": self.deployer.address, "data": data, "gas": hex(GAS), "gasPrice": hex(10**9)}
        receipt = self._receipt(self.rpc("eth_sendTransaction", transaction))
        if receipt["status"] != "0x1":
            raise SystemExit(f"error: {name} could not be deployed")
        return Contract(self, receipt["contractAddress"], compiled["abi"])

    def operators(self, name: str, count: int, stake: int) -> list[Account]:
        """Operators with a stake of their own, each its own signer."""
        made = [self.account(f"{name} {index}") for index in range(count)]
        token, staking = self.ours["CoveyToken"], self.ours["Staking"]
        self.send_many([(self.deployer, token, "transfer", (one.address, stake)) for one in made])
        self.send_many([(one, token, "approve", (staking.address, stake)) for one in made])
        self.send_many([(one, staking, "registerOperator", (one.address, one.address, 1_000)) for one in made])
        self.send_many([(one, staking, "delegate", (one.address, stake, 0)) for one in made])
        return made


def compile_plain() -> dict[str, dict[str, Any]]:
    """The contracts of bench/solidity, compiled as ours are."""
    solc = next((ROOT / ".toolchain/solcx").glob("solc-v*"), None)
    if solc is None:
        raise SystemExit("error: no compiler: run `make setup`")
    asked = {
        "language": "Solidity",
        "sources": {
            f"bench/solidity/{n}.sol": {"urls": [f"bench/solidity/{n}.sol"]} for n in ("PlainScoring", "PlainStaking")
        },
        "settings": {
            "viaIR": True,
            "optimizer": {"enabled": True, "runs": 100_000},
            "evmVersion": "prague",
            "remappings": ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"],
            "outputSelection": {
                "bench/*": {"*": ["abi", "evm.bytecode.object"]},
                "*": {"Plain*": ["abi", "evm.bytecode.object"]},
            },
        },
    }
    names = ("PlainScoring", "PlainStaking")
    asked["settings"]["outputSelection"] = {
        f"bench/solidity/{n}.sol": {n: ["abi", "evm.bytecode.object"]} for n in names
    }
    done = subprocess.run(
        [str(solc), "--standard-json", "--base-path", str(ROOT)],
        input=json.dumps(asked), capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    for error in answer.get("errors", []):
        if error["severity"] == "error":
            raise SystemExit(f"error: {error['formattedMessage']}")
    return {
        n: {
            "abi": answer["contracts"][f"bench/solidity/{n}.sol"][n]["abi"],
            "bytecode": answer["contracts"][f"bench/solidity/{n}.sol"][n]["evm"]["bytecode"]["object"],
        }
        for n in names
    }
