"""Tokenisation of records with a base model's tokenizer. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from covey.lora.errors import BaseModelError, DataError


class Encoder:
    """Turns texts into token sequences: end-of-text, the text's tokens, end-of-text, cut to ``length`` tokens.

    The leading end-of-text token separates documents as in pretraining, so every token of the text is a target.
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
        """One list of 2…length token ids per text. The first id is context only; the others are targets."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [[self._end, *encoding.ids, self._end][: self._length] for encoding in encodings]


def end_of_text_id(config: Mapping[str, object]) -> int:
    """The end-of-text token in a base's ``config.json``; the first one where the config lists several."""
    value = config.get("eos_token_id")
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, int) or isinstance(value, bool):
        raise BaseModelError("config.json has no eos_token_id: give a Qwen2 or Qwen3 model")
    return value
