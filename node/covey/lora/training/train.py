"""Training one LoRA adapter on one machine's records."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from covey.lora.adapters.loader import Array
from covey.lora.adapters.model import AdaptedModel
from covey.lora.bases.shapes import TARGET_MODULES
from covey.lora.data.records import IGNORE, pad, training_batches
from covey.lora.errors import LoraError
from covey.lora.scoring.loss import mean_nll

Progress = Callable[[str, int, int], None]  # (phase, done, total)


class DivergedError(LoraError):
    """The training loss became NaN or infinite; nothing was written."""


@dataclass(frozen=True)
class TrainSettings:
    """How to train. ``learning_rate`` is the peak; it warms up linearly, then falls to a tenth along a cosine."""

    steps: int
    batch_records: int = 16
    learning_rate: float = 6e-3
    warmup_steps: int = 4
    weight_decay: float = 0.0
    rank: int = 8
    alpha: int = 16
    targets: frozenset[str] = frozenset(TARGET_MODULES)
    max_gradient_norm: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """What training gave: matrices by PEFT tensor name, mean loss a step (nats a token), target tokens, seconds."""

    arrays: dict[str, Array]
    losses: list[float] = field(repr=False)
    tokens_seen: int
    seconds: float


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Rate of step 0 … steps − 1."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


def train(
    model: AdaptedModel,
    sequences: Sequence[Sequence[int]],
    settings: TrainSettings,
    progress: Progress | None = None,
) -> Trained:
    """Train a new adapter on tokenised records with AdamW on its matrices alone.

    Every batch is ``batch_records`` records of similar length, padded on the right; the loss is the mean over its
    target tokens. The same arguments, threads and hardware give the same bytes. Leaves the model bare.
    Raises DivergedError, DataError.
    """
    began = time.monotonic()
    parameters = model.train_new(settings.rank, settings.alpha, settings.targets, settings.seed)
    optimiser = torch.optim.AdamW(parameters, betas=(0.9, 0.999), weight_decay=settings.weight_decay, fused=True)
    lengths = [len(sequence) for sequence in sequences]
    backbone, head = model.base.model.model, model.base.model.lm_head.weight
    losses: list[float] = []
    tokens = 0
    try:
        batches = training_batches(lengths, settings.batch_records, settings.steps, settings.seed)
        for step, batch in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(settings, step)
            inputs, targets = (torch.from_numpy(a).to(model.base.device) for a in pad([sequences[i] for i in batch]))
            wanted = targets != IGNORE
            hidden = backbone(input_ids=inputs, use_cache=False).last_hidden_state[wanted]
            loss = mean_nll(hidden, head, targets[wanted])
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, settings.max_gradient_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(loss.item())
            tokens += int(wanted.sum())
            if not math.isfinite(losses[-1]):
                raise DivergedError(f"the loss is {losses[-1]} after {step + 1} steps: use a lower learning rate")
            if progress is not None:
                progress("train", step + 1, settings.steps)
        return Trained(model.arrays(), losses, tokens, time.monotonic() - began)
    finally:
        model.clear()
