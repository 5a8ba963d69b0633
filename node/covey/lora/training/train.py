"""Trains one LoRA adapter on one machine's records."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from covey.lora.adapters.model import AdaptedModel
from covey.lora.data.batches import IGNORE, pad, training_batches
from covey.lora.errors import LoraError
from covey.lora.loss import mean_nll
from covey.lora.training.settings import TrainSettings
from covey.lora.types import Array, Progress, no_progress


class DivergedError(LoraError):
    """The training loss became NaN or infinite. Nothing was written."""


@dataclass(frozen=True)
class Trained:
    """A trained adapter: arrays by PEFT tensor name, mean loss per step (nats per token), target tokens, seconds."""

    arrays: dict[str, Array]
    losses: list[float] = field(repr=False)
    tokens_seen: int
    seconds: float


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Learning rate of step 0 … steps − 1."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    decayed = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)  # 0 … 1
    return settings.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * decayed)))


def train(
    model: AdaptedModel,
    sequences: Sequence[Sequence[int]],
    settings: TrainSettings,
    progress: Progress = no_progress,
) -> Trained:
    """Train a new adapter on tokenised records with AdamW; only the adapter's matrices change.

    A batch is ``batch_records`` records of similar length, padded on the right; its loss is the mean over its target
    tokens. The same arguments, threads and hardware give the same bytes. The model has no active adapter afterwards.
    Raises DivergedError, DataError.
    """
    began = time.monotonic()
    parameters = model.train_new(settings.rank, settings.alpha, settings.targets, settings.seed)
    optimiser = torch.optim.AdamW(parameters, betas=(0.9, 0.999), weight_decay=settings.weight_decay, fused=True)
    lengths = [len(sequence) for sequence in sequences]
    backbone = model.base.model.model
    head = model.base.model.lm_head.weight  # (vocabulary, width)
    losses: list[float] = []
    tokens = 0
    try:
        batches = training_batches(lengths, settings.batch_records, settings.steps, settings.seed)
        for step, batch in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(settings, step)
            padded = pad([sequences[index] for index in batch])
            inputs, targets = (torch.from_numpy(array).to(model.base.device) for array in padded)  # (rows, length)
            is_target = targets != IGNORE  # (rows, length)
            hidden = backbone(input_ids=inputs, use_cache=False).last_hidden_state[is_target]  # (tokens, width)
            loss = mean_nll(hidden, head, targets[is_target])  # ()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, settings.max_gradient_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(loss.item())
            tokens += int(is_target.sum())
            if not math.isfinite(losses[-1]):
                raise DivergedError(f"the loss is {losses[-1]} after {step + 1} steps: use a lower learning rate")
            progress("train", step + 1, settings.steps)
        return Trained(model.arrays(), losses, tokens, time.monotonic() - began)
    finally:
        model.clear()
