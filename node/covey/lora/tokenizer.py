"""The tokenizer file of a base model. It decides nothing but tokens. Does not import torch.

A ``tokenizer.json`` may also hold settings for padding, truncation and random merges (BPE dropout), which the library
applies to every text that it encodes. They would change what is trained and scored, so they are switched off:
`covey.lora.data` alone cuts and pads sequences, and the same text always has the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from covey.lora.errors import BaseModelError, one_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"


def open_tokenizer(folder: Path) -> Tokenizer:
    """The base's tokenizer, without padding, truncation and dropout. Raises BaseModelError."""
    from tokenizers import Tokenizer  # here, because the daemon checks bases in the background only

    path = folder / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if getattr(tokenizer.model, "dropout", None) is not None:
            tokenizer.model.dropout = None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises bare Exception, and a panic that is no Exception
        raise BaseModelError(f"{path} cannot be read: {one_line(error)}") from None
    return tokenizer


def end_of_text_id(config: Mapping[str, object]) -> int:
    """The end-of-text token in a base's ``config.json``; the first one where the config lists several."""
    value = config.get("eos_token_id")
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, int) or isinstance(value, bool):
        raise BaseModelError("config.json has no eos_token_id: give a Qwen2 or Qwen3 model")
    return value


def check_tokens(folder: Path, config: Mapping[str, object]) -> int:
    """Check that every token of the file has a row in the embedding, and that the end-of-text token exists.

    Args:
        config: the base's ``config.json``.

    Returns:
        The number of tokens.

    Raises:
        BaseModelError: the file cannot be read, or a token does not fit the model. The message names the file.
    """
    rows = config.get("vocab_size")
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise BaseModelError(f"{folder}/config.json has no usable vocab_size: give a Qwen2 or Qwen3 model")
    vocabulary = open_tokenizer(folder).get_vocab(with_added_tokens=True)
    beyond = sorted((index, token) for token, index in vocabulary.items() if index >= rows)
    if beyond:
        index, token = beyond[0]
        raise BaseModelError(
            f"{folder / TOKENIZER} has token {token!r} with id {index}, but the model has {rows} embeddings "
            f"(vocab_size of config.json): use the tokenizer that was published with these weights"
        )
    end = end_of_text_id(config)
    if end not in vocabulary.values():
        raise BaseModelError(
            f"{folder}/config.json has eos_token_id {end}, which is no token of {folder / TOKENIZER}: "
            "use the files that were published together"
        )
    return len(vocabulary)
