"""Turns what PEFT's ``save_pretrained`` writes into an adapter in the form of an entry. Imports neither torch nor PEFT.

An entry has one rank, one scaling and all layers of its target modules, and no field that could change what it computes
(see `covey.lora.adapters.loader`). What PEFT can express beyond that is converted where an equal adapter exists:

- the scaling of rank-stabilised LoRA and of ``alpha_pattern`` is multiplied into B;
- a smaller rank (``rank_pattern``) is filled up with zeros, and so is a layer that has no adapter;
- how the matrices were initialised, local paths, and settings of training are left out.

Everything else is refused with the field and the reason: it computes something that A and B cannot express.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from covey.lora.adapters.format import CONFIG, WEIGHTS, TensorSlot
from covey.lora.adapters.loader import MAX_SCALING, open_regular, parse_header, read_small, widen
from covey.lora.adapters.refusal import UnsafeAdapterError, short_repr, strict_json
from covey.lora.bases.shapes import linear_shapes, tensor_name
from covey.lora.errors import LoraError
from covey.lora.types import Array

IGNORED = {
    "auto_mapping": "the class of the model it was trained with",
    "base_model_name_or_path": "replaced by the name in the task's spec",
    "corda_config": "read only at initialisation",
    "eva_config": "read only at initialisation",
    "exclude_modules": "the layers left out are filled with zeros",
    "inference_mode": "a setting of training",
    "layers_pattern": "the layers left out are filled with zeros",
    "layers_to_transform": "the layers left out are filled with zeros",
    "loftq_config": "read only at initialisation",
    "lora_dropout": "a setting of training",
    "lora_ga_config": "read only at initialisation",
    "megatron_core": "read only together with megatron_config",
    "peft_version": "not needed",
    "qalora_group_size": "read only together with use_qalora",
    "rank_pattern": "smaller ranks are filled up with zeros",
    "revision": "replaced by the revision in the task's spec",
    "target_modules": "taken from the names of the tensors",
    "task_type": "not needed",
}
"""Fields that do not change what an adapter computes, and what becomes of them."""
CONVERTED = ("peft_type", "r", "lora_alpha", "alpha_pattern", "use_rslora", "init_lora_weights")
REFUSED = {
    "alora_invocation_tokens": "it would act on some tokens only",
    "arrow_config": "it would choose between several adapters",
    "bias": "it changes biases too: train with bias='none'",
    "ensure_weight_tying": "it changes embeddings: train linear layers only",
    "fan_in_fan_out": "Qwen's layers are not stored transposed",
    "kasa_config": "it adds singular values to B·A",
    "layer_replication": "it changes the number of layers",
    "lora_bias": "it adds biases: train with lora_bias=False",
    "megatron_config": "it is for models of Megatron",
    "modules_to_save": "it contains whole layers: train linear layers with A and B only",
    "monteclora_config": "it samples its matrices",
    "target_parameters": "it changes parameters that are no linear layers",
    "trainable_token_indices": "it changes embeddings: train linear layers only",
    "use_bdlora": "it makes A or B block-diagonal at run time",
    "use_dora": "it rescales whole weights: train with use_dora=False",
    "use_qalora": "it pools the layer's inputs: train with use_qalora=False",
    "velora_config": "it compresses the layer's inputs",
}
"""Fields that change the computation, and why they are refused. Neutral values are accepted."""
_CHANGES_BASE = re.compile(r"(pissa|olora|loftq|corda|lora_ga)", re.IGNORECASE)
_NEUTRAL_VALUES: tuple[Any, ...] = (None, False, "none", [], {})
_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<kind>[AB])(\.default)?\.weight")


class ImportRefused(LoraError):
    """A folder cannot be turned into an entry. The message has the field or tensor and the remedy."""


@dataclass(frozen=True)
class ImportedAdapter:
    """An adapter in the form of an entry, and what was changed to get there.

    `arrays` are A (rank, inputs) and B (outputs, rank) of all layers of `targets`, by tensor name. `dtype` is
    the type to store, bfloat16 or float32.
    """

    arrays: dict[str, Array]
    rank: int
    alpha: int
    targets: frozenset[str]
    dtype: str
    changes: tuple[str, ...]


def read_peft(folder: Path, base_config: Mapping[str, Any]) -> ImportedAdapter:
    """Read the folder of an adapter of the base with this ``config.json``. Other files in it are not read.

    Raises:
        ImportRefused: the adapter has no equal in the form of an entry, or the files are damaged.
        OSError: the disk failed.
    """
    if not folder.is_dir():
        raise ImportRefused(f"{folder} is not a folder: give the one that save_pretrained wrote")
    names = set(os.listdir(folder))
    if WEIGHTS not in names:
        pickled = "adapter_model.bin" in names
        hint = "save it with safe_serialization=True" if pickled else "give the folder that save_pretrained wrote"
        raise ImportRefused(f"{folder} has no {WEIGHTS}: {hint}")
    if CONFIG not in names:
        raise ImportRefused(f"{folder} has no {CONFIG}: give the folder that save_pretrained wrote")
    try:
        config = strict_json(read_small(folder / CONFIG), CONFIG)
        changes = _check_fields(config)
        pairs, dtypes = _read_pairs(folder, dict(base_config))
    except UnsafeAdapterError as error:
        raise ImportRefused(f"{folder}: {error}") from None
    return _assemble(config, pairs, dtypes, linear_shapes(dict(base_config)), changes)


def _check_fields(config: Mapping[str, Any]) -> list[str]:
    """What will be changed. Raises ImportRefused for a field that no entry can express."""
    if (kind := config.get("peft_type")) != "LORA":
        raise ImportRefused(f"{CONFIG}: peft_type is {short_repr(kind)}: only LoRA adapters can be entries")
    changes = []
    for field, value in sorted(config.items()):
        if field in IGNORED:
            continue
        if field == "init_lora_weights":
            if isinstance(value, str) and _CHANGES_BASE.search(value):
                raise ImportRefused(
                    f"{CONFIG}: init_lora_weights is {short_repr(value)}, which also changed the base's weights: save "
                    "the adapter with path_initial_model_for_weight_conversion, as PEFT's guide describes"
                )
            if not isinstance(value, bool):
                changes.append(f"init_lora_weights {short_repr(value)}: left out")
            continue
        if field in CONVERTED or any(type(value) is type(plain) and value == plain for plain in _NEUTRAL_VALUES):
            continue
        reason = REFUSED.get(field, "an unknown field, which may change what the adapter computes")
        raise ImportRefused(f"{CONFIG}: {short_repr(field)} is {short_repr(value)}: {reason}")
    return changes


def _read_pairs(folder: Path, base_config: dict[str, Any]) -> tuple[dict[str, dict[str, Array]], set[str]]:
    """A and B by module, and the stored types. Raises UnsafeAdapterError, ImportRefused."""
    shapes = linear_shapes(base_config)
    pairs: dict[str, dict[str, Array]] = {}
    dtypes = set()
    limit = 8 * sum(outputs * inputs for outputs, inputs in shapes.values()) + (64 << 20)  # rank below both sides
    with open_regular(folder / WEIGHTS, limit) as (file, size):
        entries, start = parse_header(file, size)
        for name in sorted(entries):
            slot = _slot(name, entries[name], size - start)
            found = _TENSOR.fullmatch(name)
            module = "" if found is None else found["module"]
            if module not in shapes and f"model.{module}" in shapes:
                module = f"model.{module}"  # trained on the model without its language-model head
            if found is None or module not in shapes:
                raise ImportRefused(
                    f"{WEIGHTS}: {short_repr(name)} is not A or B of a linear layer of the base's decoder: train "
                    "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj or down_proj only, with the task's base"
                )
            file.seek(start + slot.begin)
            array = widen(slot.dtype, file.read(slot.end - slot.begin)).reshape(slot.shape)
            outputs, inputs = shapes[module]
            side, expected = (array.shape[1], inputs) if found["kind"] == "A" else (array.shape[0], outputs)
            if side != expected:
                raise ImportRefused(f"{WEIGHTS}: {short_repr(name)} has shape {list(array.shape)}: another base's")
            if not np.isfinite(array).all():
                raise ImportRefused(f"{WEIGHTS}: {short_repr(name)} contains NaN or infinity")
            pairs.setdefault(module, {})[found["kind"]] = array
            dtypes.add(slot.dtype)
    return pairs, dtypes


def _slot(name: str, entry: object, data_bytes: int) -> TensorSlot:
    """A tensor's place, within the file and of the size that its shape needs."""
    try:
        if not isinstance(entry, dict):
            raise TypeError(entry)
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        items = {"F32": 4, "F16": 2, "BF16": 2}[dtype]
        rows, columns = (int(side) for side in shape)
    except (KeyError, TypeError, ValueError):
        raise ImportRefused(
            f"{WEIGHTS}: {short_repr(name)} is not a matrix of float32, float16 or bfloat16: save it as one"
        ) from None
    if not (type(begin) is type(end) is int and 0 <= begin <= end <= data_bytes and rows > 0 and columns > 0):
        raise ImportRefused(f"{WEIGHTS}: {short_repr(name)} lies outside the file: save the adapter again")
    if end - begin != rows * columns * items:
        raise ImportRefused(f"{WEIGHTS}: {short_repr(name)} has {end - begin} bytes: save the adapter again")
    return TensorSlot(str(dtype), (rows, columns), begin, end)


