"""The chain of bench/gas.py: anvil with the Prague rules, our contracts and the plain ones, and the gas of calls."""

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
from covey.chain.abi.layout import canonical_type
from covey.chain.contracts.consent import Consent
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.header import header_rlp
from covey.chain.signing.consent import sign_consent
from covey.chain.signing.keystore import LocalSigner
from covey.devnet.anvil import find_anvil, free_port

ROOT = Path(__file__).resolve().parents[1]
DAY = 86_400
CVY = 10**18
GAS = 59_000_000
BATCH = 400


@dataclass(frozen=True)
class Cost:
    """Gas of one transaction: by its receipt, and of its execution alone, without intrinsic gas and refunds."""

    total: int
    execution: int


@dataclass(frozen=True)
class Account:
    address: str


class Contract:
    """A deployed contract with its ABI."""

    def __init__(self, chain: BenchChain, address: str, abi: list[dict[str, Any]]) -> None:
        self.chain, self.address, self.abi = chain, Web3.to_checksum_address(address), abi
        untyped: Any = abi
        self._web3 = Web3().eth.contract(address=self.address, abi=untyped)

    def data(self, function: str, *arguments: Any) -> str:
        return str(self._web3.encode_abi(function, args=list(arguments)))

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a view. Returns its value, or a list of its values."""
        result = self.chain.rpc("eth_call", {"to": self.address, "data": self.data(function, *arguments)}, "latest")
        [item] = [i for i in self.abi if i.get("name") == function and len(i["inputs"]) == len(arguments)]
        types = [canonical_type(output) for output in item["outputs"]]
        values = Web3().codec.decode(types, bytes.fromhex(result[2:]))
        return values[0] if len(values) == 1 else list(values)

    def call_slot_losses(self, index: int) -> int:
        """Eight losses of the plain scoring, packed like ours."""
        word = 0
        for lane in range(8):
            word |= int(self.call("lossOf", 8 * index + lane)) << (32 * lane)
        return word


class BenchChain:
    """An anvil with all contracts deployed; its accounts need no keys."""

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
        response = self._request(body)
        if "error" in response:
            raise SystemExit(f"error: {body['method']}: {response['error']}")
        return response["result"]

    def _request(self, body: Any) -> Any:
        headers = {"content-type": "application/json"}
        reply = self._http.request("POST", f"http://127.0.0.1:{self.port}", body=json.dumps(body), headers=headers)
        return json.loads(reply.data)

    def account(self, name: str) -> Account:
        """A funded account."""
        address = key_of(name).address
        self.rpc("anvil_setBalance", address, hex(10**24))
        return Account(address)

    def warp(self, timestamp: int) -> None:
        """Mine a block at `timestamp`, unless chain time is past it."""
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
        """The struct returned by Scoring.roundOf, by field name."""
        scoring = self.ours["Scoring"]
        [item] = [i for i in artifacts.load("Scoring").abi if i.get("name") == "roundOf"]
        names = [component["name"] for component in item["outputs"][0]["components"]]
        return dict(zip(names, scoring.call("roundOf", task), strict=True))

    # ------------------------------------------------------------------ transactions

    def _request_of(
        self, sender: Account, contract: Contract, function: str, arguments: Sequence[Any]
    ) -> dict[str, str]:
        data = contract.data(function, *arguments)
        return {"from": sender.address, "to": contract.address, "data": data, "gas": hex(GAS), "gasPrice": hex(10**9)}

    def estimate(self, sender: Account, contract: Contract, function: str, *arguments: Any) -> int:
        """The chain's gas estimate of a transaction; more than any block's gas if it would fail."""
        transaction = self._request_of(sender, contract, function, arguments) | {"gas": hex(2 * 10**9)}
        response = self._request({"jsonrpc": "2.0", "id": 1, "method": "eth_estimateGas", "params": [transaction]})
        return int(response["result"], 16) if "result" in response else 10**12

    def send(self, sender: Account, contract: Contract, function: str, *arguments: Any, trace: bool = True) -> Cost:
        """Send one transaction in its own block. Exits if it fails."""
        request = self._request_of(sender, contract, function, arguments)
        execution = self._execution(request) if trace else None
        transaction = self.rpc("eth_sendTransaction", request)
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

    def _execution(self, request: dict[str, str]) -> int:
        """Gas between the first and the last step of the call's trace, refunds not subtracted."""
        options = {"disableStorage": True, "disableMemory": True, "disableStack": True}
        steps = self.rpc("debug_traceCall", request, "latest", options)["structLogs"]
        return int(steps[0]["gas"]) - int(steps[-1]["gas"]) + int(steps[-1]["gasCost"])

    def _intrinsic(self, transaction: str) -> int:
        data = bytes.fromhex(self.rpc("eth_getTransactionByHash", transaction)["input"][2:])
        return 21_000 + sum(4 if byte == 0 else 16 for byte in data)

    def send_many(self, calls: Sequence[tuple[Account, Contract, str, tuple[Any, ...]]]) -> None:
        """Send transactions, many per block, without measuring them."""
        self.rpc("evm_setAutomine", False)
        for start in range(0, len(calls), BATCH):
            requests = self._requests(calls[start : start + BATCH])
            responses = self._request(requests)
            if wrong := [response["error"] for response in responses if "error" in response]:
                raise SystemExit(f"error: {calls[start][2]}: {wrong[0]}")
            hashes = [response["result"] for response in responses]
            self.rpc("evm_mine")
            self._receipt(hashes[-1])
            receipts = self._request(
                [
                    {"jsonrpc": "2.0", "id": i, "method": "eth_getTransactionReceipt", "params": [h]}
                    for i, h in enumerate(hashes)
                ]
            )
            if any(response["result"]["status"] != "0x1" for response in receipts):
                raise SystemExit(f"error: a {calls[start][2]} failed")
        self.rpc("evm_setAutomine", True)

    def _requests(self, calls: Sequence[tuple[Account, Contract, str, tuple[Any, ...]]]) -> list[dict[str, Any]]:
        """A batch of transactions. Those of one sender have nonces, since the node may order them otherwise."""
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
        """Deploy one of the plain contracts."""
        compiled = self.plain[name]
        factory = Web3().eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
        data = factory.constructor(*arguments).data_in_transaction
        transaction = {"from": self.deployer.address, "data": data, "gas": hex(GAS), "gasPrice": hex(10**9)}
        receipt = self._receipt(self.rpc("eth_sendTransaction", transaction))
        if receipt["status"] != "0x1":
            raise SystemExit(f"error: {name} could not be deployed")
        return Contract(self, receipt["contractAddress"], compiled["abi"])

    def operators(self, name: str, count: int, stake: int) -> list[Account]:
        """Operators with self-bonds, each its own signer."""
        accounts = [self.account(f"{name} {index}") for index in range(count)]
        token, staking = self.ours["CoveyToken"], self.ours["Staking"]
        self.send_many([(self.deployer, token, "transfer", (owner.address, stake)) for owner in accounts])
        self.send_many([(owner, token, "approve", (staking.address, stake)) for owner in accounts])
        consents = [self._consent(staking, key_of(f"{name} {index}")) for index in range(count)]
        self.send_many(
            [
                (owner, staking, "registerOperator", (owner.address, owner.address, 1_000, consent))
                for owner, consent in zip(accounts, consents, strict=True)
            ]
        )
        self.send_many([(a, staking, "delegate", (a.address, stake, 0)) for a in accounts])
        return accounts

    def _consent(self, staking: Contract, key: LocalSigner) -> bytes:
        """The consent of a key to act for the operator of its own address."""
        return sign_consent(key, Consent(self.chain_id, staking.address, key.address, 0))


