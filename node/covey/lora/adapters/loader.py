"""Loads adapters from untrusted files, or refuses them. Imports neither torch nor PEFT and executes no code of a file.

An adapter is accepted only if its files are exactly as the pinned base and the task's limits require. No read or
allocation depends on an unchecked number in a file: the tensors are read last, once their sizes are known to be right.
A refusal (`UnsafeAdapterError`) is always the file's fault and has one `Refusal`. Errors of this machine (disk, memory)
are raised unchanged and must never become a score of 0.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from covey.lora.adapters.format import CONFIG, ITEM_BYTES, MANIFEST, WEIGHTS, Adapter, AdapterHeader, TensorSlot
from covey.lora.adapters.refusal import Refusal, refuse, short_repr, strict_json
from covey.lora.bases.shapes import TARGET_MODULES, adapter_shapes
from covey.lora.types import Array
from covey.protocol.canonical import DocumentError
from covey.protocol.entry import Manifest, TaskReference

MAX_HEADER_BYTES = 1 << 20
MAX_JSON_BYTES = 1 << 16
MAX_SCALING = 64.0


@dataclass(frozen=True)
class AdapterLimits:
    """A spec's limits on adapters: target modules, highest rank, bytes of the weights file."""

    target_modules: frozenset[str] = frozenset(TARGET_MODULES)
    max_rank: int = 64
    max_bytes: int = 512 << 20


# Fields of adapter_config.json. A PEFT field that would change what the adapter computes is accepted only at its
# neutral values; a field that is not listed is refused.
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
# Text that has no effect here. Other tools resolve these names, so each must be one that a spec could contain.
_LABELS = {
    "base_model_name_or_path": re.compile(r"(?=.{1,128}$)[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9][A-Za-z0-9_.+-]*)?"),
    "peft_version": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+@-]{0,63}"),
}
_FORMATS = {b"\x80": "a pickle", b"PK": "a zip archive, as torch.save writes", b"\x1f\x8b": "gzip"}


def check_header(folder: Path, base_config: dict[str, Any], limits: AdapterLimits) -> AdapterHeader:
    """Check everything but the values: file names, sizes, config, header, tensor names, shapes, dtypes.

    Reads the config and at most 1 MiB of the weights. Raises UnsafeAdapterError.
    """
    with _checked_header(folder, base_config, limits) as (header, _, _):
        return header


def load_adapter(folder: Path, base_config: dict[str, Any], limits: AdapterLimits) -> Adapter:
    """Check an untrusted adapter and read it. Raises UnsafeAdapterError if the files are at fault."""
    import numpy as np

    arrays: dict[str, Array] = {}
    with _checked_header(folder, base_config, limits) as (header, file, data_start):
        for name, slot in header.tensors.items():
            file.seek(data_start + slot.begin)
            data = file.read(slot.end - slot.begin)
            if len(data) != slot.end - slot.begin:
                raise OSError(f"{folder / WEIGHTS} changed while it was read: fetch the entry again")
            array = widen(slot.dtype, data).reshape(slot.shape)  # A: (rank, inputs), B: (outputs, rank)
            if not np.isfinite(array).all():
                refuse(Refusal.NOT_FINITE, f"{name} contains NaN or infinity")
            arrays[name] = array
    return Adapter(header, arrays)


def check_manifest(folder: Path, task: TaskReference, base_digest: str, operator: str | None) -> None:
    """Check that the manifest names this task, this base and, if given, this operator. Raises UnsafeAdapterError."""
    if not os.path.lexists(folder / MANIFEST):
        refuse(Refusal.MISSING_FILE, MANIFEST)
    data = read_small(folder / MANIFEST)
    strict_json(data, MANIFEST)
    try:
        manifest = Manifest.from_bytes(data)
    except DocumentError as error:
        refuse(Refusal.WRONG_MANIFEST, str(error))
    for what, actual, expected in (
        ("task", manifest.task, task),
        ("base", manifest.base_digest, base_digest),
        ("operator", manifest.operator, operator or manifest.operator),
    ):
        if actual != expected:
            refuse(Refusal.WRONG_MANIFEST, f"it names another {what}")


@contextmanager
def _checked_header(
    folder: Path, base_config: dict[str, Any], limits: AdapterLimits
) -> Iterator[tuple[AdapterHeader, BinaryIO, int]]:
    """Check everything but the values; yield the header, the open weights file and the offset of its data part."""
    with os.scandir(folder) as entries:
        names = {entry.name for entry in islice(entries, 1000)}
    for name in (WEIGHTS, CONFIG):
        if name not in names and not os.path.lexists(folder / name):
            refuse(Refusal.MISSING_FILE, name)
    for name in sorted(names - {WEIGHTS, CONFIG, MANIFEST}):
        refuse(Refusal.UNEXPECTED_FILE, short_repr(name))
    rank, alpha, targets = _check_config(strict_json(read_small(folder / CONFIG), CONFIG), limits)
    if os.path.lexists(folder / MANIFEST):
        strict_json(read_small(folder / MANIFEST), MANIFEST)
    with open_regular(folder / WEIGHTS, limits.max_bytes) as (file, size):
        tensor_entries, data_start = parse_header(file, size)
        tensors = _check_tensors(tensor_entries, adapter_shapes(base_config, rank, targets), size - data_start)
        yield AdapterHeader(rank, alpha, targets, tensors), file, data_start


