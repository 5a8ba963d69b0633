"""The embedded store: damaged blocks are never returned, pinned blocks are never collected."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.ipfs.samples import MIB

import covey
from covey.ipfs import (
    RAW,
    BlockStore,
    Cid,
    CorruptBlock,
    InvalidContent,
    IpfsError,
    LimitExceeded,
    Limits,
    NotFound,
    StoreBusy,
    StoreFull,
    blockstore,
    directory_cid,
    open_store,
    unixfs,
)


def block_files(store: BlockStore) -> list[Path]:
    return [path for path in (store.root / "blocks").rglob("*") if path.is_file()]


def test_every_read_is_verified(embedded: BlockStore, tmp_path: Path) -> None:
    cid = embedded.add_directory({"f": os.urandom(100)})
    for path in block_files(embedded):
        damaged = bytearray(path.read_bytes())
        damaged[-1] ^= 1
        path.write_bytes(damaged)
    with pytest.raises(CorruptBlock, match=r"remove .*fetch it again"):
        embedded.get_directory(cid, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_adding_again_repairs_damaged_blocks(embedded: BlockStore) -> None:
    files = {"f": os.urandom(2 * MIB)}
    cid = embedded.add_directory(files)
    for path in block_files(embedded):
        path.write_bytes(b"")
    assert is_incomplete(embedded, cid)
    assert embedded.add_directory(files) == cid
    assert embedded.read(cid, "f", 1 << 30) == files["f"]


def is_incomplete(store: BlockStore, cid: Cid) -> bool:
    try:
        return not store.has(cid)
    except CorruptBlock:
        return True


def test_truncated_leaf_makes_a_directory_incomplete(embedded: BlockStore) -> None:
    content = os.urandom(100)
    cid = embedded.add_directory({"f": content})
    path = next(path for path in block_files(embedded) if path.read_bytes() == content)
    path.write_bytes(content[:50])
    assert not embedded.has(cid)
    with pytest.raises(NotFound):
        embedded.pin(cid)


def test_collect_keeps_pinned_blocks_and_frees_the_rest(embedded: BlockStore) -> None:
    shared = os.urandom(MIB + 1)
    kept = embedded.add_directory({"shared": shared, "own": b"1"})
    gone = embedded.add_directory({"shared": shared, "other": os.urandom(5000)}, pin=False)
    before = embedded.usage()
    freed = embedded.collect()
    assert embedded.has(kept)
    assert not embedded.has(gone)
    assert 5000 < freed < 6000
    assert embedded.usage() == before - freed
    embedded.unpin(kept)
    embedded.collect()
    assert embedded.usage() == 0


def test_collect_deletes_oldest_first_down_to_the_target(embedded: BlockStore) -> None:
    cids = [embedded.add_directory({"f": os.urandom(10_000)}, pin=False) for _ in range(4)]
    for age, cid in enumerate(cids):
        for block in embedded.local_plan(cid).blocks():
            os.utime(embedded._files.path(block.digest), (1000 + age, 1000 + age))
    embedded.collect(target_bytes=25_000)
    assert [embedded.has(cid) for cid in cids] == [False, False, True, True]


def test_adding_collects_garbage_or_fails_at_the_quota(tmp_path: Path) -> None:
    store = BlockStore(tmp_path / "s", quota_bytes=50_000)
    first = store.add_directory({"f": os.urandom(30_000)}, pin=False)
    second = store.add_directory({"f": os.urandom(30_000)})
    assert not store.has(first)
    with pytest.raises(StoreFull, match="quota is 50000"):
        store.add_directory({"f": os.urandom(30_000)})
    assert store.has(second)
    assert store.usage() < 50_000


def test_partial_content_is_protected_for_a_day(embedded: BlockStore) -> None:
    files = {"f": os.urandom(3 * MIB)}
    cid = embedded.add_directory(files, pin=False)
    embedded.pin_partial(cid)
    lost = next(iter(embedded.local_plan(cid).files[0].leaves)).cid
    embedded.delete_block(lost)
    assert embedded.collect() == 0
    assert embedded.pins() == ()
    pin = next((embedded.root / "pins").iterdir())
    long_ago = time.time() - 90_000
    os.utime(pin, (long_ago, long_ago))
    assert embedded.collect() > 2 * MIB
    assert embedded.usage() == 0


def test_partial_pin_does_not_change_a_pin(embedded: BlockStore) -> None:
    cid = embedded.add_directory({"f": b"x"}, name="task 7")
    embedded.pin_partial(cid)
    embedded.unpin_partial(cid)
    assert [pin.name for pin in embedded.pins()] == ["task 7"]


def test_collect_waits_for_additions_in_progress(embedded: BlockStore, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = threading.Event()
    release = threading.Event()

    def build_slowly(*arguments: Any) -> unixfs.Built:
        entered.set()
        release.wait(120)
        return unixfs.build(*arguments)

    monkeypatch.setattr(blockstore, "build", build_slowly)
    adding = threading.Thread(target=embedded.add_directory, args=({"f": b"x"},))
    adding.start()
    assert entered.wait(120)
    with pytest.raises(StoreBusy):
        embedded.collect(wait_s=0.1)
    release.set()
    adding.join()
    assert embedded.collect() == 0
    assert len(embedded.pins()) == 1


def test_failed_addition_leaves_nothing(embedded: BlockStore) -> None:
    with pytest.raises(InvalidContent):
        embedded.add_directory({"a": os.urandom(100), "b": Path("/nonexistent")})
    assert block_files(embedded) == []
    assert list((embedded.root / "tmp").iterdir()) == []
    assert embedded.pins() == ()


def test_full_disk_is_reported(embedded: BlockStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreFull, match="No space left"):
        embedded.add_directory({"a": b"x"})
    monkeypatch.undo()
    assert list((embedded.root / "tmp").iterdir()) == []


ADD_FOREVER = """
import os, sys
from covey.ipfs import BlockStore
store = BlockStore(sys.argv[1])
while True:
    store.add_directory({"f": os.urandom(300_000), "g": b"same"})
