"""Loads a base model with torch. Only worker processes import this module.

Numerics: stored weights are converted once, at loading, to bfloat16 (a no-op for Qwen's published files) or exactly to
float32. Linear layers and attention run in that type. RMS norms, rotary angles, log-sum-exp and LoRA's master weights
are float32; sums of losses are float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers.utils.logging import disable_progress_bar

from covey.lora.bases.device import choose_device
from covey.lora.bases.resolve import BaseFolder
from covey.lora.errors import BaseModelError, is_out_of_memory, one_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class LoadedBase:
    """A base model in memory, frozen and in evaluation mode."""

    source: BaseFolder
    model: PreTrainedModel
    dtype: torch.dtype
    device: torch.device


def load_base(source: BaseFolder, dtype: str = "bfloat16", device: str = "cpu") -> LoadedBase:
    """Load weights as ``dtype`` (``bfloat16`` or ``float32``) onto ``device`` (see `choose_device`).

    This module chooses the model class, never the files: no code from a model's folder runs.
    Raises BaseModelError if the files do not contain the model that the config describes.
    """
    if dtype not in DTYPES:
        raise BaseModelError(f"a base is computed in {' or '.join(DTYPES)}, not {dtype!r}")
    target = choose_device(device)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, report = _model_class(source.config["model_type"]).from_pretrained(
            source.folder,
            dtype=DTYPES[dtype],
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except Exception as error:  # the libraries raise many types for a bad folder
        if is_out_of_memory(error):
            raise
        raise BaseModelError(f"cannot load {source.folder}: {one_line(error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise BaseModelError(f"{source.folder} lacks weights such as {missing[0]}: get a complete copy")
    model.requires_grad_(False)
    model.eval()
    model.config.use_cache = False
    return LoadedBase(source, model.to(target), DTYPES[dtype], target)


def _model_class(model_type: str) -> Any:
    if model_type == "qwen3":
        from transformers.models.qwen3.modeling_qwen3 import Qwen3ForCausalLM

        return Qwen3ForCausalLM
    from transformers.models.qwen2.modeling_qwen2 import Qwen2ForCausalLM

    return Qwen2ForCausalLM
