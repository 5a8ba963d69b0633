"""UnixFS files and directories: the CIDs that Kubo recorded, constant memory, refused names and files."""

from __future__ import annotations

import io
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.ipfs.samples import (
    DEEP_CHUNK_BYTES,
    DEEP_LINKS,
    DEEP_SIZES,
    DIRECTORIES,
    FILE_SIZES,
    MIB,
    SampleFile,
    deep_content,
    vectors,
    write_directory,
    write_sparse,
)

from covey.ipfs import Cid, InvalidContent, Limits, directory_cid, unixfs
from covey.ipfs.dag import plan, read_file
from covey.ipfs.unixfs import build_file, check_name, content_bytes


def discard(_cid: Cid, _block: bytes) -> None:
    return


@pytest.mark.parametrize("name", FILE_SIZES)
def test_file_cids_equal_those_recorded_by_kubo(name: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        built = build_file(SampleFile(FILE_SIZES[name]), discard, pool)
    assert str(built.cid) == vectors()["files"][name]
    assert built.size == FILE_SIZES[name]


@pytest.mark.parametrize("size", DEEP_SIZES)
def test_deep_tree_cids_equal_those_recorded_by_kubo(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unixfs, "CHUNK_BYTES", DEEP_CHUNK_BYTES)
    monkeypatch.setattr(unixfs, "MAX_LINKS", DEEP_LINKS)
    content = deep_content(size)
    blocks: dict[Cid, bytes] = {}
    built = build_file(io.BytesIO(content), blocks.__setitem__)
    assert str(built.cid) == vectors()["deep"][str(size)]
    assert built.total == sum(map(len, blocks.values()))
    contents = plan(built.cid, blocks.__getitem__, Limits(max_depth=8))
    assert b"".join(read_file(contents.files[0], blocks.__getitem__)) == content


@pytest.mark.parametrize("name", DIRECTORIES)
def test_directory_cids_equal_those_recorded_by_kubo(name: str, tmp_path: Path) -> None:
    files = DIRECTORIES[name]
    expected = vectors()["directories"][name]
    assert str(directory_cid(files)) == expected
    write_directory(tmp_path / "d", files)
    assert str(directory_cid(tmp_path / "d")) == expected
    assert str(directory_cid({n: tmp_path / "d" / n for n in files})) == expected
    assert content_bytes(files) == content_bytes(tmp_path / "d") == sum(map(len, files.values()))


def test_pool_and_short_reads_do_not_change_the_cid() -> None:
    class ShortReads(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self._inner = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self._inner.read(min(size, 70_001))

    data = os.urandom(3 * MIB + 17)
    blocks: dict[Cid, bytes] = {}
    whole = build_file(io.BytesIO(data), blocks.__setitem__)
    assert build_file(ShortReads(data), discard) == whole
    with ThreadPoolExecutor(2) as pool:
        assert build_file(io.BytesIO(data), discard, pool) == whole
    assert whole.total == sum(map(len, blocks.values()))
    assert all(cid.matches(block) for cid, block in blocks.items())


@pytest.mark.parametrize("threads", [0, 2])
def test_memory_is_independent_of_file_size(threads: int) -> None:
    def peak(chunks: int) -> int:
        tracemalloc.start()
        try:
            if threads:
                with ThreadPoolExecutor(threads) as pool:
                    build_file(SampleFile(chunks * MIB), discard, pool)
            else:
                build_file(SampleFile(chunks * MIB), discard)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(200) < 14 * MIB
    assert peak(200) < peak(20) + 2 * MIB


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", "\x7f", "é" * 128, "\ud800"])
def test_unsafe_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidContent):
        check_name(name)
    with pytest.raises(InvalidContent):
        directory_cid({name: b""})


def test_anything_but_plain_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe", "missing"):
        with pytest.raises(InvalidContent, match="plain file"):
            directory_cid({"a": tmp_path / name})
    with pytest.raises(InvalidContent):
        directory_cid(tmp_path)
    with pytest.raises(InvalidContent, match="not a directory"):
        directory_cid(tmp_path / "file")


def test_file_that_changes_during_reading_is_refused() -> None:
    with pytest.raises(InvalidContent, match="changed while it was read"):
        directory_cid({"f": Path("/proc/self/status")})  # reports a size of 0 but has content


def test_directory_too_large_for_one_block_is_refused() -> None:
    with pytest.raises(InvalidContent, match="too many"):
        directory_cid({f"{i:0100d}": b"" for i in range(2000)})


def test_sample_files_and_streams_are_equal(tmp_path: Path) -> None:
    size = 2 * MIB + 4
    write_sparse(tmp_path / "f", size)
    assert (tmp_path / "f").read_bytes() == SampleFile(size).read()
