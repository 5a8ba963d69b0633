"""Stratified subsamples."""

from __future__ import annotations

import pytest

from covey.lora.data.records import Record
from covey.lora.data.sample import stratified_sizes, subsample
from covey.lora.errors import DataError


def test_subsample_is_stratified_and_depends_on_the_seed() -> None:
    records = [Record(f"{name}{index}", name) for name in "abc" for index in range(50)]
    weights = {"a": 5000.0, "b": 5000.0}
    first = subsample(records, weights, {"a": 5, "b": 5}, 40, "seed 1")
    assert [sum(record.stratum == name for record in first) for name in "abc"] == [20, 20, 0]
    assert len(set(first)) == 40
    assert first == subsample(records, weights, {"a": 5, "b": 5}, 40, "seed 1")
    assert first != subsample(records, weights, {"a": 5, "b": 5}, 40, "seed 2")
    assert len(subsample(records, weights, {"a": 50, "b": 5}, 40, "seed 1")) == 70  # one minimum exceeds the share


def test_missing_stratum_is_reported() -> None:
    records = [Record(f"{index}", "a") for index in range(50)]
    with pytest.raises(DataError, match="stratum 'b' needs 5 held-out records, there are 0"):
        subsample(records, {"a": 1.0, "b": 1.0}, {"a": 5, "b": 5}, 20, "s")


def test_sizes_are_proportional_to_the_weights() -> None:
    assert stratified_sizes({"a": 3.0, "b": 1.0, "c": 0.001}, 100) == {"a": 75, "b": 25, "c": 1}
