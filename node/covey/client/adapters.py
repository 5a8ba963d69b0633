"""Turns an adapter that was trained elsewhere into an entry of a task, for the node to commit."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey.client.errors import ClientError, InvalidInput
from covey.daemon.storage.data_dir import entry_folder
from covey.ipfs import directory_cid
from covey.lora.adapters.export import write_adapter
from covey.lora.adapters.format import WEIGHTS
from covey.lora.adapters.loader import AdapterLimits, load_adapter
from covey.lora.adapters.peft import read_peft
from covey.lora.adapters.refusal import UnsafeAdapterError
from covey.lora.errors import LoraError
from covey.protocol.entry import Manifest, TaskReference
from covey.protocol.spec import TaskSpec

if TYPE_CHECKING:
    from covey.client.network import Network


@dataclass(frozen=True, slots=True)
class ImportedEntry:
    """The folder of an entry, the size of its weights in bytes, and what was changed to get there."""

    folder: Path
    rank: int
    alpha: int
    target_modules: tuple[str, ...]
    bytes: int
    changes: tuple[str, ...]


def node_entry_folder(network: Network, data_dir: Path, task: int) -> Path:
    """Where the node with this data folder looks for its entry of a task."""
    return entry_folder(data_dir, network.deployment.chain_id, network.contracts.scoring.address, task)


def task_reference(network: Network, task: int) -> TaskReference:
    """The task in the form of a manifest."""
    return TaskReference(
        chain_id=network.deployment.chain_id,
        registry=network.contracts.registry.address.lower(),
        task_id=task,
        spec=network.task(task).params.spec_digest.hex(),
    )


def import_adapter(
    source: Path,
    out: Path,
    *,
    spec: TaskSpec,
    base_config: Mapping[str, Any],
    task: TaskReference,
    operator: str,
) -> ImportedEntry:
    """Write the files of an entry into `out`, which must not exist, from what PEFT's `save_pretrained` wrote.

    The entry is complete or not there at all: a running node may look for it at any time.

    Args:
        source: folder with `adapter_model.safetensors` and `adapter_config.json`; other files are not read.
        base_config: `config.json` of the task's base.
        operator: the operator that will commit the entry, 0x-prefixed.

    Raises:
        InvalidInput: the adapter cannot be an entry of this task; the message names the field or tensor.
        ClientError: the folder cannot be written.
    """
    if out.exists():
        raise InvalidInput(f"{out} exists already: an entry is never overwritten")
    limits = AdapterLimits(frozenset(spec.adapter.target_modules), spec.adapter.max_rank, spec.adapter.max_bytes)
    try:
        adapter = read_peft(source, base_config)
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            write_adapter(
                partial,
                adapter.arrays,
                rank=adapter.rank,
                alpha=adapter.alpha,
                targets=adapter.targets,
                base_name=spec.base.name,
                manifest=Manifest(task=task, operator=operator.lower(), base_digest=spec.base.digest),
                dtype=adapter.dtype,
            )
            load_adapter(partial, dict(base_config), limits)  # as every validator will
            directory_cid(partial)
            partial.chmod(0o755)
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except UnsafeAdapterError as error:
        raise InvalidInput(f"{source} is no entry of this task: {error}") from None
    except LoraError as error:
        raise InvalidInput(str(error)) from None
    except OSError as error:
        raise ClientError(f"cannot write {out}: {error.strerror}") from None
    return ImportedEntry(
        folder=out,
        rank=adapter.rank,
        alpha=adapter.alpha,
        target_modules=tuple(sorted(adapter.targets)),
        bytes=(out / WEIGHTS).stat().st_size,
        changes=adapter.changes,
    )
