"""Padding and batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from covey.lora.data.batches import IGNORE, length_batches, pad, training_batches

LENGTHS = st.lists(st.integers(2, 64), min_size=1, max_size=200)


def test_padding_shifts_targets_by_one_and_ignores_the_rest() -> None:
    inputs, targets = pad([[9, 1, 2, 9], [9, 3, 9]], multiple=4)
    assert inputs.tolist() == [[9, 1, 2, 0], [9, 3, 0, 0]]
    assert targets.tolist() == [[1, 2, 9, IGNORE], [3, 9, IGNORE, IGNORE]]


@given(LENGTHS, st.integers(64, 512))
def test_length_batches_contain_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = length_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        width = -(-(max(lengths[index] for index in batch) - 1) // 8) * 8
        assert len(batch) == 1 or len(batch) * width <= budget


@given(LENGTHS, st.integers(1, 8), st.integers(1, 12), st.integers(0, 5))
def test_training_visits_every_record_equally_often(lengths: list[int], size: int, steps: int, seed: int) -> None:
    batches = training_batches(lengths, size, steps, seed)
    assert [len(batch) for batch in batches] == [size] * steps
    assert batches == training_batches(lengths, size, steps, seed)
    whole = training_batches(lengths, size, 8 * len(lengths), seed)
    counts = np.bincount([index for batch in whole for index in batch], minlength=len(lengths))
    assert set(counts.tolist()) == {8 * size}
