"""Figures of the demo's result."""

from __future__ import annotations

import json

import pytest

from covey.devnet.results import count_parameters, smooth, spearman
from covey.lora.bases.resolve import resolve


@pytest.mark.parametrize(
    ("xs", "ys", "rho"), [([1, 2, 3], [10, 20, 30], 1.0), ([1, 2, 3], [3, 2, 1], -1.0), ([1, 2, 3], [5, 5, 5], 0.0)]
)
def test_spearman(xs: list[float], ys: list[float], rho: float) -> None:
    assert spearman(xs, ys) == rho


def test_smooth_returns_trailing_means() -> None:
    assert [point.loss for point in smooth([4.0, 2.0, 0.0], window=2)] == [4.0, 3.0, 1.0]


def test_count_parameters_equals_the_size_of_the_weights() -> None:
    base = resolve("tiny")
    with (base.folder / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for length in tensor["shape"]:
                size *= length
            total += size
    assert count_parameters(base.config) == total
