"""PEFT's adapter files: their names, their stored types, and an adapter in memory. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from covey.lora.types import Array
from covey.protocol.entry import ADAPTER_NAME, CONFIG_NAME, MANIFEST_NAME

WEIGHTS, CONFIG, MANIFEST = ADAPTER_NAME, CONFIG_NAME, MANIFEST_NAME
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
"""Bytes per value of each stored type that is accepted, by its safetensors name."""


class TensorSlot(NamedTuple):
    """Type, shape and byte range of a tensor in the data part of a safetensors file."""

    dtype: str
    shape: tuple[int, int]
    begin: int
    end: int


@dataclass(frozen=True)
class AdapterHeader:
    """The contents of an adapter's config and safetensors header."""

    rank: int
    alpha: float
    targets: frozenset[str]
    tensors: Mapping[str, TensorSlot]
    """By tensor name."""

    @property
    def scaling(self) -> float:
        """alpha / rank."""
        return self.alpha / self.rank


@dataclass(frozen=True)
class Adapter:
    """An accepted adapter: its header and its arrays, A (rank, inputs) and B (outputs, rank), by tensor name."""

    header: AdapterHeader
    arrays: Mapping[str, Array]
