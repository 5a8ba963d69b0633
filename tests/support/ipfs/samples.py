"""Sample content whose CIDs a real Kubo recorded in vectors.json; `python samples.py PATH_TO_IPFS` records them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typing_extensions import Buffer

MIB = 1 << 20
VECTORS = Path(__file__).with_name("vectors.json")

FILE_SIZES = {
    "0": 0,
    "1": 1,
    "1 MiB - 1": MIB - 1,
    "1 MiB": MIB,
    "1 MiB + 1": MIB + 1,
    "2 MiB": 2 * MIB,
    "7 MiB + 4321": 7 * MIB + 4321,
    "1023 chunks": 1023 * MIB,
    "1024 chunks": 1024 * MIB,
    "1024 chunks + 1": 1024 * MIB + 1,
    "1025 chunks": 1025 * MIB,
    "2049 chunks + 5": 2049 * MIB + 5,
}

# Trees of several levels from tiny chunks and nodes; with real sizes they start at 1 GiB and 1 TiB.
DEEP_CHUNK_BYTES = 16
DEEP_LINKS = 3
DEEP_ADD = ("add", "--quieter", "--only-hash", f"--chunker=size-{DEEP_CHUNK_BYTES}", f"--max-file-links={DEEP_LINKS}")
DEEP_SIZES = [48, 49, 144, 145, 160, 432, 433, 1296, 1297, 3000]

DIRECTORIES: dict[str, dict[str, bytes]] = {
    "empty": {},
    "one file": {"spec.json": b"{}\n"},
    "adapter": {
        "manifest.json": b'{"task": 7}\n',
        "adapter_model.safetensors": bytes(range(256)) * 5000,
        "adapter_config.json": b'{"peft_type": "LORA"}\n',
    },
    "odd names": {
        ".hidden": b"1",
        " leading space": b"2",
        "Upper": b"3",
        "upper": b"4",
        "ünïcode": b"5",
        "日本語.txt": b"6",
        "emoji 🐦": b"7",
        "100%41 & more?#;=+": b"8",
        "-dash": b"9",
        "quote'\"`$(x)": b"10",
        "a": b"11",
        "a.b": b"12",
        "a b": b"13",
        "n" * 255: b"14",
        "~": b"15",
    },
    "empty file": {"nothing": b""},
    "many": {f"file {i}": str(i).encode() for i in range(1000)},
}


def marked(size: int) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each non-zero part of a sample file: every chunk starts with its number, so all differ."""
    for at in range(0, size, MIB):
        yield at, (at // MIB + 1).to_bytes(8, "big")[: size - at]


class SampleFile(io.RawIOBase):
    """A sample file as a stream, without disk use and with at most one chunk in memory."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        begin = self._at
        count = min(len(view), self._size - begin, MIB - begin % MIB)
        if count > 0:
            view[:count] = bytes(count)
            mark = (begin // MIB + 1).to_bytes(8, "big")[begin % MIB :][:count] if begin % MIB < 8 else b""
            view[: len(mark)] = mark
            self._at += count
        return max(0, count)


def write_sparse(path: Path, size: int) -> None:
    """Write a sample file as a sparse file."""
    with open(path, "wb") as file:
        file.truncate(size)
        for at, mark in marked(size):
            file.seek(at)
            file.write(mark)


def write_directory(path: Path, files: dict[str, bytes]) -> None:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)


def deep_content(size: int) -> bytes:
    """Content in which all chunks differ."""
    return b"".join(number.to_bytes(4, "big") for number in range(-(-size // 4)))[:size]


def vectors() -> dict[str, dict[str, str]]:
    """Recorded CIDs by kind ("files", "directories", "deep") and name."""
    found: dict[str, dict[str, str]] = json.loads(VECTORS.read_text())
    return found


def record(ipfs: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        environment = {**os.environ, "IPFS_PATH": str(root / "repo")}

        def kubo(*arguments: str) -> str:
            return subprocess.run(
                [ipfs, *arguments], env=environment, check=True, capture_output=True, text=True
            ).stdout.strip()

        kubo("init", "--profile=test,unixfs-v1-2025")
        recorded: dict[str, Any] = {"kubo": kubo("version", "--number"), "profile": "unixfs-v1-2025"}
        files = {}
        for name, size in FILE_SIZES.items():
            write_sparse(root / "file", size)
            files[name] = kubo("add", "--quieter", "--only-hash", str(root / "file"))
        directories = {}
        for number, (name, content) in enumerate(DIRECTORIES.items()):
            write_directory(root / str(number), content)
            directories[name] = kubo(
                "add", "--quieter", "--only-hash", "--recursive", "--hidden", str(root / str(number))
            )
        recorded.update(files=files, directories=directories, deep={})
        for size in DEEP_SIZES:
            (root / "file").write_bytes(deep_content(size))
            recorded["deep"][str(size)] = kubo(*DEEP_ADD, str(root / "file"))
        VECTORS.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    record(sys.argv[1])
