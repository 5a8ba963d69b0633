"""Folders in the form that PEFT's `save_pretrained` writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from covey.lora.adapters.export import weights_bytes
from covey.lora.bases.resolve import read_config, tiny_folder
from covey.lora.bases.shapes import adapter_shapes


def write_peft(folder: Path, rank: int = 4, targets: tuple[str, ...] = ("q_proj", "v_proj")) -> Path:
    """A folder in the form that save_pretrained writes."""
    rng = np.random.default_rng(3)
    shapes = adapter_shapes(read_config(tiny_folder()), rank, frozenset(targets))
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(weights_bytes(arrays))
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": [*reversed(targets)]}
    local = {
        "base_model_name_or_path": "/home/me/models/qwen",
        "init_lora_weights": "gaussian",
        "auto_mapping": {"a": 1},
    }
    (folder / "adapter_config.json").write_text(json.dumps({**config, **local}))
    (folder / "README.md").write_text("# Model card with /home/me")
    (folder / "dangling").symlink_to("nowhere")
    return folder
