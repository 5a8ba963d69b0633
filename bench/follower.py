"""Measures events per second into SQLite: our follower and journal against web3.py, over the same logs.

An anvil serves the logs: all events of our contracts in equal shares, with random values and the addresses of 500
operators, 200 events per block, emitted by a small program at the contracts' addresses. Both sides read the same block
ranges. Each range takes one eth_getLogs, one block for its hash, and one transaction with events and cursor into a
table of the same schema and settings (WAL, synchronous=FULL). The web3 side follows web3's documentation: `get_logs`,
then `process_log` of the event of topic 0, arguments as JSON. Both tables must hold the same rows in the end. We run
before and after web3; our figure is the mean of both runs.

Peak memory is that of a separate process which follows n and 4n events into an empty journal.

    python bench/follower.py [--events 100000]

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak
from eth_typing import BlockNumber
from web3 import Web3

from covey.chain import artifacts
from covey.chain.abi.layout import canonical_type
from covey.chain.abi.reverts import signature
from covey.chain.deployment import ContractRecord, Deployment
from covey.chain.events.decoder import followed
from covey.chain.events.follower import Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.http import HttpEndpoint
from covey.daemon.storage.journal import Journal
from covey.devnet.anvil import find_anvil, free_port

EVENTS_A_BLOCK = 200
DISTINCT = 4_000
OPERATORS = 500
SENDER = "0x" + "5e" * 20


def assemble(source: str) -> str:
    """Assemble EVM code; ``@name`` pushes the offset of the label ``name:``."""
    opcodes = {"ADD": 1, "GT": 0x11, "ISZERO": 0x15, "EQ": 0x14, "SHL": 0x1B, "SHR": 0x1C, "CALLDATASIZE": 0x36}
    opcodes |= {"CALLDATACOPY": 0x37, "MLOAD": 0x51, "JUMP": 0x56, "JUMPI": 0x57, "PUSH0": 0x5F, "STOP": 0, "POP": 0x50}
    opcodes |= {f"DUP{i}": 0x7F + i for i in range(1, 17)} | {f"LOG{i}": 0xA0 + i for i in range(5)}
    code, places, gaps = bytearray(), {}, []
    for word in source.split():
        if word.endswith(":"):
            places[word[:-1]] = len(code)
            code.append(0x5B)
        elif word.startswith("@"):
            gaps.append((len(code) + 1, word[1:]))
            code += b"\x61\0\0"
        elif word.isdecimal():
            code += bytes([0x60, int(word)])
        else:
            code.append(opcodes[word])
    for place, name in gaps:
        code[place : place + 2] = places[name].to_bytes(2, "big")
    return "0x" + code.hex()


def emitter() -> str:
    """Code that emits the logs in its calldata; as: number of topics, length, four topics, data padded to words."""
    head = "CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY PUSH0 loop: DUP1 CALLDATASIZE GT ISZERO @end JUMPI DUP1 MLOAD "
    choice = "".join(f"DUP1 {n} EQ @log{n} JUMPI " for n in range(1, 5)) + "@end JUMP "
    logs = ""
    for n in range(1, 5):
        topics = "".join(f"DUP{1 + i} {64 + 32 * (n - 1 - i)} ADD MLOAD " for i in range(n))
        logs += f"log{n}: POP {topics} DUP{n + 1} 32 ADD MLOAD DUP{n + 2} 192 ADD LOG{n} @next JUMP "
    following = "next: DUP1 32 ADD MLOAD 31 ADD 5 SHR 5 SHL ADD 192 ADD @loop JUMP end: STOP"
    return assemble(head + choice + logs + following)


def value_of(component: dict[str, Any], rng: random.Random) -> Any:
    kind = component["type"]
    if kind.endswith("[]"):
        return [value_of(component | {"type": kind[:-2]}, rng) for _ in range(rng.randint(1, 16))]
    if kind == "tuple":
        return tuple(value_of(inner, rng) for inner in component["components"])
    if kind == "address":
        return "0x" + keccak(rng.randrange(OPERATORS).to_bytes(4, "big"))[:20].hex()
    if kind == "bool":
        return rng.random() < 0.5
    if kind.startswith("bytes") and kind != "bytes":
        return rng.randbytes(int(kind[5:]))
    if kind.startswith("uint"):
        return rng.getrandbits(int(kind[4:]))
    if kind.startswith("int"):
        return rng.getrandbits(int(kind[3:]) - 1)
    return rng.randbytes(40) if kind == "bytes" else "text"


def record(item: dict[str, Any], rng: random.Random) -> bytes:
    """One log in the calldata format of `emitter`."""
    indexed = [c for c in item["inputs"] if c["indexed"]]
    plain = [c for c in item["inputs"] if not c["indexed"]]
    topics = [keccak(signature(item).encode())] + [encode([c["type"]], [value_of(c, rng)]) for c in indexed]
    data = encode([canonical_type(c) for c in plain], [value_of(c, rng) for c in plain])
    words = [len(topics).to_bytes(32, "big"), len(data).to_bytes(32, "big"), *topics, bytes(32) * (4 - len(topics))]
    return b"".join(words) + data + bytes(-len(data) % 32)


def fake_deployment(chain_id: int) -> Deployment:
    records = {}
    for i, name in enumerate(artifacts.CONTRACTS, 1):
        address = Web3.to_checksum_address("0x" + f"c0{i:02x}" * 10)
        records[name] = ContractRecord(name, address, [], "0x", 1, "0x", "0x")
    return Deployment(chain_id, records)


class Recording(HttpEndpoint):
    """Records the requested ranges, and serves block ``final`` as the finalised one."""

    def __init__(self, url: str, final: int) -> None:
        super().__init__(url)
        self.final = final
        self.ranges: list[tuple[int, int]] = []

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        if params[:1] == ["finalized"]:
            params = [hex(self.final), *params[1:]]
        if method == "eth_getLogs":
            self.ranges.append((int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)))
        return super().request(method, params, timeout)


def fill(rpc: Rpc, deployment: Deployment, events: int) -> int:
    """Emit the events, 200 per block. Returns the last block with events."""

    def ask(method: str, *params: Any) -> Any:
        return rpc.request(method, list(params), 120)

    rng = random.Random(5)
    kinds = [(name, item) for name in followed() for item in artifacts.load(name).abi if item["type"] == "event"]
    for name in followed():
        ask("anvil_setCode", deployment.address(name), emitter())
    pool: dict[str, list[bytes]] = {name: [] for name, _ in kinds}
    for i in range(DISTINCT):
        name, item = kinds[i % len(kinds)]
        pool[name].append(record(item, rng))
    names = [name for name, _ in kinds]
    ask("anvil_autoImpersonateAccount", True)
    ask("anvil_setBalance", SENDER, hex(10**30))
    ask("evm_setAutomine", False)
    left = events
    while left > 0:
        block: dict[str, list[bytes]] = {}
        for _ in range(min(left, EVENTS_A_BLOCK)):
            name = rng.choice(names)
            block.setdefault(name, []).append(rng.choice(pool[name]))
        for name, logs in block.items():
            fields = {"from": SENDER, "to": deployment.address(name), "data": "0x" + b"".join(logs).hex()}
            ask("eth_sendTransaction", fields | {"gas": hex(100_000_000)})
        ask("evm_mine")
        left -= EVENTS_A_BLOCK
    return rpc.block_number()


def follow(url: str, final: int, path: Path) -> tuple[float, list[tuple[int, int]]]:
    """Our side. Returns its seconds and the ranges it read."""
    endpoint = Recording(url, final)
    rpc = Rpc([], endpoints=[endpoint], timeout=300)
    journal = Journal(path, None)
    deployment = fake_deployment(rpc.chain_id)
    started = time.perf_counter()
    follower = Follower(rpc, deployment, journal, Finality())
    while not follower.poll().caught_up:
        pass
    seconds = time.perf_counter() - started
    journal.close()
    return seconds, endpoint.ranges


def web3_side(url: str, ranges: list[tuple[int, int]], path: Path) -> float:
    """The web3.py side, as its documentation shows. Returns its seconds."""
    web3 = Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": 300}))
    journal = Journal(path, None)
    deployment = fake_deployment(web3.eth.chain_id)
    started = time.perf_counter()
    readers: dict[tuple[str, bytes], tuple[str, Any]] = {}
    for name in followed():
        abi: Any = artifacts.load(name).abi
        contract = web3.eth.contract(address=Web3.to_checksum_address(deployment.address(name)), abi=abi)
        for item in artifacts.load(name).abi:
            if item["type"] == "event":
                topic = keccak(signature(item).encode())
                readers[deployment.address(name), topic] = name, contract.events[item["name"]]()
    addresses = [Web3.to_checksum_address(deployment.address(name)) for name in followed()]
    for first, last in ranges:
        block = web3.eth.get_block(last)
        rows = []
        for log in web3.eth.get_logs(
            {"address": addresses, "fromBlock": BlockNumber(first), "toBlock": BlockNumber(last)}
        ):
            name, event = readers[log["address"], bytes(log["topics"][0])]
            read = event.process_log(log)
            place = (read["blockNumber"], read["logIndex"], read["blockHash"].to_0x_hex())
            rows.append((*place, read["transactionHash"].to_0x_hex(), name, read["event"], Web3.to_json(read["args"])))
        with journal.transaction() as db:
            db.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (last, block["hash"].to_0x_hex()))
    seconds = time.perf_counter() - started
    journal.close()
    return seconds


def same_rows(first: Path, second: Path) -> int:
    """Number of events in both journals. Exits if any differs."""
    journals = [Journal(path, None) for path in (first, second)]
    count = 0
    for ours, theirs in zip(*(journal.events() for journal in journals), strict=True):
        if ours != theirs:
            sys.exit(f"error: the two sides read different events:\n{ours}\n{theirs}")
        count += 1
    if journals[0].checkpoints()[0] != journals[1].checkpoints()[0]:
        sys.exit("error: the two sides stopped at different blocks")
    return count


def peak_of(url: str, final: int) -> float:
    """Peak resident memory of a process that follows up to block `final`, MB."""
    command = [sys.executable, __file__, "--follow", url, "--to", str(final)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--follow", help=argparse.SUPPRESS)
    parser.add_argument("--to", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.follow:
            follow(options.follow, options.to, Path(folder) / "journal.sqlite")
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            return
        measure(options.events, Path(folder))


def measure(events: int, folder: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [str(find_anvil()), "--port", str(port), "--silent", "--accounts", "1", "--disable-block-gas-limit"]
    anvil = subprocess.Popen([*command, "--hardfork", "prague", "--no-request-size-limit"])
    try:
        rpc = Rpc(url, timeout=60)
        while True:
            try:
                deployment = fake_deployment(rpc.chain_id)
                break
            except Exception:
                time.sleep(0.1)
        last = fill(rpc, deployment, events)
        first_s, ranges = follow(url, last, folder / "first.sqlite")
        theirs_s = web3_side(url, ranges, folder / "web3.sqlite")
        second_s, _ = follow(url, last, folder / "second.sqlite")
        count = same_rows(folder / "first.sqlite", folder / "web3.sqlite")
        quarter = last - 3 * (events // 4) // EVENTS_A_BLOCK
        small, large = peak_of(url, quarter), peak_of(url, last)
    finally:
        anvil.terminate()
        anvil.wait()
    ours_s = (first_s + second_s) / 2
    print(f"{count} events in {len(ranges)} ranges; both sides stored the same rows")
    print(f"{'':24}{'seconds':>9}{'events/s':>11}")
    for name, seconds in (("covey, first run", first_s), ("web3.py", theirs_s), ("covey, second run", second_s)):
        print(f"{name:24}{seconds:9.2f}{count / seconds:11,.0f}")
    print(f"peak memory: {small:.0f} MB for {events // 4} events, {large:.0f} MB for {events}")
    summary = {
        "events": count,
        "events_per_s": round(count / ours_s),
        "events_per_s_web3": round(count / theirs_s),
        "ratio": round(theirs_s / ours_s, 1),
        "peak_mb_n": round(small, 1),
        "peak_mb_4n": round(large, 1),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
