"""Records: reading, writing, tokenising, batching and subsampling. Does not import torch.

A file of records is JSON Lines, one object a line: ``{"text": "…", "stratum": "…"}``. It never leaves the machine.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from covey.lora.errors import BaseModelError, DataError

IGNORE = -100  # target of a padded position
Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Record:
    """One text and the stratum of the task's data that it belongs to."""

    text: str
    stratum: str


def read_records(path: Path) -> list[Record]:
    """Read a JSON Lines file of records. Raises DataError naming the first bad line."""
    if not path.is_file():
        raise DataError(f"no records at {path}: give a JSON Lines file of objects with text and stratum")
    records = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                value = json.loads(line)
                text, stratum = value["text"], value["stratum"]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f'{path}:{number}: not a record; each line is {{"text": …, "stratum": …}}') from error
            if not (isinstance(text, str) and text.strip() and isinstance(stratum, str) and stratum):
                raise DataError(f"{path}:{number}: text and stratum must be non-empty strings")
            records.append(Record(text, stratum))
    if not records:
        raise DataError(f"{path} is empty: give at least one record")
    return records


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a JSON Lines file that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps({"text": record.text, "stratum": record.stratum}, ensure_ascii=False) + "\n")


class Encoder:
    """Turns texts into token sequences: end-of-text, the text's tokens, end-of-text, cut to ``length`` tokens.

    The leading end-of-text separates documents as in pretraining, so every token of the text is a target.
    """

    def __init__(self, folder: Path, end_of_text: int, length: int) -> None:
        if length < 2:
            raise DataError(f"a sequence length of {length} leaves nothing to predict: give at least 2")
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises bare Exception
            raise BaseModelError(f"{folder}/tokenizer.json cannot be read: {error}") from error
        self._end = end_of_text
        self._length = length

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """One list of 2…length token ids a text; the first id is context only, the others are targets."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [[self._end, *encoding.ids, self._end][: self._length] for encoding in encodings]


def end_of_text_id(config: Mapping[str, object]) -> int:
    """The end-of-text token of a base's ``config.json`` (its first, where there are several)."""
    value = config.get("eos_token_id")
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, int) or isinstance(value, bool):
        raise BaseModelError("config.json names no eos_token_id: give a Qwen2 or Qwen3 model")
    return value


def pad(sequences: Sequence[Sequence[int]], multiple: int = 8) -> tuple[Tokens, Tokens]:
    """(inputs, targets), each (rows, width): right-padded to the longest, rounded up to ``multiple``.

    With a causal mask padding on the right changes nothing to its left, so no attention mask is needed.
    """
    longest = max(len(sequence) for sequence in sequences) - 1
    width = -(-longest // multiple) * multiple
    inputs = np.zeros((len(sequences), width), dtype=np.int64)
    targets = np.full((len(sequences), width), IGNORE, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        inputs[row, : len(sequence) - 1] = sequence[:-1]
        targets[row, : len(sequence) - 1] = sequence[1:]
    return inputs, targets


def length_batches(lengths: Sequence[int], max_tokens: int, multiple: int = 8) -> list[list[int]]:
    """Cut all rows, shortest first, into batches of at most ``max_tokens`` padded tokens. Every index occurs once."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        width = -(-(lengths[index] - 1) // multiple) * multiple
        if batches and (len(batches[-1]) + 1) * width <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def training_batches(lengths: Sequence[int], size: int, steps: int, seed: int, pool: int = 8) -> list[list[int]]:
    """``steps`` batches of ``size`` indices: epochs in random order, rows of similar length put together.

    Within each run of ``pool`` batches rows are sorted by length, then the batches are shuffled: little padding, and
    every epoch still visits every record once.
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
        cut = [run[start : start + size] for start in range(0, len(run), size)]
        rng.shuffle(cut)
        batches.extend(cut)
    return batches[:steps]


def subsample(
    records: Sequence[Record], weights: Mapping[str, float], minimum: Mapping[str, int], size: int, seed: str
) -> list[Record]:
    """A fresh stratified subsample without replacement: about ``size`` records in the spec's proportions.

    Each stratum of the spec gets its weight's share of ``size``, at least its ``minimum``, at most what there is.
    Raises DataError if a stratum has fewer records than its minimum: this operator cannot score this task.
    """
    sizes = stratified_sizes(weights, size)
    rng = random.Random(seed)
    chosen: list[Record] = []
    for stratum in sorted(weights):
        held = [record for record in records if record.stratum == stratum]
        needed = max(1, minimum.get(stratum, 1))
        if len(held) < needed:
            raise DataError(f"stratum {stratum!r} needs {needed} held-out records, there are {len(held)}: add records")
        count = min(len(held), max(needed, sizes[stratum]))
        chosen.extend(rng.sample(held, count))
    return chosen


def stratified_sizes(weights: Mapping[str, float], size: int) -> dict[str, int]:
    """``size`` records shared out by the strata's weights, at least one each."""
    total = sum(weights.values())
    return {stratum: max(1, round(size * weight / total)) for stratum, weight in weights.items()}
