"""Padded batches of token sequences. Does not import torch."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from covey.lora.errors import DataError

IGNORE = -100
"""Target of a padded position."""
Tokens = npt.NDArray[np.int64]


def pad(sequences: Sequence[Sequence[int]], multiple: int = 8) -> tuple[Tokens, Tokens]:
    """Inputs and targets, both (rows, width), padded on the right.

    ``width`` is the longest sequence less one, rounded up to ``multiple``. A causal mask keeps padding on the right
    from affecting positions to its left, so no attention mask is needed.
    """
    longest = max(len(sequence) for sequence in sequences) - 1
    width = _rounded_up(longest, multiple)
    inputs = np.zeros((len(sequences), width), dtype=np.int64)  # (rows, width)
    targets = np.full((len(sequences), width), IGNORE, dtype=np.int64)  # (rows, width)
    for row, sequence in enumerate(sequences):
        inputs[row, : len(sequence) - 1] = sequence[:-1]
        targets[row, : len(sequence) - 1] = sequence[1:]
    return inputs, targets


def length_batches(lengths: Sequence[int], max_tokens: int, multiple: int = 8) -> list[list[int]]:
    """Group row indices, shortest row first, into batches of at most ``max_tokens`` padded tokens.

    Every index occurs exactly once. A row longer than ``max_tokens`` is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        width = _rounded_up(lengths[index] - 1, multiple)
        if batches and (len(batches[-1]) + 1) * width <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def training_batches(lengths: Sequence[int], size: int, steps: int, seed: int, pool: int = 8) -> list[list[int]]:
    """``steps`` batches of ``size`` row indices: shuffled epochs in which rows of similar length share a batch.

    Each run of ``pool`` batches is sorted by length, then its batches are shuffled. This keeps padding low, and every
    epoch still visits every record once.
    """
    if not lengths:
        raise DataError("no records to train on")
    rng = random.Random(seed)
    batches: list[list[int]] = []
    queue: list[int] = []
    while len(batches) < steps:
        while len(queue) < size * pool:
            epoch = list(range(len(lengths)))
            rng.shuffle(epoch)
            queue.extend(epoch)
        run, queue = queue[: size * pool], queue[size * pool :]
        run.sort(key=lambda index: lengths[index])
        run_batches = [run[start : start + size] for start in range(0, len(run), size)]
        rng.shuffle(run_batches)
        batches.extend(run_batches)
    return batches[:steps]


def _rounded_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
