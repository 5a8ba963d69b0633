"""Behaviour common to both stores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.ipfs.samples import DIRECTORIES, MIB

from covey.ipfs import Cid, InvalidContent, LimitExceeded, Limits, NotFound, Store, directory_cid

ABSENT = Cid.directory(b"\x01" * 32)


def adapter() -> dict[str, bytes]:
    """A directory that no other test has added."""
    return {"adapter_model.safetensors": os.urandom(3 * MIB + 5), "manifest.json": os.urandom(20).hex().encode()}


@pytest.mark.parametrize("name", DIRECTORIES)
def test_added_directory_has_the_hashed_cid_and_is_read_back(store: Store, name: str, tmp_path: Path) -> None:
    files = DIRECTORIES[name]
    cid = store.add_directory(files)
    assert cid == directory_cid(files)
    dest = store.get_directory(cid, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in dest.iterdir()} == files


def test_folder_and_mapping_have_the_same_cid(store: Store, tmp_path: Path) -> None:
    files = adapter()
    source = tmp_path / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_bytes(content)
    assert store.add_directory(source) == store.add_directory(files)


def test_list_stat_and_cat(store: Store) -> None:
    files = adapter()
    cid = store.add_directory(files)
    assert {file.name: file.size for file in store.list_directory(cid)} == {n: len(c) for n, c in files.items()}
    stat = store.stat(cid)
    assert stat.cid == cid
    assert stat.size == sum(map(len, files.values()))
    assert stat.blocks == 7  # the directory, the file's root and its four chunks, the manifest
    assert 0 < stat.block_bytes - stat.size < 1000
    assert sorted(stat.files) == sorted(files)
    for name, content in files.items():
        pieces = list(store.cat(cid, name))
        assert b"".join(pieces) == content
        assert max(map(len, pieces)) <= MIB
    assert store.read(cid, "manifest.json") == files["manifest.json"]


def test_bare_file_has_no_name(store: Store) -> None:
    cid = store.add_directory({"f": b"bare"})
    (file,) = store.list_directory(cid)
    assert b"".join(store.cat(file.cid)) == b"bare"
    with pytest.raises(InvalidContent, match="bare file"):
        store.get_directory(file.cid, "/nonexistent/never")


def test_pins(store: Store) -> None:
    cid = store.add_directory(adapter(), name="task 7")
    other = store.add_directory(adapter(), pin=False)
    pinned = {pin.cid: pin.name for pin in store.pins()}
    assert pinned[cid] == "task 7"
    assert other not in pinned
    store.pin(other, "kept")
    store.pin(cid, "renamed")
    pinned = {pin.cid: pin.name for pin in store.pins()}
    assert pinned[other] == "kept"
    assert pinned[cid] == "renamed"
    store.unpin(cid)
    assert cid not in {pin.cid for pin in store.pins()}
    assert store.has(cid)
    with pytest.raises(NotFound):
        store.unpin(cid)


def test_absent_content_is_not_found(store: Store, tmp_path: Path) -> None:
    assert not store.has(ABSENT)
    assert store.block_size(ABSENT) is None
    with pytest.raises(NotFound):
        store.get_local(ABSENT)
    with pytest.raises(NotFound):
        store.stat(ABSENT)
    with pytest.raises(NotFound):
        store.pin(ABSENT)
    with pytest.raises(NotFound, match="no file 'other'"):
        store.cat(store.add_directory({"a": b""}), "other")


def test_limits_are_checked_before_bytes_are_read(store: Store, tmp_path: Path) -> None:
    cid = store.add_directory(adapter())
    for limits in (Limits(max_bytes=3 * MIB), Limits(max_files=1), Limits(max_blocks=6), Limits(max_depth=0)):
        with pytest.raises(LimitExceeded):
            store.get_directory(cid, tmp_path / "out", limits)
    with pytest.raises(LimitExceeded):
        store.read(cid, "adapter_model.safetensors")
    assert list(tmp_path.glob("out*")) == []
    store.get_directory(cid, tmp_path / "out", Limits(max_bytes=4 * MIB, max_files=2, max_blocks=8, max_depth=1))


def test_existing_destination_is_not_changed(store: Store, tmp_path: Path) -> None:
    cid = store.add_directory({"a": b"new"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError, match="exists already"):
        store.get_directory(cid, tmp_path / "out")
    assert (tmp_path / "out" / "a").read_bytes() == b"old"


def test_bad_content_is_refused_as_a_whole(store: Store, tmp_path: Path) -> None:
    (tmp_path / "nested" / "folder").mkdir(parents=True)
    before = store.pins()
    with pytest.raises(InvalidContent):
        store.add_directory(tmp_path / "nested")
    with pytest.raises(InvalidContent):
        store.add_directory({"../up": b"x"})
    assert store.pins() == before
