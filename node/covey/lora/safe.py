"""Reading a stranger's adapter without trusting it. Imports neither torch nor PEFT and executes nothing.

An adapter is read once, into memory, and refused unless its bytes are exactly what the pinned base and the task's
limits call for. Every refusal is the file's fault and has one :class:`Refusal`; trouble of this machine (a disk error,
no memory) is raised as it is and must never become somebody's zero.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from covey.lora.errors import LoraError
from covey.lora.shapes import TARGET_MODULES, adapter_shapes
from covey.protocol.canonical import DocumentError
from covey.protocol.entry import Manifest, TaskReference

WEIGHTS, CONFIG, MANIFEST = "adapter_model.safetensors", "adapter_config.json", "manifest.json"
MAX_HEADER_BYTES = 1 << 20
MAX_JSON_BYTES = 1 << 16
MAX_SCALING = 64.0
_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
Array = npt.NDArray[np.float32]


class Refusal(StrEnum):
    """Why an adapter was refused."""

    MISSING_FILE = "missing_file"
    UNEXPECTED_FILE = "unexpected_file"
    NOT_A_REGULAR_FILE = "not_a_regular_file"
    TOO_LARGE = "too_large"
    HEADER_TOO_LARGE = "header_too_large"
    BAD_HEADER = "bad_header"
    BAD_JSON = "bad_json"
    FORBIDDEN_FIELD = "forbidden_field"
    BAD_CONFIG_VALUE = "bad_config_value"
    RANK_TOO_HIGH = "rank_too_high"
    FORBIDDEN_TARGET = "forbidden_target"
    MISSING_TENSOR = "missing_tensor"
    UNEXPECTED_TENSOR = "unexpected_tensor"
    BAD_SHAPE = "bad_shape"
    BAD_DTYPE = "bad_dtype"
    BAD_OFFSETS = "bad_offsets"
    NOT_FINITE = "not_finite"
    WRONG_MANIFEST = "wrong_manifest"


class UnsafeAdapterError(LoraError):
    """A stranger's adapter is not acceptable; ``reason`` says why in one word."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason


@dataclass(frozen=True)
class AdapterLimits:
    """What a task's spec allows: target modules, highest rank, bytes of the weights file."""

    target_modules: frozenset[str] = frozenset(TARGET_MODULES)
    max_rank: int = 64
    max_bytes: int = 512 << 20


@dataclass(frozen=True)
class AdapterHeader:
    """What the config and the header promise: rank, alpha, target modules and the place of each tensor."""

    rank: int
    alpha: float
    targets: frozenset[str]
    tensors: Mapping[str, tuple[str, tuple[int, int], int, int]]  # dtype, shape, begin, end in the data part

    @property
    def scaling(self) -> float:
        """alpha / rank."""
        return self.alpha / self.rank


@dataclass(frozen=True)
class Adapter:
    """An accepted adapter: its header and float32 arrays, A (rank, inputs) and B (outputs, rank), by tensor name."""

    header: AdapterHeader
    arrays: Mapping[str, Array]


# Fields of adapter_config.json. A field of PEFT that would change what the adapter computes is accepted at the value
# that changes nothing, and only there; a field that is not listed is refused.
_REQUIRED = ("peft_type", "r", "lora_alpha", "target_modules")
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM", None),
    "bias": ("none",),
    "fan_in_fan_out": (False,),
    "inference_mode": (True, False),
    "init_lora_weights": (True, False),
    "use_rslora": (False,),
    "use_dora": (False,),
    "lora_bias": (False,),
    "modules_to_save": (None, []),
    "layers_to_transform": (None,),
    "layers_pattern": (None,),
    "rank_pattern": ({},),
    "alpha_pattern": ({},),
    "exclude_modules": (None,),
    "target_parameters": (None,),
    "trainable_token_indices": (None,),
    "auto_mapping": (None,),
    "revision": (None,),
    "megatron_config": (None,),
    "megatron_core": ("megatron.core",),  # read only together with megatron_config
    "loftq_config": ({}, None),
    "eva_config": (None,),
    "corda_config": (None,),
    "lora_ga_config": (None,),
    "velora_config": (None,),
    "monteclora_config": (None,),
    "arrow_config": (None,),
    "kasa_config": (None,),
    "alora_invocation_tokens": (None,),
    "layer_replication": (None,),
    "use_qalora": (False,),
    "qalora_group_size": (16,),  # read only together with use_qalora
    "use_bdlora": (None,),
    "ensure_weight_tying": (False,),
}
_LABELS = ("base_model_name_or_path", "peft_version")  # text that decides nothing