@contextmanager
def open_regular(path: Path, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file of at most ``limit`` bytes; yield it and its size.

    Does not follow links and does not open devices or pipes. Raises UnsafeAdapterError.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        refuse(Refusal.NOT_A_REGULAR_FILE, path.name)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            refuse(Refusal.NOT_A_REGULAR_FILE, path.name)
        if status.st_size > limit:
            refuse(Refusal.TOO_LARGE, f"{path.name} has {status.st_size:,} bytes, the limit is {limit:,}")
        yield file, status.st_size


def read_small(path: Path) -> bytes:
    """The bytes of a file of at most MAX_JSON_BYTES."""
    with open_regular(path, MAX_JSON_BYTES) as (file, size):
        return file.read(size)


def _check_config(config: dict[str, Any], limits: AdapterLimits) -> tuple[int, float, frozenset[str]]:
    """Rank, alpha and target modules of a config whose every field has been checked."""
    for field in _REQUIRED:
        if field not in config:
            refuse(Refusal.BAD_CONFIG_VALUE, f"{CONFIG} lacks {field}")
    for field, value in config.items():
        if field in _NEUTRAL:
            neutral = any(type(value) is type(allowed) and value == allowed for allowed in _NEUTRAL[field])
            _require_value(neutral, field, value)
        elif field in _LABELS:
            label = value is None or (isinstance(value, str) and bool(_LABELS[field].fullmatch(value)))
            _require_value(label, field, value)
        elif field == "lora_dropout":
            _require_value(_is_number(value) and 0 <= value < 1, field, value)
        elif field not in _REQUIRED:
            refuse(Refusal.FORBIDDEN_FIELD, f"{short_repr(field)} in {CONFIG}")
    rank, alpha, targets = config["r"], config["lora_alpha"], config["target_modules"]
    _require_value(type(rank) is int and rank >= 1, "r", rank)
    if rank > limits.max_rank:
        refuse(Refusal.RANK_TOO_HIGH, f"rank {short_repr(rank)}, the task allows {limits.max_rank}")
    _require_value(_is_number(alpha) and 0 < alpha / rank <= MAX_SCALING, "lora_alpha", alpha)
    _require_value(
        isinstance(targets, list)
        and bool(targets)
        and all(isinstance(target, str) for target in targets)
        and len(set(targets)) == len(targets),
        "target_modules",
        targets,
    )
    for target in targets:
        if target not in limits.target_modules:
            refuse(Refusal.FORBIDDEN_TARGET, f"target module {short_repr(target)}")
    return rank, float(alpha), frozenset(targets)


def parse_header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The tensor entries and the offset of the data part.

    A header is its length in 8 bytes, little-endian, then JSON that begins with ``{``.
    """
    head = file.read(9)
    if len(head) < 9:
        refuse(Refusal.BAD_HEADER, f"the weights file of {len(head)} bytes ends before its header")
    if head[8:] != b"{":
        kind = next((name for magic, name in _FORMATS.items() if head.startswith(magic)), "another format")
        refuse(Refusal.NOT_SAFETENSORS, f"the weights file looks like {kind}")
    length = int.from_bytes(head[:8], "little")
    if length > MAX_HEADER_BYTES:
        refuse(Refusal.HEADER_TOO_LARGE, f"the header claims {length:,} bytes, the limit is {MAX_HEADER_BYTES:,}")
    if not 2 <= length <= size - 8:
        refuse(Refusal.BAD_HEADER, f"the header claims {length:,} bytes of a file of {size:,}")
    header = strict_json(b"{" + file.read(length - 1), "the safetensors header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        refuse(Refusal.BAD_HEADER, "__metadata__ is not a map of strings")
    return header, 8 + length


def _check_tensors(
    entries: dict[str, Any], expected: dict[str, tuple[int, int]], data_bytes: int
) -> dict[str, TensorSlot]:
    """The tensors of a header, once they have the ``expected`` names and shapes and fill the data part exactly."""
    for name in sorted(entries.keys() - expected.keys()):
        refuse(Refusal.UNEXPECTED_TENSOR, short_repr(name))
    for name in sorted(expected.keys() - entries.keys()):
        refuse(Refusal.MISSING_TENSOR, name)
    tensors: dict[str, TensorSlot] = {}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            refuse(Refusal.BAD_HEADER, f"the entry of {name}")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
            refuse(Refusal.BAD_DTYPE, f"{name} is {short_repr(dtype)}, allowed are {', '.join(ITEM_BYTES)}")
        if not _is_pair(shape) or tuple(shape) != expected[name]:
            refuse(Refusal.BAD_SHAPE, f"{name} is {short_repr(shape)}, the base needs {list(expected[name])}")
        if not _is_pair(offsets) or offsets[1] - offsets[0] != shape[0] * shape[1] * ITEM_BYTES[dtype]:
            refuse(Refusal.BAD_OFFSETS, f"{name} at {short_repr(offsets)}")
        tensors[name] = TensorSlot(dtype, expected[name], offsets[0], offsets[1])
    position = 0
    for name, slot in sorted(tensors.items(), key=lambda item: item[1].begin):
        if slot.begin != position:
            refuse(Refusal.BAD_OFFSETS, f"{name} leaves a gap or overlaps another tensor")
        position = slot.end
    if position != data_bytes:
        refuse(Refusal.BAD_OFFSETS, f"the tensors cover {position:,} of {data_bytes:,} bytes")
    return tensors


def widen(dtype: str, data: bytes) -> Array:
    """Stored little-endian values as float32 (values,); exact for all three dtypes."""
    import numpy as np  # here, because the daemon reads headers only

    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype(np.float32)


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer larger than any float
        return False


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(item) is int and item >= 0 for item in value)


def _require_value(condition: bool, field: str, value: object) -> None:
    if not condition:
        refuse(Refusal.BAD_CONFIG_VALUE, f"{field} is {short_repr(value)}")
