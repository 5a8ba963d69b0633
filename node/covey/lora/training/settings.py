"""Hyperparameters of a training run. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from covey.lora.bases.shapes import TARGET_MODULES


@dataclass(frozen=True)
class TrainSettings:
    """Hyperparameters. ``learning_rate`` is the peak; it warms up linearly, then falls to a tenth along a cosine."""

    steps: int
    batch_records: int = 16
    learning_rate: float = 6e-3
    warmup_steps: int = 4
    weight_decay: float = 0.0
    rank: int = 8
    alpha: int = 16
    targets: frozenset[str] = frozenset(TARGET_MODULES)
    max_gradient_norm: float = 1.0
    seed: int = 0