def check_header(folder: Path, base_config: dict[str, Any], limits: AdapterLimits) -> AdapterHeader:
    """Check everything but the values: names, sizes, config, header, keys, shapes, dtypes.

    Raises UnsafeAdapterError. Reads the config and at most 1 MiB of the weights.
    """
    return _check(folder, base_config, limits)[0]


def load_adapter(folder: Path, base_config: dict[str, Any], limits: AdapterLimits) -> Adapter:
    """Check and read an adapter. Raises UnsafeAdapterError if the files are at fault."""
    header, data = _check(folder, base_config, limits, read_data=True)
    arrays: dict[str, Array] = {}
    for name, (dtype, shape, begin, end) in header.tensors.items():
        array = _widen(dtype, data[begin:end]).reshape(shape)
        if not np.isfinite(array).all():
            _refuse(Refusal.NOT_FINITE, f"{name} holds NaN or infinity")
        arrays[name] = array
    return Adapter(header, arrays)


def check_manifest(folder: Path, task: TaskReference, base_digest: str, operator: str | None) -> None:
    """Check that the manifest is the entry's own: this task, this base and, if given, this operator.

    Raises UnsafeAdapterError.
    """
    if not (folder / MANIFEST).exists():
        _refuse(Refusal.MISSING_FILE, MANIFEST)
    data, _ = _read(folder / MANIFEST, MAX_JSON_BYTES, MAX_JSON_BYTES)
    try:
        manifest = Manifest.from_bytes(data)
    except DocumentError as error:
        _refuse(Refusal.WRONG_MANIFEST, str(error))
    for what, found, wanted in (
        ("task", manifest.task, task),
        ("base", manifest.base_digest, base_digest),
        ("operator", manifest.operator, operator or manifest.operator),
    ):
        if found != wanted:
            _refuse(Refusal.WRONG_MANIFEST, f"it names another {what}")


def strict_json(data: bytes, what: str) -> dict[str, Any]:
    """Parse one JSON object in UTF-8: no duplicate keys, no NaN, no deep nesting. Raises UnsafeAdapterError."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(items)
        if len(value) != len(items):
            raise ValueError("duplicate key")
        return value

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        _refuse(Refusal.BAD_JSON, f"{what}: {error}")
    if not isinstance(value, dict):
        _refuse(Refusal.BAD_JSON, f"{what} is not an object")
    return value


def _check(
    folder: Path, base_config: dict[str, Any], limits: AdapterLimits, *, read_data: bool = False
) -> tuple[AdapterHeader, bytes]:
    names = {entry.name for entry in os.scandir(folder)}
    for name in sorted({WEIGHTS, CONFIG} - names):
        _refuse(Refusal.MISSING_FILE, name)
    for name in sorted(names - {WEIGHTS, CONFIG, MANIFEST}):
        _refuse(Refusal.UNEXPECTED_FILE, repr(name))
    config, _ = _read(folder / CONFIG, MAX_JSON_BYTES, MAX_JSON_BYTES)
    rank, alpha, targets = _check_config(strict_json(config, CONFIG), limits)
    if MANIFEST in names:
        manifest, _ = _read(folder / MANIFEST, MAX_JSON_BYTES, MAX_JSON_BYTES)
        strict_json(manifest, MANIFEST)
    wanted = limits.max_bytes if read_data else MAX_HEADER_BYTES + 8
    blob, size = _read(folder / WEIGHTS, limits.max_bytes, wanted)
    entries, start = _parse_header(blob)
    tensors = _check_tensors(entries, adapter_shapes(base_config, rank, targets), size - start)
    return AdapterHeader(rank, alpha, targets, tensors), blob[start:]


def _read(path: Path, limit: int, wanted: int) -> tuple[bytes, int]:
    """(at most ``wanted`` first bytes, size); the size that counts is that of the file descriptor read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            _refuse(Refusal.NOT_A_REGULAR_FILE, f"{path.name} is a link")
        raise error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            _refuse(Refusal.NOT_A_REGULAR_FILE, path.name)
        if status.st_size > limit:
            _refuse(Refusal.TOO_LARGE, f"{path.name} has {status.st_size:,} bytes, the limit is {limit:,}")
        return file.read(wanted), status.st_size


