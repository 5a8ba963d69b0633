"""Finds base models: the embedded one, a local folder or a model hub. Does not import torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey.lora.bases.digest import base_digest, base_files
from covey.lora.bases.shapes import linear_shapes
from covey.lora.errors import BaseModelError, is_out_of_memory, one_line
from covey.lora.tokenizer import check_tokens

TINY = "tiny"
MODEL_TYPES = ("qwen2", "qwen3")
_HUB_FILES = ["config.json", "tokenizer.json", "*.safetensors", "model.safetensors.index.json"]
_HUB_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class BaseFolder:
    """A base model on this machine: its folder, parsed ``config.json`` and digest (64 hex digits)."""

    name: str
    revision: str
    folder: Path
    config: dict[str, Any]
    digest: str


def resolve(name: str, revision: str = "", *, digest: str | None = None) -> BaseFolder:
    """Find or download the base model ``name``: ``tiny``, a local folder, or a hub name such as Qwen/Qwen2.5-0.5B.

    ``revision`` applies to hub names only. Raises BaseModelError if there is no such model or its digest is not
    ``digest``.
    """
    local = local_folder(name)
    folder = _download(_hub_name(name), revision) if local is None else local
    try:
        config = check_base(folder)
    except BaseModelError as error:
        if local is not None:
            raise
        raise BaseModelError(f"{error}; it came from the model hub: delete it to download it again") from error
    actual = base_digest(folder)
    if digest is not None and actual != digest:
        raise BaseModelError(
            f"base model {name!r} has digest {actual[:16]}…, not the task's {digest[:16]}…: get the exact revision"
        )
    return BaseFolder(name, revision, folder, config, actual)


def local_folder(name: str) -> Path | None:
    """The folder of a base that is named by its path, or of the embedded base; None for a hub name."""
    if name == TINY:
        return tiny_folder()
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else None


def cached_folder(name: str, revision: str = "", cache: Path | None = None) -> Path | None:
    """The base's folder on this machine; None for a hub base that is not, or not completely, downloaded.

    ``cache`` is the hub client's cache folder; None is its default. Asks no network. Raises BaseModelError for a name
    that is neither a folder's nor a hub base's.
    """
    if (folder := local_folder(name)) is not None:
        return folder
    from huggingface_hub import snapshot_download

    hub_name = _hub_name(name)
    try:
        folder = Path(snapshot_download(hub_name, revision=revision or None, cache_dir=cache, local_files_only=True))
        base_files(folder)
    except Exception:  # the client has many types of errors for a file that it does not have
        return None
    return folder


def _hub_name(name: str) -> str:
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise BaseModelError(
            f"no base model {name!r}: give `{TINY}`, an existing folder, or a hub name like Qwen/Qwen2.5-0.5B"
        )
    return name


def tiny_folder() -> Path:
    """Folder of the base model that ships in the package."""
    return Path(__file__).parent / TINY


def check_base(folder: Path) -> dict[str, Any]:
    """Check everything about a base but its weights, and return its ``config.json``. Reads no weights.

    Raises BaseModelError with the name of the file at fault.
    """
    config = read_config(folder)
    check_tokens(folder, config)
    linear_shapes(config)
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` and check that the folder is a complete Qwen2 or Qwen3 model. Raises BaseModelError."""
    base_files(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model_type = config["model_type"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BaseModelError(f"{folder}/config.json is not a model configuration: give a complete folder") from error
    if model_type not in MODEL_TYPES:
        raise BaseModelError(f"{folder} has a {model_type!r} model: Covey trains {' and '.join(MODEL_TYPES)} models")
    if config.get("quantization_config"):
        raise BaseModelError(f"{folder} has a quantised model: give the unquantised weights")
    return dict(config)


def _download(name: str, revision: str) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    arguments: dict[str, Any] = {
        "repo_id": name,
        "revision": revision or None,
        "allow_patterns": _HUB_FILES,
        "etag_timeout": _HUB_TIMEOUT_S,
    }
    try:
        return Path(snapshot_download(**arguments))
    except GatedRepoError as error:
        raise BaseModelError(f"{name} is gated: accept its licence on the model hub and set HF_TOKEN") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        full_name = f"{name} at revision {revision}" if revision else name
        raise BaseModelError(f"the model hub has no {full_name}: check the name") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise BaseModelError(
            f"{name} is not on this machine and the model hub cannot be reached ({type(error).__name__}): "
            f"connect to the network, give a local folder, or use the embedded base `{TINY}`"
        ) from error
    except Exception as error:  # a proxy's login page, or anything else that is not the hub's reply
        if is_out_of_memory(error):
            raise
        raise BaseModelError(
            f"{name}: the answer is not that of a model hub ({type(error).__name__}: {one_line(error)}): "
            f"a proxy or a login page may stand between; check {constants.ENDPOINT}"
        ) from error
