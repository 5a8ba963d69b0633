"""Finding and loading base models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from covey.lora.bases.load import load_base
from covey.lora.bases.resolve import BaseFolder, resolve
from covey.lora.bases.shapes import linear_shapes
from covey.lora.errors import BaseModelError


def test_embedded_base_is_small_and_documented(tiny: BaseFolder) -> None:
    assert tiny.config["model_type"] == "qwen3"
    assert sum(path.stat().st_size for path in tiny.folder.iterdir()) <= 10_000_000
    card = (tiny.folder / "README.md").read_text()
    assert "WordNet" in card
    assert "held-out loss" in card


def test_local_copy_has_the_same_digest(tiny: BaseFolder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny.folder, copy)
    assert resolve(str(copy)).digest == tiny.digest


def test_other_digest_than_the_tasks_is_refused() -> None:
    with pytest.raises(BaseModelError, match="get the exact revision"):
        resolve("tiny", digest="00" * 32)


@pytest.mark.parametrize("name", ["nowhere", "/no/such/folder", "a/b/c"])
def test_error_of_an_unknown_name_lists_the_choices(name: str) -> None:
    with pytest.raises(BaseModelError, match="an existing folder, or a hub name"):
        resolve(name)


def test_error_of_a_hub_name_without_network_lists_the_choices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BaseModelError, match="give a local folder, or use the embedded base") as caught:
        resolve("Qwen/Qwen2.5-0.5B")
    assert "\n" not in str(caught.value)


def test_unsupported_model_is_refused(tiny: BaseFolder, tmp_path: Path) -> None:
    shutil.copytree(tiny.folder, tmp_path / "copy")
    config = tmp_path / "copy" / "config.json"
    config.write_text(json.dumps({**tiny.config, "model_type": "llama"}))
    with pytest.raises(BaseModelError, match="'llama' model: Covey trains qwen2 and qwen3"):
        resolve(str(tmp_path / "copy"))
    config.write_text(json.dumps({**tiny.config, "quantization_config": {"bits": 4}}))
    with pytest.raises(BaseModelError, match="quantised"):
        resolve(str(tmp_path / "copy"))
    config.write_text("[]")
    with pytest.raises(BaseModelError, match="not a model configuration"):
        resolve(str(tmp_path / "copy"))


def test_weights_that_contradict_the_config_are_refused(tiny: BaseFolder, tmp_path: Path) -> None:
    larger = {"num_hidden_layers": 5, "layer_types": ["full_attention"] * 5}
    shutil.copytree(tiny.folder, tmp_path / "copy")
    (tmp_path / "copy" / "config.json").write_text(json.dumps(tiny.config | larger))
    with pytest.raises(BaseModelError, match="lacks weights such as"):
        load_base(resolve(str(tmp_path / "copy")))
    (tmp_path / "copy" / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(BaseModelError, match="cannot load"):
        load_base(resolve(str(tmp_path / "copy")))


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_shapes_from_the_config_equal_the_models(kind: str, tiny: BaseFolder) -> None:
    from torch import nn
    from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

    sizes: dict[str, Any] = {"vocab_size": 32, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2}
    if kind == "qwen2":
        model: PreTrainedModel = Qwen2ForCausalLM(Qwen2Config(**sizes, **heads))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, **heads, head_dim=16))
    found = {
        name: tuple(module.weight.shape)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name != "lm_head"
    }
    assert linear_shapes(model.config.to_dict()) == found
