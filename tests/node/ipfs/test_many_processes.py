"""Several processes share an embedded store: none loses what another has pinned."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import covey
from covey.ipfs import BlockStore, StoreBusy

ROUNDS = 25

ADDER = """
import os, random, sys
from covey.ipfs import BlockStore, NotFound
store, name, rounds = BlockStore(sys.argv[1]), sys.argv[2], int(sys.argv[3])
random.seed(name)
shared = [bytes([n]) * 40_000 for n in range(4)]  # every process adds these repeatedly
added = {}
for number in range(rounds):
    files = {"own": os.urandom(1000), "shared": random.choice(shared), "both": random.choice(shared)}
    if number % 3 == 0:
        cid = store.add_directory(files, pin=False)
        try:
            store.pin(cid, name)
        except NotFound:  # another process collected it as garbage
            store.add_directory(files, name=name)
    else:
        cid = store.add_directory(files, name=name)
    added[cid] = files
    if number % 4 == 3:
        removed = random.choice(list(added))
        store.unpin(removed)
        del added[removed]
    if number % 5 == 4:
        store.collect(wait_s=120)
    for cid, files in added.items():
        for file, content in files.items():
            assert store.read(cid, file) == content, f"{name} lost {cid}"
print(" ".join(map(str, added)))
"""

COLLECTOR = """
import sys
from covey.ipfs import BlockStore
store = BlockStore(sys.argv[1])
freed = 0
print("ready", flush=True)
while not sys.stdin.closed and not store.root.joinpath("stop").exists():
    freed += store.collect(wait_s=120)
print(freed)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(covey.__file__).parents[1])}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    return out


def test_concurrent_processes_add_pin_and_collect(tmp_path: Path) -> None:
    root = tmp_path / "store"
    collector = start(COLLECTOR, root)
    assert collector.stdout is not None
    assert collector.stdout.readline() == "ready\n"
    adders = [start(ADDER, root, name, ROUNDS) for name in ("one", "two")]
    try:
        kept = {text for adder in adders for text in finish(adder).split()}
        (root / "stop").touch()
        assert int(finish(collector)) > 0
    finally:
        for process in (collector, *adders):
            process.kill()
            process.wait()
    store = BlockStore(root)
    assert {str(pin.cid) for pin in store.pins()} == kept
    assert all(store.has(pin.cid) for pin in store.pins())
    store.collect()
    reachable = {block for pin in store.pins() for block in store.local_plan(pin.cid).blocks()}
    assert store.usage() == sum(len(store.get_block(block)) for block in reachable)
    assert list((root / "tmp").iterdir()) == []
    for pin in store.pins():
        store.unpin(pin.cid)
    store.collect()
    assert store.usage() == 0


def test_continuous_additions_do_not_starve_a_collection(embedded: BlockStore) -> None:
    """Three threads hold the shared lock, overlapping without a gap; an exclusive request still succeeds."""
    stop = threading.Event()
    inside = [threading.Event() for _ in range(3)]

    def add_forever(number: int) -> None:
        others = BlockStore(embedded.root)
        while not stop.is_set():
            with others._lock.shared(wait_s=60):
                inside[number].set()
                following = inside[(number + 1) % 3]
                following.wait(1)
                inside[number].clear()

    threads = [threading.Thread(target=add_forever, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert inside[0].wait(120)
        assert embedded.collect(wait_s=60) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_long_collection_is_reported_as_busy(embedded: BlockStore) -> None:
    with BlockStore(embedded.root)._lock.exclusive():
        with pytest.raises(StoreBusy, match="in use by another process"), embedded._lock.shared(wait_s=0.05):
            pass
        with pytest.raises(StoreBusy, match="in use by another process"):
            embedded.collect(wait_s=0.05)
    assert embedded.collect() == 0
