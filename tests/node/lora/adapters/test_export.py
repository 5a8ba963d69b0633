"""The files of an entry: canonical bytes that PEFT loads; PEFT's own output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.numpy import load_file
from tests.support.lora.fixtures import Trained

from covey.lora.adapters.export import weights_bytes
from covey.lora.adapters.loader import AdapterLimits, load_adapter
from covey.lora.adapters.model import AdaptedModel
from covey.lora.bases.load import load_base
from covey.lora.bases.resolve import BaseFolder
from covey.lora.jobs.dispatch import Runner
from covey.protocol.entry import ENTRY_FILES, Manifest


def test_entry_has_three_files_without_local_paths(trained: Trained) -> None:
    folder, _ = trained["first"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(ENTRY_FILES)
    for name in ("adapter_config.json", "manifest.json"):
        assert str(folder.parent) not in (folder / name).read_text()
    manifest = Manifest.from_bytes((folder / "manifest.json").read_bytes())
    assert (manifest.records, manifest.tokens_seen, manifest.training, manifest.software) == (None, None, None, None)
    assert trained["first"][1].tokens_seen > 5_000


def test_same_training_gives_the_same_bytes(trained: Trained, runner: Runner, train_job: Any, tmp_path: Path) -> None:
    runner.run(train_job(tmp_path / "again"))
    for name in ENTRY_FILES:
        assert (tmp_path / "again" / name).read_bytes() == (trained["first"][0] / name).read_bytes()


def test_bytes_do_not_depend_on_the_order_of_arrays() -> None:
    arrays = {name: np.full((2, 3), value, np.float32) for value, name in enumerate("abc")}
    assert weights_bytes(arrays) == weights_bytes(dict(reversed(arrays.items())))


def test_bfloat16_rounds_half_to_even_like_torch(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    values[0, :2] = np.array([1.00390625, 1.01171875], np.float32)  # exactly between two bfloat16 values
    (tmp_path / "w.safetensors").write_bytes(weights_bytes({"w": values}, "bfloat16"))
    from safetensors.torch import load_file as load_torch

    assert torch.equal(load_torch(tmp_path / "w.safetensors")["w"], torch.from_numpy(values).to(torch.bfloat16))
    with pytest.raises(ValueError, match="float32 or bfloat16"):
        weights_bytes({"w": values}, "int8")


@pytest.mark.parametrize("name", ["first", "random"])
def test_peft_loads_the_entry_and_computes_the_same_logits(name: str, trained: Trained, tiny: BaseFolder) -> None:
    folder, _ = trained[name]
    tokens = torch.randint(1, 4096, (3, 20), generator=torch.Generator().manual_seed(0))
    ours = AdaptedModel(load_base(tiny, "float32"))
    with torch.inference_mode():
        bare = ours.base.model(input_ids=tokens).logits
        ours.set(load_adapter(folder, tiny.config, AdapterLimits()))
        adapted = ours.base.model(input_ids=tokens).logits
        theirs = PeftModel.from_pretrained(load_base(tiny, "float32").model, str(folder))
        expected = theirs(input_ids=tokens).logits
    assert (adapted - bare).abs().max() > 0.05
    torch.testing.assert_close(adapted, expected, rtol=1e-4, atol=1e-4)


def test_output_of_peft_without_its_readme_is_accepted(trained: Trained, tiny: BaseFolder, tmp_path: Path) -> None:
    model = PeftModel.from_pretrained(load_base(tiny, "float32").model, str(trained["first"][0]))
    model.save_pretrained(str(tmp_path), save_embedding_layers=False)
    (tmp_path / "README.md").unlink()
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert len(config) > 20
    again = load_adapter(tmp_path, tiny.config, AdapterLimits())
    ours = load_file(trained["first"][0] / "adapter_model.safetensors")
    assert {name: array.tobytes() for name, array in again.arrays.items()} == {
        name: array.tobytes() for name, array in ours.items()
    }
