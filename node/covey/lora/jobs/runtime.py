"""What jobs share: the cache of base models, the tokenizer, numeric types, and the profile of this machine.

Imports torch only where a function needs it.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from covey.lora.adapters.loader import AdapterLimits
from covey.lora.bases.device import choose_device, device_name
from covey.lora.bases.digest import Stamp, stamp
from covey.lora.bases.resolve import BaseFolder, resolve
from covey.lora.data.encode import Encoder
from covey.lora.tokenizer import end_of_text_id
from covey.protocol.sheet import DType, Profile
from covey.protocol.spec import TaskSpec

if TYPE_CHECKING:
    from covey.lora.adapters.model import AdaptedModel


class BaseCache:
    """Keeps the digests of base folders, and one base model in memory, from job to job."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str, str], AdaptedModel] = {}
        self._folders: dict[tuple[str, str], tuple[Stamp, BaseFolder]] = {}

    def folder(self, source: str, revision: str = "", digest: str | None = None) -> BaseFolder:
        """The base's folder. Its digest is recomputed only if a file has changed. Raises BaseModelError."""
        cached = self._folders.get((source, revision))
        if cached is not None and cached[0] == stamp(cached[1].folder) and digest in (None, cached[1].digest):
            return cached[1]
        folder = resolve(source, revision, digest=digest)
        self._folders[source, revision] = (stamp(folder.folder), folder)
        return folder

    def model(self, folder: BaseFolder, dtype: str, device: str) -> AdaptedModel:
        """The adapted model of a base, loaded at first use."""
        from covey.lora.adapters.model import AdaptedModel
        from covey.lora.bases.load import load_base

        key = (folder.digest, dtype, device)
        if key not in self._models:
            self._models.clear()  # one resident base at a time: the next may need the memory
            self._models[key] = AdaptedModel(load_base(folder, dtype, device))
        return self._models[key]

    def clear(self) -> None:
        """Drop the resident model, for instance after memory ran out."""
        self._models.clear()


def adapter_limits(spec: TaskSpec) -> AdapterLimits:
    """The spec's limits on adapters."""
    return AdapterLimits(frozenset(spec.adapter.target_modules), spec.adapter.max_rank, spec.adapter.max_bytes)


def compute_dtype(spec: TaskSpec) -> DType:
    """The type in which a spec's base is computed: its profile's, else float32 if it upcasts, else as stored."""
    if spec.evaluation.profile == "any":
        return "float32" if spec.base.upcast == "float32" else "bfloat16"
    return "float32" if spec.evaluation.profile == "cpu-float32" else "bfloat16"


def encoder(folder: BaseFolder, spec: TaskSpec) -> Encoder:
    """The base's tokenizer, which cuts records to the spec's sequence length."""
    return Encoder(folder.folder, end_of_text_id(folder.config), spec.evaluation.sequence_length)


def profile(device: str, dtype: DType) -> Profile:
    """Software and hardware of this process, for a score sheet."""
    import torch

    return Profile(
        device=device_name(choose_device(device)), dtype=dtype, threads=torch.get_num_threads(), software=software()
    )


def software() -> dict[str, str]:
    """Versions of the packages that affect the last digits of a result."""
    return {
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "tokenizers": version("tokenizers"),
    }
