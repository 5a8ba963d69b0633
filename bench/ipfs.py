"""How fast is the embedded block store beside Kubo? Adds and reads 1 GiB, and 10,000 small adapters, in turns.

Kubo is given its best: the faster of its command line without a daemon and its RPC, with the unixfs-v1-2025 profile
that makes the same CIDs, without an fsync and without hashing what it reads (its defaults). Covey's adds are durable
when they return, and every block it reads is hashed; `cat_ratio` is against Kubo as it comes, and the table shows Kubo
hashing (Datastore.HashOnRead) too. Ratios are Kubo's time over Covey's, of medians over the rounds: above 1, Covey is
faster. Nothing is deleted before the end: ext4 does not reuse an inode at once, and creating files would slow down.

    python bench/ipfs.py [--rounds 3] [--mib 1024] [--adapters 10000]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import urllib3

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "node"), str(ROOT / "tests")]

from kubo.daemon import Kubo, KuboMissing, find_kubo  # noqa: E402

from covey.ipfs import BlockStore, Cid  # noqa: E402

MIB = 1 << 20
ADAPTER_BYTES = 20_000


def write_big(path: Path, mib: int) -> None:
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


def write_adapters(folder: Path, count: int) -> None:
    """Flat directories of a weight file, the same configuration and a manifest of its own each."""
    for number in range(count):
        adapter = folder / f"{number:05d}"
        adapter.mkdir(parents=True)
        (adapter / "adapter_model.safetensors").write_bytes(random.randbytes(ADAPTER_BYTES))
        (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}\n')
        (adapter / "manifest.json").write_text(json.dumps({"task": 1, "entry": number}) + "\n")


def timed(action: Callable[[], object]) -> float:
    """Seconds that ``action`` takes, with nothing of what went before still on its way to the disk."""
    os.sync()
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def sha256_seconds(mib: int) -> float:
    block = os.urandom(MIB)
    return timed(lambda: [hashlib.sha256(block).digest() for _ in range(mib)])


class KuboSide:
    """Measures a fresh node: by its command line, or with its daemon running and, for reading, over RPC."""

    def __init__(self, folder: Path, *, hash_on_read: bool = False) -> None:
        self._node = Kubo(folder)
        self._environment = {**os.environ, "IPFS_PATH": str(folder)}
        if hash_on_read:
            self._node.run("config", "--json", "Datastore.HashOnRead", "true")

    def command(self, *arguments: str) -> None:
        """Run the command line and throw its output away."""
        subprocess.run([find_kubo(), *arguments], env=self._environment, stdout=subprocess.DEVNULL, check=True)

    def measure(self, big: Path, adapters: Path, cid: Cid) -> dict[str, float]:
        """Seconds of each operation without a daemon."""
        return {
            "add": timed(lambda: self.command("add", "--quieter", str(big))),
            "cat": timed(lambda: self.command("cat", str(cid))),
            "small_add": timed(lambda: self.command("add", "--quieter", "--recursive", str(adapters))),
        }

    def measure_rpc(self, big: Path, adapters: Path, cid: Cid) -> dict[str, float]:
        """Seconds of each operation with a daemon."""
        with self._node as node:
            host, port = node.rpc.split("/")[2], node.rpc.split("/")[4]

            def cat() -> None:
                with urllib3.PoolManager() as http:
                    url = f"http://{host}:{port}/api/v0/cat?arg={cid}"
                    response = http.request("POST", url, preload_content=False)
                    while response.read(MIB):
                        pass

            return {**self.measure(big, adapters, cid), "cat": timed(cat)}


def measure_covey(folder: Path, big: Path, adapters: Path) -> tuple[dict[str, float], Cid]:
    store = BlockStore(folder)
    cids: list[Cid] = []
    seconds = {"add": timed(lambda: cids.append(store.add_directory({"big": big})))}
    (file,) = store.list_directory(cids[0])

    def cat() -> None:
        for _ in store.cat(cids[0], "big"):
            pass

    seconds["cat"] = timed(cat)
    folders = sorted(adapters.iterdir())
    seconds["small_add"] = timed(lambda: store.add_directories(folders))
    return seconds, file.cid


def run(folder: Path, rounds: int, mib: int, count: int) -> None:
    """Measure every way once a round, in turns, and report."""
    big, adapters = folder / "big", folder / "adapters"
    write_big(big, mib)
    write_adapters(adapters, count)
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in ("covey", "kubo", "kubo rpc", "kubo hashing")}
    hashing = []
    for number in range(rounds):
        hashing.append(sha256_seconds(mib))
        seconds, cid = measure_covey(folder / f"store{number}", big, adapters)
        taken["covey"].append(seconds)
        taken["kubo"].append(KuboSide(folder / f"cli{number}").measure(big, adapters, cid))
        taken["kubo rpc"].append(KuboSide(folder / f"rpc{number}").measure_rpc(big, adapters, cid))
        checking = KuboSide(folder / f"cli{number}-hash", hash_on_read=True)
        checking.command("add", "--quieter", str(big))
        taken["kubo hashing"].append({"cat": timed(partial(checking.command, "cat", str(cid)))})
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    report(taken, statistics.median(hashing), mib, count)


def report(taken: dict[str, list[dict[str, float]]], hashing: float, mib: int, count: int) -> None:
    """Print the table and, as the last line, the ratios in JSON."""
    middle = {way: {op: statistics.median(r[op] for r in rounds) for op in rounds[0]} for way, rounds in taken.items()}
    covey = middle["covey"]
    best = {op: min(middle["kubo"][op], middle["kubo rpc"][op]) for op in covey}
    print(f"{'':24}{'Kubo':>10}{'+ daemon':>10}{'+ hashing':>10}{'Covey':>10}{'ratio':>8}")
    for op, title in (("add", f"add {mib} MiB"), ("cat", f"cat {mib} MiB"), ("small_add", f"add {count} adapters")):
        cells = [middle[way].get(op) for way in ("kubo", "kubo rpc", "kubo hashing", "covey")]
        print(
            f"{title:24}"
            + "".join(f"{c:8.2f} s" if c else f"{'-':>10}" for c in cells)
            + f"{best[op] / covey[op]:8.2f}"
        )
    print(f"{f'sha256 of {mib} MiB':24}{'':30}{hashing:8.2f} s")
    ratios = {f"{op}_ratio": round(best[op] / covey[op], 3) for op in best}
    verified = round(middle["kubo hashing"]["cat"] / covey["cat"], 3)
    fraction = round(hashing / covey["add"], 3)
    print(json.dumps({**ratios, "cat_verified_ratio": verified, "sha256_fraction": fraction}))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file")
    parser.add_argument("--adapters", type=int, default=10_000, help="number of small directories")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache", help="a folder on the disk to measure")
    options = parser.parse_args()
    try:
        find_kubo()
    except KuboMissing as missing:
        print(f"There is nothing to compare with: {missing}", file=sys.stderr)
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as folder:
        run(Path(folder), options.rounds, options.mib, options.adapters)
    return 0


if __name__ == "__main__":
    sys.exit(main())
