"""Tokenisation of records with a base model's tokenizer. Does not import torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from covey.lora.errors import DataError
from covey.lora.tokenizer import open_tokenizer


class Encoder:
    """Turns texts into token sequences: end-of-text, the text's tokens, end-of-text, cut to ``length`` tokens.

    The leading end-of-text token separates documents as in pretraining, so every token of the text is a target.
    """

    def __init__(self, folder: Path, end_of_text: int, length: int) -> None:
        if length < 2:
            raise DataError(f"a sequence length of {length} leaves nothing to predict: give at least 2")
        self._tokenizer = open_tokenizer(folder)
        self._end = end_of_text
        self._length = length

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """One list of 2…length token ids per text. The first id is context only; the others are targets."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [[self._end, *encoding.ids, self._end][: self._length] for encoding in encodings]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Number of target tokens of each text, 1…length - 1."""
        return [len(sequence) - 1 for sequence in self.encode(texts)]
