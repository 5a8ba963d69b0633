"""Records, batches and subsamples."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.lora.bases.resolve import BaseFolder
from covey.lora.data.batches import IGNORE, length_batches, pad, training_batches
from covey.lora.data.encode import Encoder
from covey.lora.data.records import Record, read_records, write_records
from covey.lora.data.sample import stratified_sizes, subsample
from covey.lora.errors import DataError

LENGTHS = st.lists(st.integers(2, 64), min_size=1, max_size=200)


def test_records_survive_the_disk_and_are_their_owners_alone(tmp_path: Path) -> None:
    records = [Record("Fièvre jaune", "a"), Record('quote " and \n newline', "b")]
    path = tmp_path / "deep" / "records.jsonl"
    write_records(path, records)
    assert read_records(path) == records
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ('{"text": "a", "stratum": "s"}\nnot json\n', ":2: not a record"),
        ('{"text": "a"}\n', ":1: not a record"),
        ('["text"]\n', ":1: not a record"),
        ('{"text": " ", "stratum": "s"}\n', ":1: text and stratum"),
        ('{"text": 5, "stratum": "s"}\n', ":1: text and stratum"),
    ],
)
def test_a_bad_file_of_records_names_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_records(path)
    with pytest.raises(DataError, match="no records at"):
        read_records(tmp_path / "missing.jsonl")


def test_encoding_frames_cuts_and_keeps_every_token(tiny: BaseFolder) -> None:
    encoder = Encoder(tiny.folder, 0, 12)
    short, long = encoder.encode(["Cholera", "word " * 50])
    assert short[0] == short[-1] == 0
    assert 0 not in short[1:-1]
    assert len(long) == 12
    with pytest.raises(DataError, match="at least 2"):
        Encoder(tiny.folder, 0, 1)


def test_padding_shifts_targets_by_one_and_ignores_the_rest() -> None:
    inputs, targets = pad([[9, 1, 2, 9], [9, 3, 9]], multiple=4)
    assert inputs.tolist() == [[9, 1, 2, 0], [9, 3, 0, 0]]
    assert targets.tolist() == [[1, 2, 9, IGNORE], [3, 9, IGNORE, IGNORE]]


@given(LENGTHS, st.integers(64, 512))
def test_length_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
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


def test_a_subsample_is_stratified_fresh_and_repeatable() -> None:
    records = [Record(f"{name}{index}", name) for name in "abc" for index in range(50)]
    weights = {"a": 5000.0, "b": 5000.0}
    first = subsample(records, weights, {"a": 5, "b": 5}, 40, "seed 1")
    assert [sum(record.stratum == name for record in first) for name in "abc"] == [20, 20, 0]
    assert len(set(first)) == 40
    assert first == subsample(records, weights, {"a": 5, "b": 5}, 40, "seed 1")
    assert first != subsample(records, weights, {"a": 5, "b": 5}, 40, "seed 2")
    assert len(subsample(records, weights, {"a": 50, "b": 5}, 40, "seed 1")) == 70  # minimum above the share


def test_a_lacking_stratum_is_named() -> None:
    records = [Record(f"{index}", "a") for index in range(50)]
    with pytest.raises(DataError, match="stratum 'b' needs 5 held-out records, there are 0"):
        subsample(records, {"a": 1.0, "b": 1.0}, {"a": 5, "b": 5}, 20, "s")


def test_sizes_follow_the_weights() -> None:
    assert stratified_sizes({"a": 3.0, "b": 1.0, "c": 0.001}, 100) == {"a": 75, "b": 25, "c": 1}
