"""Writes adapters in PEFT's file format as canonical bytes, so that equal adapters have equal CIDs.

PEFT's own writer adds local paths, set-ordered lists and a README. This one writes the same weights and only the fields
that PEFT and vLLM need, sorted. Does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from covey.lora.adapters.format import CONFIG, ITEM_BYTES, MANIFEST, WEIGHTS
from covey.lora.types import Array
from covey.protocol import canonical
from covey.protocol.entry import Manifest

_DTYPES = {"float32": "F32", "bfloat16": "BF16"}


def write_adapter(
    folder: Path,
    arrays: Mapping[str, Array],
    *,
    rank: int,
    alpha: int,
    targets: Iterable[str],
    base_name: str,
    manifest: Manifest,
    dtype: str = "float32",
) -> None:
    """Write the three files of an entry into ``folder``, which is created if missing.

    ``arrays`` maps PEFT tensor names to float32 arrays. ``dtype`` is the stored type, float32 or bfloat16 (rounded to
    nearest even). The same arguments give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(weights_bytes(arrays, dtype))
    config = {
        "base_model_name_or_path": base_name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": alpha,
        "lora_dropout": 0,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": sorted(targets),
        "task_type": "CAUSAL_LM",
    }
    (folder / CONFIG).write_bytes(canonical.dumps(config))
    (folder / MANIFEST).write_bytes(manifest.canonical_bytes())


def weights_bytes(arrays: Mapping[str, Array], dtype: str = "float32") -> bytes:
    """Encode the arrays as a safetensors file. The bytes do not depend on any library's version.

    Tensors are stored in code-point order of their names; the header is compact sorted JSON, padded with spaces to a
    multiple of 8 bytes.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"adapters are stored as {' or '.join(_DTYPES)}, not {dtype!r}")
    text, _ = _header({name: array.shape for name, array in arrays.items()}, dtype)
    parts = [_stored_bytes(array, dtype) for _, array in sorted(arrays.items())]
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def weights_size(shapes: Mapping[str, tuple[int, ...]], dtype: str = "float32") -> int:
    """Length of the file that `weights_bytes` makes of tensors of these shapes, bytes."""
    text, data = _header(shapes, dtype)
    return 8 + len(text) + data


def _header(shapes: Mapping[str, tuple[int, ...]], dtype: str) -> tuple[bytes, int]:
    """The padded header of a safetensors file, and the length of its data part."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, shape in sorted(shapes.items()):
        end = position + math.prod(shape) * ITEM_BYTES[_DTYPES[dtype]]
        header[name] = {"dtype": _DTYPES[dtype], "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = canonical.dumps(header)
    return text + b" " * (-len(text) % 8), position


def _stored_bytes(array: Array, dtype: str) -> bytes:
    import numpy as np  # here, because the daemon asks for sizes only

    if dtype == "float32":
        return np.ascontiguousarray(array, "<f4").tobytes()
    bits = np.ascontiguousarray(array, "<f4").view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # round half to even on the upper 16 bits
    return rounded.astype("<u2").tobytes()