def key_of(name: str) -> LocalSigner:
    """The key of a named account."""
    return LocalSigner.from_key(bytes(Web3.keccak(text=name)))


def compile_plain() -> dict[str, dict[str, Any]]:
    """Compile the contracts of bench/solidity with the settings of ours."""
    solc = next((ROOT / ".toolchain/solcx").glob("solc-v*"), None)
    if solc is None:
        raise SystemExit("error: no compiler: run `make setup`")
    names = ("PlainScoring", "PlainStaking")
    files = {name: f"bench/solidity/{name}.sol" for name in names}
    compiler_input = {
        "language": "Solidity",
        "sources": {file: {"urls": [file]} for file in files.values()},
        "settings": {
            "viaIR": True,
            "optimizer": {"enabled": True, "runs": 100_000},
            "evmVersion": "prague",
            "remappings": ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"],
            "outputSelection": {file: {name: ["abi", "evm.bytecode.object"]} for name, file in files.items()},
        },
    }
    done = subprocess.run(
        [str(solc), "--standard-json", "--base-path", str(ROOT)],
        input=json.dumps(compiler_input), capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    output = json.loads(done.stdout)
    for error in output.get("errors", []):
        if error["severity"] == "error":
            raise SystemExit(f"error: {error['formattedMessage']}")
    compiled = {name: output["contracts"][file][name] for name, file in files.items()}
    return {name: {"abi": c["abi"], "bytecode": c["evm"]["bytecode"]["object"]} for name, c in compiled.items()}
