"""Training lowers the loss, is deterministic, and follows PEFT's loss curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests.support.lora.fixtures import Trained

from covey.devnet.icd10 import Split
from covey.lora.adapters.model import AdaptedModel
from covey.lora.bases.load import load_base
from covey.lora.bases.resolve import BaseFolder
from covey.lora.bases.shapes import TARGET_MODULES, module_of
from covey.lora.data.batches import IGNORE, pad, training_batches
from covey.lora.data.encode import Encoder
from covey.lora.data.records import read_records
from covey.lora.errors import DataError
from covey.lora.training.settings import TrainSettings
from covey.lora.training.train import DivergedError, learning_rate, train


@pytest.fixture(scope="module")
def sequences(tiny: BaseFolder, split: Split) -> list[list[int]]:
    texts = [record.text for record in read_records(split.hospitals[0])]
    return Encoder(tiny.folder, 0, 48).encode(texts)


def test_training_lowers_the_loss(trained: Trained) -> None:
    losses = trained["first"][1].losses
    assert len(losses) == 16
    assert np.mean(losses[-3:]) < 0.85 * losses[0]


def test_loss_curve_equals_that_of_peft(tiny: BaseFolder, sequences: list[list[int]]) -> None:
    """Compares with PEFT's model in float32, with the same initial weights, batches, rates and optimiser."""
    settings = TrainSettings(steps=6, seed=3)
    ours = train(AdaptedModel(load_base(tiny, "float32")), sequences, settings)

    start = AdaptedModel(load_base(tiny, "float32"))
    start.train_new(settings.rank, settings.alpha, settings.targets, settings.seed)
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, target_modules=list(TARGET_MODULES), task_type="CAUSAL_LM"
    )
    model: Any = get_peft_model(load_base(tiny, "float32").model, config)
    named = {
        name.replace(".default", ""): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    with torch.no_grad():
        for name, array in start.arrays().items():
            named[name].copy_(torch.from_numpy(array))
    optimiser = torch.optim.AdamW(named.values(), betas=(0.9, 0.999), weight_decay=0.0)
    losses = []
    batches = training_batches([len(s) for s in sequences], settings.batch_records, settings.steps, settings.seed)
    for step, batch in enumerate(batches):
        optimiser.param_groups[0]["lr"] = learning_rate(settings, step)
        inputs, targets = map(torch.from_numpy, pad([sequences[i] for i in batch]))
        logits = model(input_ids=inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(named.values()), settings.max_gradient_norm)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert ours.losses == pytest.approx(losses, rel=2e-4)
    largest = max(float(np.abs(array).max()) for array in ours.arrays.values())
    for name, array in ours.arrays.items():
        assert np.abs(array - named[name].detach().numpy()).max() < 0.05 * largest


def test_only_targets_are_adapted_and_the_base_is_unchanged(tiny: BaseFolder, sequences: list[list[int]]) -> None:
    model = AdaptedModel(load_base(tiny))
    before = {name: value.clone() for name, value in model.base.model.state_dict().items()}
    result = train(model, sequences, TrainSettings(steps=2, rank=4, targets=frozenset({"q_proj", "v_proj"})))
    assert {module_of(name)[0].rsplit(".", 1)[1] for name in result.arrays} == {"q_proj", "v_proj"}
    assert {array.shape for name, array in result.arrays.items() if name.endswith("q_proj.lora_A.weight")} == {(4, 256)}
    after = model.base.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(layer.change is None for layer in model.layers.values())


def test_progress_is_reported_every_step(tiny: BaseFolder, sequences: list[list[int]]) -> None:
    seen: list[tuple[str, int, int]] = []
    train(AdaptedModel(load_base(tiny)), sequences, TrainSettings(steps=2), lambda *step: seen.append(step))
    assert seen == [("train", 1, 2), ("train", 2, 2)]


def test_divergence_is_an_error_and_leaves_no_active_adapter(tiny: BaseFolder, sequences: list[list[int]]) -> None:
    model = AdaptedModel(load_base(tiny))
    with pytest.raises(DivergedError, match="use a lower learning rate"):
        train(model, sequences, TrainSettings(steps=5, learning_rate=1e38, warmup_steps=0, max_gradient_norm=1e30))
    assert all(layer.change is None for layer in model.layers.values())


def test_training_without_records_is_an_error(tiny: BaseFolder) -> None:
    with pytest.raises(DataError, match="no records"):
        train(AdaptedModel(load_base(tiny)), [], TrainSettings(steps=1))


def test_learning_rate_warms_up_and_falls_to_a_tenth() -> None:
    settings = TrainSettings(steps=100, learning_rate=1.0, warmup_steps=4)
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
