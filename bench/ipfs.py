"""Measures the embedded block store against Kubo: adds and reads 1 GiB, and adds 10,000 small adapters, in turns.

Kubo runs in its fastest form: the faster of its command line without a daemon and its RPC, with the unixfs-v1-2025
profile, which gives the same CIDs, with its defaults of no fsync and no hashing on read, and its output discarded.
Covey's adds are durable on return, and every block it reads is hashed. Each ratio is Kubo's time over Covey's, so that
Covey is faster above 1. It is the median over the rounds; within a round, both are measured one after the other, and
the order alternates between rounds.

`cat_ratio` is against Kubo with its defaults; `cat_read_ratio` is against Kubo with a process that reads its output, as
Covey's caller does; `cat_verified_ratio` is against Kubo with hashing (Datastore.HashOnRead). `cat_bound` is the
`cat_ratio` if reading cost nothing but sha256 on all cores: an upper bound for any program with the library's sha256.
On a busy machine, wall times depend on the other load; the ratios that end in `_cpu_ratio` compare CPU time, system
calls included, with Kubo's command line. `sha256_fraction` is the time to hash the file on one core over the time to
add it. Nothing is deleted before the end, because ext4 does not reuse inodes at once and file creation would slow down.

    python bench/ipfs.py [--rounds 3] [--mib 1024] [--adapters 10000]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "node")]
# A dependency installs a package named `tests`; the imports below must find this repository's.
sys.modules["tests"] = types.ModuleType("tests")
sys.modules["tests"].__path__ = [str(ROOT / "tests")]

from tests.support.go_programs import NotBuilt  # noqa: E402
from tests.support.kubo.daemon import KUBO, Kubo  # noqa: E402

from covey.ipfs import BlockStore, Cid  # noqa: E402

MIB = 1 << 20
ADAPTER_BYTES = 20_000


def write_big(path: Path, mib: int) -> None:
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


def write_adapters(folder: Path, count: int) -> None:
    """Write flat directories, each with its own weights and manifest and the same configuration."""
    for number in range(count):
        adapter = folder / f"{number:05d}"
        adapter.mkdir(parents=True)
        (adapter / "adapter_model.safetensors").write_bytes(random.randbytes(ADAPTER_BYTES))
        (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}\n')
        (adapter / "manifest.json").write_text(json.dumps({"task": 1, "entry": number}) + "\n")


def cpu_seconds() -> float:
    """CPU time of this process and its finished children, seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def timed(action: Callable[[], object]) -> float:
    """Wall time of ``action``, seconds, after earlier writes have reached the disk."""
    os.sync()
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def sha256_seconds(mib: int, threads: int) -> float:
    """Seconds to hash ``mib`` MiB in memory with ``threads`` threads."""
    block = os.urandom(MIB)

    def share() -> None:
        for _ in range(mib // threads):
            hashlib.sha256(block).digest()

    with ThreadPoolExecutor(threads) as pool:
        return timed(lambda: [done.result() for done in [pool.submit(share) for _ in range(threads)]])


class KuboSide:
    """A fresh Kubo node, used by its command line, or by its RPC while its daemon runs."""

    def __init__(self, folder: Path, *, hash_on_read: bool = False) -> None:
        self.node = Kubo(folder)
        self._command = [KUBO.find()]
        self._environment = {**os.environ, "IPFS_PATH": str(folder)}
        if hash_on_read:
            self.node.run("config", "--json", "Datastore.HashOnRead", "true")

    def run(self, *arguments: str) -> None:
        """Run the command line and discard its output."""
        subprocess.run([*self._command, *arguments], env=self._environment, stdout=subprocess.DEVNULL, check=True)

    def add(self, path: Path) -> None:
        self.run("add", "--quieter", "--recursive", str(path))

    def cat(self, cid: Cid) -> None:
        self.run("cat", str(cid))

    def cat_read(self, cid: Cid) -> None:
        """Cat into a pipe that this process reads to the end."""
        with subprocess.Popen(
            [*self._command, "cat", str(cid)], env=self._environment, stdout=subprocess.PIPE, pipesize=MIB, bufsize=0
        ) as process:
            while process.stdout is not None and process.stdout.read(MIB):
                pass
        if process.returncode:
            raise RuntimeError(f"ipfs cat exited with code {process.returncode}")

    def cat_rpc(self, cid: Cid) -> None:
        """Cat through the daemon's RPC."""
        host, port = self.node.rpc.split("/")[2], self.node.rpc.split("/")[4]
        with urllib3.PoolManager() as http:
            response = http.request("POST", f"http://{host}:{port}/api/v0/cat?arg={cid}", preload_content=False)
            while response.read(MIB):
                pass


class Round:
    """One measurement of every variant of each operation, each variant in its own store."""

    def __init__(self, folder: Path, big: Path, adapters: Path, *, backwards: bool) -> None:
        self.seconds: dict[str, dict[str, float]] = {}
        self.cpu: dict[str, dict[str, float]] = {}
        self._backwards = backwards
        folder.mkdir()
        store = BlockStore(folder / "covey")
        plain, hashing = KuboSide(folder / "cli"), KuboSide(folder / "hashing", hash_on_read=True)
        daemon = KuboSide(folder / "rpc")
        cids: list[Cid] = []
        self._measure(
            "add",
            {
                "kubo": lambda: plain.add(big),
                "kubo rpc": lambda: daemon.add(big),
                "covey": lambda: cids.append(store.add_directory({"big": big})),
            },
            daemon,
        )
        hashing.add(big)
        (file,) = store.list_directory(cids[0])

        def cat() -> None:
            for _ in store.cat(cids[0], "big"):
                pass

        self._measure(
            "cat",
            {
                "kubo": lambda: plain.cat(file.cid),
                "kubo read": lambda: plain.cat_read(file.cid),
                "kubo rpc": lambda: daemon.cat_rpc(file.cid),
                "kubo hashing": lambda: hashing.cat(file.cid),
                "covey": cat,
            },
            daemon,
        )
        folders = sorted(adapters.iterdir())
        self._measure(
            "small_add",
            {
                "kubo": lambda: plain.add(adapters),
                "kubo rpc": lambda: daemon.add(adapters),
                "covey": lambda: store.add_directories(folders),
            },
            daemon,
        )

    def _measure(self, operation: str, ways: dict[str, Callable[[], object]], daemon: KuboSide) -> None:
        taken: dict[str, float] = {}
        cpu: dict[str, float] = {}
        for way in sorted(ways, reverse=self._backwards):
            with daemon.node if way == "kubo rpc" else contextlib.nullcontext():
                before = cpu_seconds()
                taken[way] = timed(ways[way])
                cpu[way] = cpu_seconds() - before
        self.seconds[operation], self.cpu[operation] = taken, cpu

    def ratio(self, operation: str, *ways: str) -> float:
        """Ratio of the fastest of ``ways`` to Covey."""
        taken = self.seconds[operation]
        return min(taken[way] for way in ways) / taken["covey"]


def run(folder: Path, rounds: int, mib: int, count: int) -> None:
    """Measure every variant once per round, and report."""
    big, adapters = folder / "big", folder / "adapters"
    write_big(big, mib)
    write_adapters(adapters, count)
    threads = os.cpu_count() or 1
    done: list[Round] = []
    hashing: list[tuple[float, float]] = []
    for number in range(rounds):
        hashing.append((sha256_seconds(mib, 1), sha256_seconds(mib, threads)))
        done.append(Round(folder / str(number), big, adapters, backwards=number % 2 == 1))
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    report(done, hashing, mib, count)


def report(done: list[Round], hashing: list[tuple[float, float]], mib: int, count: int) -> None:
    """Print the table of medians and, as the last line, the ratios in JSON."""
    ways = ("kubo", "kubo read", "kubo rpc", "kubo hashing", "covey")
    print(f"{'median seconds':22}" + "".join(f"{way:>14}" for way in ways))
    for operation, title in (("add", f"add {mib} MiB"), ("cat", f"cat {mib} MiB"), ("small_add", f"add {count} small")):
        found = [[one.seconds[operation][way] for one in done if way in one.seconds[operation]] for way in ways]
        cells = [f"{statistics.median(cell):14.2f}" if cell else f"{'-':>14}" for cell in found]
        print(f"{title:22}" + "".join(cells))
    print(f"{f'sha256 of {mib} MiB':22}" + f"{statistics.median(single for single, _ in hashing):70.2f}")
    best = ("kubo", "kubo rpc")
    ratios = {f"{operation}_ratio": [one.ratio(operation, *best) for one in done] for operation in done[0].seconds}
    for operation in done[0].cpu:
        ratios[f"{operation}_cpu_ratio"] = [one.cpu[operation]["kubo"] / one.cpu[operation]["covey"] for one in done]
    ratios["cat_read_ratio"] = [one.ratio("cat", "kubo read", "kubo rpc") for one in done]
    ratios["cat_verified_ratio"] = [one.ratio("cat", "kubo hashing") for one in done]
    ratios["cat_bound"] = [
        min(one.seconds["cat"][way] for way in best) / most for one, (_, most) in zip(done, hashing, strict=True)
    ]
    ratios["sha256_fraction"] = [
        single / one.seconds["add"]["covey"] for one, (single, _) in zip(done, hashing, strict=True)
    ]
    for name, values in ratios.items():
        print(f"{name:22}" + "".join(f"{value:8.2f}" for value in values))
    print(json.dumps({name: round(statistics.median(values), 3) for name, values in ratios.items()}))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file")
    parser.add_argument("--adapters", type=int, default=10_000, help="number of small directories")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache", help="a folder on the disk to measure")
    options = parser.parse_args()
    try:
        KUBO.find()
    except NotBuilt as missing:
        print(f"Kubo is not available: {missing}", file=sys.stderr)
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as folder:
        run(Path(folder), options.rounds, options.mib, options.adapters)
    return 0


if __name__ == "__main__":
    sys.exit(main())
