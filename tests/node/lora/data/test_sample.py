"""Stratified subsamples."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.lora.data.records import Record
from covey.lora.data.sample import stratified_sizes, subsample, top_up
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


@given(st.lists(st.integers(1, 9_999), min_size=1, max_size=12), st.integers(12, 5_000))
def test_sizes_add_up_to_the_sample(weights: list[int], size: int) -> None:
    sizes = stratified_sizes({f"{index}": float(weight) for index, weight in enumerate(weights)}, size)
    total = sum(weights)
    assert min(sizes.values()) >= 1
    for index, weight in enumerate(weights):
        assert abs(sizes[f"{index}"] - size * weight / total) <= 1
    if min(weights) * size >= total:
        assert sum(sizes.values()) == size


def test_three_equal_strata_fill_a_sample_whose_minimum_is_its_maximum() -> None:
    records = [Record(f"{name}{index}", name) for name in "abc" for index in range(50)]
    weights = {"a": 3333.0, "b": 3333.0, "c": 3334.0}
    assert len(subsample(records, weights, dict.fromkeys(weights, 1), 100, "s")) == 100


def test_sample_gets_more_records_until_it_has_the_tokens() -> None:
    records = [Record("x" * (1 + index % 7), name) for name in "ab" for index in range(600)]

    def count(chosen: Sequence[Record]) -> list[int]:
        return [len(record.text) for record in chosen]

    sample = subsample(records, {"a": 1.0, "b": 1.0}, {"a": 2, "b": 2}, 4, "s")
    assert top_up(sample, records, {"a": 1, "b": 1}, count, "s") == sample
    larger = top_up(sample, records, {"a": 1_500, "b": 1}, count, "s")
    assert larger[:4] == sample
    assert larger == top_up(sample, records, {"a": 1_500, "b": 1}, count, "s")
    assert larger != top_up(sample, records, {"a": 1_500, "b": 1}, count, "other")
    assert {record.stratum for record in larger[4:]} == {"a"}
    tokens = sum(count([record for record in larger if record.stratum == "a"]))
    assert 1_500 <= tokens < 1_507, "it stops at the record that reaches the minimum"
    total = sum(count([record for record in records if record.stratum == "a"]))
    everything = top_up(sample, records, {"a": total}, count, "s")
    assert len({id(record) for record in everything}) == len(everything) == 602
    with pytest.raises(DataError, match=f"stratum 'a' has {total} tokens, needs {total + 1}"):
        top_up(sample, records, {"a": total + 1}, count, "s")
