"""The digest that identifies a base model: its config, weights and tokenizer as stored bytes.

Scheme ``covey-base-v1``: the SHA-256 of the text that ``sha256sum`` prints for the base's files in byte order of their
names, after one header line::

    covey-base-v1\\n
    <sha256 hex>  config.json\\n
    <sha256 hex>  model.safetensors\\n
    <sha256 hex>  tokenizer.json\\n

Anyone can recompute it with coreutils: ``(echo covey-base-v1; LC_ALL=C sha256sum config.json model.safetensors
tokenizer.json) | sha256sum``. A sharded model contributes its index and every shard in the index. Covey never reads
other files (model cards, ``tokenizer_config.json``, generation settings), so the digest does not cover them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from covey.lora.errors import BaseModelError

Stamp = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and modification time in nanoseconds of each file in a base's digest."""
_HEADER = b"covey-base-v1\n"
_CHUNK = 1 << 20


def base_files(folder: Path) -> list[str]:
    """Names of the files of a base model that Covey reads, sorted.

    Raises BaseModelError if one is missing.
    """
    names = ["config.json", "tokenizer.json"]
    if (folder / "model.safetensors").is_file():
        names.append("model.safetensors")
    elif (folder / "model.safetensors.index.json").is_file():
        names.append("model.safetensors.index.json")
        names.extend(_shards(folder / "model.safetensors.index.json"))
    else:
        raise BaseModelError(f"{folder} has no model.safetensors: give the folder of a model saved as safetensors")
    for name in names:
        if not (folder / name).is_file():
            raise BaseModelError(f"{folder} lacks {name}: give a complete model folder")
    return sorted(names)


def base_digest(folder: Path) -> str:
    """Digest of the base model in ``folder``: 64 lower-case hex digits. Streams the files; does not import torch."""
    outer = hashlib.sha256(_HEADER)
    for name in base_files(folder):
        outer.update(f"{_sha256_file(folder / name)}  {name}\n".encode())
    return outer.hexdigest()


def stamp(folder: Path) -> Stamp:
    """Changes when a file of the base does. Files that Covey never reads do not count.

    Raises BaseModelError if a file is missing.
    """
    found = []
    for name in base_files(folder):
        try:
            status = (folder / name).stat()
        except OSError as error:
            raise BaseModelError(f"{folder / name}: {error.strerror}") from None
        found.append((name, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _shards(index: Path) -> set[str]:
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BaseModelError(f"{index} is not a safetensors index: download the model again") from error
    for name in names:
        if not isinstance(name, str) or "/" in name or "\\" in name or name.startswith("."):
            raise BaseModelError(f"{index} lists a shard outside its folder: do not use this model")
    return names


def _sha256_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
