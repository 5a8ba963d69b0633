"""Token-exact losses of adapters on one resident base, and their relative improvement per stratum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from covey.lora.adapters.format import Adapter
from covey.lora.adapters.model import AdaptedModel
from covey.lora.data.batches import IGNORE, length_batches, pad
from covey.lora.errors import LoraError
from covey.lora.loss import target_nll
from covey.lora.types import Losses, Progress, no_progress
from covey.protocol import quantise

BATCH_TOKENS = 2048


class BrokenBaseError(LoraError):
    """The base model's own loss is not finite on a record, so no adapter can be scored."""


@dataclass(frozen=True)
class Batch:
    """Padded rows on the device."""

    records: npt.NDArray[np.int64]  # (rows,): index of each row's record
    inputs: torch.Tensor  # (rows, length)
    targets: torch.Tensor  # (rows, length)


class HeldOut:
    """Held-out records, tokenised and batched once for all adapters of a task."""

    def __init__(
        self, sequences: Sequence[Sequence[int]], strata: Sequence[str], device: torch.device | str = "cpu"
    ) -> None:
        self.strata = np.array(strata)  # (records,)
        self.tokens = np.array([len(sequence) - 1 for sequence in sequences], dtype=np.int64)  # (records,)
        self.batches = []
        for rows in length_batches([len(sequence) for sequence in sequences], BATCH_TOKENS):
            padded = pad([sequences[row] for row in rows])
            inputs, targets = (torch.from_numpy(array).to(device) for array in padded)  # (rows, length)
            self.batches.append(Batch(np.array(rows), inputs, targets))

    def sums(self, losses: Losses) -> dict[str, float]:
        """Sum of losses (records,) in nats, by stratum."""
        return {str(name): float(losses[self.strata == name].sum()) for name in np.unique(self.strata)}

    def counts(self) -> dict[str, tuple[int, int]]:
        """Number of records and of target tokens, by stratum."""
        return {
            str(name): (int((self.strata == name).sum()), int(self.tokens[self.strata == name].sum()))
            for name in np.unique(self.strata)
        }


def record_nll(
    model: AdaptedModel,
    adapter: Adapter | None,
    held_out: HeldOut,
    progress: Progress = no_progress,
) -> Losses:
    """Sum of the negative log-likelihood of each record's target tokens in nats, float64 (records,).

    Without an adapter these are the base's losses. Logits are computed for target positions only; padding is never
    scored.
    """
    if adapter is None:
        model.clear()
    else:
        model.set(adapter)
    losses = np.zeros(len(held_out.tokens), dtype=np.float64)  # (records,)
    backbone = model.base.model.model
    head = model.base.model.lm_head.weight  # (vocabulary, width)
    try:
        with torch.inference_mode():
            for number, batch in enumerate(held_out.batches):
                is_target = batch.targets != IGNORE  # (rows, length)
                outputs = backbone(input_ids=batch.inputs, use_cache=False).last_hidden_state  # (rows, length, width)
                nll = target_nll(outputs[is_target], head, batch.targets[is_target]).double()  # (tokens,)
                row_of_token = torch.nonzero(is_target)[:, 0]  # (tokens,)
                sums = torch.zeros(len(batch.records), dtype=torch.float64, device=nll.device)  # (rows,)
                sums.index_add_(0, row_of_token, nll)
                losses[batch.records] = sums.cpu().numpy()
                progress("score", number + 1, len(held_out.batches))
    finally:
        model.clear()
    return losses


def base_nll(model: AdaptedModel, held_out: HeldOut, progress: Progress = no_progress) -> Losses:
    """The base's losses, float64 (records,); see `record_nll`. Raises BrokenBaseError if one is not finite."""
    losses = record_nll(model, None, held_out, progress)
    if not np.isfinite(losses).all():
        raise BrokenBaseError("the base model's own loss is not finite: check its files and the numeric type")
    return losses


def improvement(
    base: Losses, adapter: Losses, held_out: HeldOut, weights: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    """Relative improvement of loss over the base: Σ weight · (L_base − L_adapter)/L_base, and the part per stratum.

    ``base`` and ``adapter`` are (records,). Raises KeyError if a weighted stratum has no record.
    """
    base_sums, adapter_sums = held_out.sums(base), held_out.sums(adapter)
    strata = {name: quantise.relative_improvement(base_sums[name], adapter_sums[name]) for name in sorted(base_sums)}
    return quantise.weighted_improvement(base_sums, adapter_sums, weights), strata
