"""The tokenizer file decides nothing but tokens, and every token of it has an embedding."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from covey.lora.bases.resolve import BaseFolder, resolve
from covey.lora.data.encode import Encoder
from covey.lora.errors import BaseModelError
from covey.lora.tokenizer import check_tokens, end_of_text_id

TEXTS = ["x", "Cholera due to Vibrio", "word " * 60]


def padding(**changes: Any) -> dict[str, Any]:
    settings = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
    return {"padding": {**settings, "pad_type_id": 0, "pad_token": "<|endoftext|>", **changes}}


def truncation(**changes: Any) -> dict[str, Any]:
    return {"truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0, **changes}}


@pytest.fixture
def base(tiny: BaseFolder, tmp_path: Path) -> Path:
    """A copy of the embedded base."""
    shutil.copytree(tiny.folder, tmp_path / "base")
    return tmp_path / "base"


def change(base: Path, file: str, **fields: Any) -> None:
    path = base / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    "settings",
    [
        padding(),
        padding(direction="Left"),
        padding(strategy={"Fixed": 48}),
        padding(pad_to_multiple_of=16, pad_id=7),
        truncation(),
        truncation(direction="Left", stride=2),
        truncation(strategy="OnlyFirst", max_length=0),
        {**padding(strategy={"Fixed": 48}), **truncation()},
    ],
)
def test_padding_and_truncation_of_the_file_never_apply(tiny: BaseFolder, base: Path, settings: dict[str, Any]) -> None:
    change(base, "tokenizer.json", **settings)
    assert Encoder(base, 0, 64).encode(TEXTS) == Encoder(tiny.folder, 0, 64).encode(TEXTS)


def test_random_merges_of_the_file_never_apply(tiny: BaseFolder, base: Path) -> None:
    model = json.loads((base / "tokenizer.json").read_text())["model"]
    change(base, "tokenizer.json", model={**model, "dropout": 0.9})
    assert Encoder(base, 0, 64).encode(TEXTS) == Encoder(tiny.folder, 0, 64).encode(TEXTS)


def test_special_tokens_of_a_post_processor_are_not_added(tiny: BaseFolder, base: Path) -> None:
    template = [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}
    processor = {"type": "TemplateProcessing", "single": template, "pair": template, "special_tokens": special}
    change(base, "tokenizer.json", post_processor=processor)
    assert Encoder(base, 0, 64).encode(TEXTS) == Encoder(tiny.folder, 0, 64).encode(TEXTS)


def added(index: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": "<|extra|>", "special": True, **flags}


def test_complete_tokenizer_is_accepted(tiny: BaseFolder) -> None:
    assert check_tokens(tiny.folder, tiny.config) == 4096


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("config.json", {"vocab_size": 4000}, r"tokenizer.json has token .* with id 4000, but the model has 4000"),
        ("config.json", {"vocab_size": None}, "config.json has no usable vocab_size"),
        ("config.json", {"vocab_size": "4096"}, "config.json has no usable vocab_size"),
        ("config.json", {"vocab_size": True}, "config.json has no usable vocab_size"),
        (
            "config.json",
            {"eos_token_id": -1},
            r"config.json has eos_token_id -1, which is no token of .*r\.json",
        ),
        ("config.json", {"eos_token_id": 4096}, "config.json has eos_token_id 4096"),
        ("config.json", {"eos_token_id": [1 << 40, 0]}, "config.json has eos_token_id 1099511627776"),
        ("config.json", {"eos_token_id": "0"}, "no eos_token_id"),
        ("config.json", {"hidden_size": "wide"}, "config.json lacks a usable"),
        ("tokenizer.json", {"added_tokens": [added(4096)]}, r"token '<\|extra\|>' with id 4096"),
        ("tokenizer.json", {"model": {"type": "BPE", "vocab": {}, "merges": []}}, "eos_token_id 0, which is no token"),
        ("tokenizer.json", {"model": None}, r"tokenizer.json cannot be read"),
        ("tokenizer.json", {"truncation": {"max_length": 4}}, r"tokenizer.json cannot be read"),
    ],
)
def test_tokens_that_do_not_fit_the_model_are_refused_by_file(
    base: Path, file: str, fields: dict[str, Any], message: str
) -> None:
    if file == "tokenizer.json" and "model" in fields:
        fields = {**fields, "added_tokens": []}
    change(base, file, **fields)
    with pytest.raises(BaseModelError, match=message) as caught:
        resolve(str(base))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="no fields"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff\xfe{\x00}\x00", id="utf-16"),
        pytest.param(b"<html>sign in</html>", id="html"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_unreadable_tokenizer_is_refused_by_name(base: Path, content: bytes) -> None:
    (base / "tokenizer.json").write_bytes(content)
    with pytest.raises(BaseModelError, match=r"base/tokenizer\.json cannot be read"):
        resolve(str(base))


def test_end_of_text_id_is_the_first_of_the_config() -> None:
    assert end_of_text_id({"eos_token_id": 7}) == end_of_text_id({"eos_token_id": [7, 8]}) == 7
    configs: list[dict[str, object]] = [{}, {"eos_token_id": None}, {"eos_token_id": True}, {"eos_token_id": []}]
    for config in configs:
        with pytest.raises(BaseModelError, match="no eos_token_id"):
            end_of_text_id(config)
