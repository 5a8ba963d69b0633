"""Losses of records: token-exact, paired, and independent of batching."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.support.lora.fixtures import Trained

from covey.devnet.icd10 import STRATA, Split
from covey.lora.adapters.loader import AdapterLimits, load_adapter
from covey.lora.adapters.model import AdaptedModel
from covey.lora.bases.load import load_base
from covey.lora.bases.resolve import BaseFolder
from covey.lora.data.encode import Encoder
from covey.lora.data.records import Record, read_records
from covey.lora.scoring.score import BrokenBaseError, HeldOut, base_nll, improvement, record_nll


@pytest.fixture(scope="module")
def records(split: Split) -> list[Record]:
    return read_records(split.common)


@pytest.fixture(scope="module")
def held_out(records: list[Record], tiny: BaseFolder) -> HeldOut:
    sequences = Encoder(tiny.folder, 0, 48).encode([record.text for record in records])
    return HeldOut(sequences, [record.stratum for record in records])


@pytest.fixture(scope="module")
def exact(tiny: BaseFolder) -> AdaptedModel:
    return AdaptedModel(load_base(tiny, "float32"))


def test_loss_is_the_sum_over_all_target_tokens(
    exact: AdaptedModel, held_out: HeldOut, records: list[Record], tiny: BaseFolder
) -> None:
    found = record_nll(exact, None, held_out)
    assert int(held_out.tokens.sum()) == sum(int((batch.targets >= 0).sum()) for batch in held_out.batches)
    encoder = Encoder(tiny.folder, 0, 48)
    for row in (0, 40, 100):
        (tokens,) = encoder.encode([records[row].text])
        with torch.inference_mode():
            logits = exact.base.model(input_ids=torch.tensor([tokens[:-1]])).logits[0].double()
        picked = torch.log_softmax(logits, 1)[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])]
        assert found[row] == pytest.approx(-float(picked.sum()), rel=1e-5)


def test_adapter_improves_its_own_stratum_most(
    exact: AdaptedModel, held_out: HeldOut, trained: Trained, tiny: BaseFolder
) -> None:
    base = base_nll(exact, held_out)
    weights = dict.fromkeys(STRATA, 1.0)
    gains = []
    for name in ("first", "second"):
        adapter = load_adapter(trained[name][0], tiny.config, AdapterLimits())
        gains.append(improvement(base, record_nll(exact, adapter, held_out), held_out, weights)[1])
    own = list(STRATA)[:2]
    assert gains[0][own[0]] > gains[1][own[0]] > 0
    assert gains[1][own[1]] > gains[0][own[1]] > 0


def test_bfloat16_changes_the_improvement_little(
    exact: AdaptedModel, held_out: HeldOut, trained: Trained, tiny: BaseFolder
) -> None:
    adapter = load_adapter(trained["first"][0], tiny.config, AdapterLimits())
    weights = dict.fromkeys(STRATA, 1.0)
    overall = []
    for model in (exact, AdaptedModel(load_base(tiny, "bfloat16"))):
        base = base_nll(model, held_out)
        overall.append(improvement(base, record_nll(model, adapter, held_out), held_out, weights)[0])
    assert abs(overall[0] - overall[1]) < 2e-3


def test_broken_base_is_an_error(tiny: BaseFolder, held_out: HeldOut) -> None:
    model = AdaptedModel(load_base(tiny))
    with torch.no_grad():
        model.base.model.model.norm.weight[0] = float("nan")
    with pytest.raises(BrokenBaseError, match="the base model's own loss"):
        base_nll(model, held_out)


def test_sums_and_counts_by_stratum() -> None:
    held_out = HeldOut([[0, 1, 2], [0, 3], [0, 4, 5, 6]], ["a", "b", "a"])
    assert held_out.counts() == {"a": (2, 5), "b": (1, 1)}
    assert held_out.sums(np.array([1.0, 2.0, 4.0])) == {"a": 5.0, "b": 2.0}
