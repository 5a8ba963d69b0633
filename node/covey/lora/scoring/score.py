"""Losses of many adapters on one resident base, token-exact, and their relative improvements a stratum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from covey.lora.adapters.loader import Adapter
from covey.lora.adapters.model import AdaptedModel
from covey.lora.data.records import IGNORE, length_batches, pad
from covey.lora.errors import LoraError
from covey.lora.scoring.loss import target_nll
from covey.lora.training.train import Progress
from covey.protocol import quantise

Losses = npt.NDArray[np.float64]
BATCH_TOKENS = 2048


class BrokenBaseError(LoraError):
    """The base model itself has a loss that is not finite on a record; no adapter may be blamed for it."""


@dataclass(frozen=True)
class Batch:
    """Padded rows on the device: which records they are, inputs and targets (rows, width)."""

    records: npt.NDArray[np.int64]
    inputs: torch.Tensor
    targets: torch.Tensor


class HeldOut:
    """Held-out records, tokenised and batched once for all adapters of a task."""

    def __init__(
        self, sequences: Sequence[Sequence[int]], strata: Sequence[str], device: torch.device | str = "cpu"
    ) -> None:
        self.strata = np.array(strata)
        self.tokens = np.array([len(sequence) - 1 for sequence in sequences], dtype=np.int64)
        self.batches = []
        for rows in length_batches([len(sequence) for sequence in sequences], BATCH_TOKENS):
            inputs, targets = (torch.from_numpy(a).to(device) for a in pad([sequences[row] for row in rows]))
            self.batches.append(Batch(np.array(rows), inputs, targets))

    def sums(self, losses: Losses) -> dict[str, float]:
        """Σ NLL in nats a stratum."""
        return {str(name): float(losses[self.strata == name].sum()) for name in np.unique(self.strata)}

    def counts(self) -> dict[str, tuple[int, int]]:
        """(records, target tokens) a stratum."""
        return {
            str(name): (int((self.strata == name).sum()), int(self.tokens[self.strata == name].sum()))
            for name in np.unique(self.strata)
        }


def record_nll(
    model: AdaptedModel,
    adapter: Adapter | None,
    held_out: HeldOut,
    progress: Progress | None = None,
) -> Losses:
    """Summed NLL of each record's target tokens in nats, float64 (records,); the base's own where adapter is None.

    Padding is never scored: output logits are computed for target positions alone.
    """
    if adapter is None:
        model.clear()
    else:
        model.set(adapter)
    losses = np.zeros(len(held_out.tokens), dtype=np.float64)
    backbone, head = model.base.model.model, model.base.model.lm_head.weight
    try:
        with torch.inference_mode():
            for number, batch in enumerate(held_out.batches):
                wanted = batch.targets != IGNORE
                hidden = backbone(input_ids=batch.inputs, use_cache=False).last_hidden_state[wanted]
                nll = target_nll(hidden, head, batch.targets[wanted]).double()
                rows = torch.nonzero(wanted)[:, 0]
                sums = torch.zeros(len(batch.records), dtype=torch.float64, device=nll.device).index_add_(0, rows, nll)
                losses[batch.records] = sums.cpu().numpy()
                if progress is not None:
                    progress("score", number + 1, len(held_out.batches))
    finally:
        model.clear()
    return losses


def base_nll(model: AdaptedModel, held_out: HeldOut, progress: Progress | None = None) -> Losses:
    """The base's losses, as :func:`record_nll`. Raises BrokenBaseError if one is not finite."""
    losses = record_nll(model, None, held_out, progress)
    if not np.isfinite(losses).all():
        raise BrokenBaseError("the base model's own loss is not finite: check its files and the numeric type")
    return losses


def improvement(
    base: Losses, adapter: Losses, held_out: HeldOut, weights: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    """(r, r a stratum): relative improvement of loss over the base, r = Σ weight · (L_base − L_adapter)/L_base.

    Raises KeyError if a weighted stratum has no record.
    """
    of_base, of_adapter = held_out.sums(base), held_out.sums(adapter)
    strata = {name: quantise.relative_improvement(of_base[name], of_adapter[name]) for name in sorted(of_base)}
    return quantise.weighted_improvement(of_base, of_adapter, weights), strata