def _assemble(
    config: Mapping[str, Any],
    pairs: Mapping[str, Mapping[str, Array]],
    dtypes: set[str],
    shapes: Mapping[str, tuple[int, int]],
    changes: list[str],
) -> ImportedAdapter:
    """One rank and one scaling for all layers of the target modules."""
    if not pairs:
        raise ImportRefused(f"{WEIGHTS} has no tensor: save the adapter again")
    for module, pair in sorted(pairs.items()):
        if len(pair) != 2 or pair["A"].shape[0] != pair["B"].shape[1]:
            raise ImportRefused(f"{WEIGHTS}: A and B of {module} do not belong together: save the adapter again")
    scalings = {module: _scaling(config, module, pair["A"].shape[0]) for module, pair in pairs.items()}
    ranks = {pair["A"].shape[0] for pair in pairs.values()}
    rank, common = max(ranks), set(scalings.values())
    alpha = next(iter(common)) * rank if len(common) == 1 else 0.0
    fold = not (alpha == round(alpha) and 0 < alpha <= MAX_SCALING * rank)
    if fold:
        alpha = float(rank)
        changes.append(f"scaling {_range(common)}: multiplied into B, lora_alpha is {rank} now")
    if len(ranks) > 1:
        changes.append(f"ranks {_range({float(found) for found in ranks})}: filled up to {rank} with zeros")
    targets = frozenset(module.rpartition(".")[2] for module in pairs)
    arrays: dict[str, Array] = {}
    empty = 0
    for module, (outputs, inputs) in shapes.items():
        if module.rpartition(".")[2] not in targets:
            continue
        a, b = np.zeros((rank, inputs), np.float32), np.zeros((outputs, rank), np.float32)
        if (known := pairs.get(module)) is None:
            empty += 1
        else:
            own = known["A"].shape[0]
            a[:own] = known["A"]
            b[:, :own] = known["B"] * np.float32(scalings[module]) if fold else known["B"]
        arrays[tensor_name(module, "A")], arrays[tensor_name(module, "B")] = a, b
    if empty:
        changes.append(f"{empty} layers without an adapter: filled with zeros")
    exact = dtypes == {"BF16"} and not fold
    return ImportedAdapter(arrays, rank, round(alpha), targets, "bfloat16" if exact else "float32", tuple(changes))


def _scaling(config: Mapping[str, Any], module: str, rank: int) -> float:
    """What PEFT multiplies B·A of a layer with: alpha / rank, or alpha / √rank with rank stabilisation."""
    alpha = config.get("lora_alpha")
    patterns = config.get("alpha_pattern") or {}
    if isinstance(patterns, dict):
        for pattern, value in patterns.items():
            try:
                matches = re.match(rf"(.*\.)?({pattern})$", module) is not None
            except re.error:
                raise ImportRefused(f"{CONFIG}: alpha_pattern has {short_repr(pattern)}, which is no pattern") from None
            if matches:
                alpha = value
                break
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not math.isfinite(alpha) or alpha == 0:
        raise ImportRefused(f"{CONFIG}: lora_alpha is {short_repr(alpha)}: it must be a number other than 0")
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def _range(values: set[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
