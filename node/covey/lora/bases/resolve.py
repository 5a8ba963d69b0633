"""Finds base models: the embedded one, a local folder or a model hub. Does not import torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey.lora.bases.digest import base_digest, base_files
from covey.lora.errors import BaseModelError

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
    if name == TINY:
        folder = tiny_folder()
    elif Path(name).expanduser().is_dir():
        folder = Path(name).expanduser()
    elif name.count("/") == 1 and not name.startswith((".", "/", "~")):
        folder = _download(name, revision)
    else:
        raise BaseModelError(
            f"no base model {name!r}: give `{TINY}`, an existing folder, or a hub name like Qwen/Qwen2.5-0.5B"
        )
    config = read_config(folder)
    actual = base_digest(folder)
    if digest is not None and actual != digest:
        raise BaseModelError(
            f"base model {name!r} has digest {actual[:16]}…, not the task's {digest[:16]}…: get the exact revision"
        )
    return BaseFolder(name, revision, folder, config, actual)


def tiny_folder() -> Path:
    """Folder of the base model that ships in the package."""
    return Path(__file__).parent / TINY


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` and check that the folder is a complete Qwen2 or Qwen3 model. Raises BaseModelError."""
    base_files(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model_type = config["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise BaseModelError(f"{folder}/config.json is not a model configuration: give a complete folder") from error
    if model_type not in MODEL_TYPES:
        raise BaseModelError(f"{folder} has a {model_type!r} model: Covey trains {' and '.join(MODEL_TYPES)} models")
    if config.get("quantization_config"):
        raise BaseModelError(f"{folder} has a quantised model: give the unquantised weights")
    return dict(config)


def _download(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
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