def _check_config(config: dict[str, Any], limits: AdapterLimits) -> tuple[int, float, frozenset[str]]:
    for field in _REQUIRED:
        if field not in config:
            _refuse(Refusal.BAD_CONFIG_VALUE, f"{CONFIG} lacks {field}")
    for field, value in config.items():
        if field in _NEUTRAL:
            _require(any(type(value) is type(v) and value == v for v in _NEUTRAL[field]), field, value)
        elif field in _LABELS:
            _require(value is None or (isinstance(value, str) and len(value) <= 256), field, value)
        elif field == "lora_dropout":
            _require(_is_number(value) and 0 <= value < 1, field, value)
        elif field not in _REQUIRED:
            _refuse(Refusal.FORBIDDEN_FIELD, f"{field!r:.80} in {CONFIG}")
    rank, alpha, targets = config["r"], config["lora_alpha"], config["target_modules"]
    _require(type(rank) is int and rank >= 1, "r", rank)
    if rank > limits.max_rank:
        _refuse(Refusal.RANK_TOO_HIGH, f"rank {rank}, the task allows {limits.max_rank}")
    _require(_is_number(alpha) and 0 < alpha / rank <= MAX_SCALING, "lora_alpha", alpha)
    _require(
        isinstance(targets, list)
        and bool(targets)
        and all(isinstance(target, str) for target in targets)
        and len(set(targets)) == len(targets),
        "target_modules",
        targets,
    )
    for target in targets:
        if target not in limits.target_modules:
            _refuse(Refusal.FORBIDDEN_TARGET, f"target module {target!r:.80}")
    return rank, float(alpha), frozenset(targets)


def _parse_header(blob: bytes) -> tuple[dict[str, Any], int]:
    if len(blob) < 8:
        _refuse(Refusal.BAD_HEADER, "the weights file is shorter than its header length")
    length = int.from_bytes(blob[:8], "little")
    if length > MAX_HEADER_BYTES:
        _refuse(Refusal.HEADER_TOO_LARGE, f"the header claims {length:,} bytes, the limit is {MAX_HEADER_BYTES:,}")
    if len(blob) < 8 + length:
        _refuse(Refusal.BAD_HEADER, "the weights file ends inside its header")
    header = strict_json(blob[8 : 8 + length], "the safetensors header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(Refusal.BAD_HEADER, "__metadata__ is not a map of strings")
    return header, 8 + length


def _check_tensors(
    entries: dict[str, Any], expected: dict[str, tuple[int, int]], data_bytes: int
) -> dict[str, tuple[str, tuple[int, int], int, int]]:
    for name in sorted(entries.keys() - expected.keys()):
        _refuse(Refusal.UNEXPECTED_TENSOR, f"{name!r:.120}")
    for name in sorted(expected.keys() - entries.keys()):
        _refuse(Refusal.MISSING_TENSOR, name)
    tensors: dict[str, tuple[str, tuple[int, int], int, int]] = {}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            _refuse(Refusal.BAD_HEADER, f"the entry of {name}")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
            _refuse(Refusal.BAD_DTYPE, f"{name} is {dtype!r:.40}, allowed are {', '.join(_ITEM_BYTES)}")
        if not _is_pair(shape) or tuple(shape) != expected[name]:
            _refuse(Refusal.BAD_SHAPE, f"{name} is {shape!r:.60}, the base needs {list(expected[name])}")
        if not _is_pair(offsets) or offsets[1] - offsets[0] != shape[0] * shape[1] * _ITEM_BYTES[dtype]:
            _refuse(Refusal.BAD_OFFSETS, f"{name} at {offsets!r:.60}")
        tensors[name] = (dtype, expected[name], offsets[0], offsets[1])
    position = 0
    for name, (_, _, begin, end) in sorted(tensors.items(), key=lambda item: item[1][2]):
        if begin != position:
            _refuse(Refusal.BAD_OFFSETS, f"{name} leaves a gap or overlaps another tensor")
        position = end
    if position != data_bytes:
        _refuse(Refusal.BAD_OFFSETS, f"the tensors cover {position:,} of {data_bytes:,} bytes")
    return tensors


def _widen(dtype: str, data: bytes) -> Array:
    """float32 values of little-endian stored ones; exact for all three dtypes."""
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype(np.float32)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(item) is int and item >= 0 for item in value)


def _require(condition: bool, field: str, value: object) -> None:
    if not condition:
        _refuse(Refusal.BAD_CONFIG_VALUE, f"{field} is {value!r:.80}")


def _refuse(reason: Refusal, detail: str) -> NoReturn:
    raise UnsafeAdapterError(reason, detail)