"""


def test_store_is_consistent_after_a_kill_during_additions(tmp_path: Path) -> None:
    root = tmp_path / "s"
    for _ in range(5):
        deadline = time.monotonic() + 120
        before = len(list(root.glob("pins/*")))
        environment = {**os.environ, "PYTHONPATH": str(Path(covey.__file__).parents[1])}
        worker = subprocess.Popen([sys.executable, "-c", ADD_FOREVER, str(root)], env=environment)
        try:
            while len(list(root.glob("pins/*"))) <= before and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            worker.kill()
            worker.wait()
        store = BlockStore(root)
        assert len(store.pins()) > before
        for pin in store.pins():
            assert len(b"".join(store.cat(pin.cid, "f"))) == 300_000
        store.collect()
        for pin in store.pins():
            assert store.has(pin.cid)
        reachable = {block.digest for pin in store.pins() for block in store.local_plan(pin.cid).blocks()}
        assert {bytes.fromhex(path.name) for path in block_files(store)} == reachable


def test_two_stores_share_a_folder(tmp_path: Path) -> None:
    one, two = BlockStore(tmp_path / "s"), BlockStore(tmp_path / "s")
    cids = one.add_directories([{"f": b"1"}, {"f": b"2"}, {"f": b"1"}], name="both")
    assert cids[0] == cids[2] == directory_cid({"f": b"1"})
    assert {pin.cid for pin in two.pins()} == set(cids)
    two.unpin(cids[0])
    assert [pin.cid for pin in one.pins()] == [cids[1]]


def test_car_transfers_a_directory(embedded: BlockStore, tmp_path: Path) -> None:
    cid = embedded.add_directory({"f": os.urandom(2 * MIB + 3), "g": b"", "h": b""})
    packed = b"".join(embedded.export_car(cid))
    other = BlockStore(tmp_path / "other")
    assert other.import_car(io.BytesIO(packed), name="carried") == cid
    assert [(pin.cid, pin.name) for pin in other.pins()] == [(cid, "carried")]
    assert b"".join(other.export_car(cid)) == packed
    with pytest.raises(LimitExceeded):
        BlockStore(tmp_path / "small").import_car(io.BytesIO(packed), Limits(max_bytes=1000))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda car: car[:-1], "truncated inside a block"),
        (lambda car: car[:59], "lacks some"),
        (lambda car: car[:40], "truncated inside"),
        (lambda car: car[:-1] + bytes([car[-1] ^ 1]), "do not match its CID"),
        (lambda car: b"", "not a CAR"),
        (lambda car: b"\x3a" + b"\xff" * 58 + car[59:], "not a CAR"),
        (lambda car: b"\x0a\xa1gversion\x02" + car, "not a CAR"),
        (lambda car: car + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "length of more than 9 bytes"),
        (lambda car: car + b"\xff\xff\xff\x7f", "section of"),
        (lambda car: car + b"\x80", "inside a length"),
        (lambda car: car + b"\x25\x01\x71\x12\x20" + bytes(33), "cannot read"),
    ],
)
def test_bad_car_is_refused_and_pins_nothing(embedded: BlockStore, tmp_path: Path, damage, reason) -> None:  # type: ignore[no-untyped-def]
    packed = b"".join(embedded.export_car(embedded.add_directory({"f": b"content"})))
    other = BlockStore(tmp_path / "other")
    with pytest.raises(InvalidContent, match=reason):
        other.import_car(io.BytesIO(damage(packed)))
    assert other.pins() == ()
    assert list((other.root / "tmp").iterdir()) == []


def test_unusable_location_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IpfsError, match=r"cannot use .*file"):
        open_store(tmp_path / "file")
    for location in ("", "ftp://host/x"):
        with pytest.raises(IpfsError, match="neither a folder"):
            open_store(location)


def test_damaged_pin_file_still_protects(embedded: BlockStore) -> None:
    cid = embedded.add_directory({"f": b"x"}, name="ü")
    (pin,) = (embedded.root / "pins").iterdir()
    (embedded.root / "pins" / "other.pin").touch()
    pin.write_bytes(pin.read_bytes()[:1])
    assert [(pin.cid, pin.name) for pin in embedded.pins()] == [(cid, "\ufffd")]
    assert embedded.collect() == 0
    embedded.unpin(cid)
    assert embedded.collect() > 0


def test_oversized_block_is_not_read(embedded: BlockStore) -> None:
    block = bytes(3 * MIB)
    embedded._files.write(Cid.of(block, RAW), block)
    with pytest.raises(CorruptBlock):
        embedded.get_block(Cid.of(block, RAW))
