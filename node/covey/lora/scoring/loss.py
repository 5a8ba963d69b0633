"""Next-token loss of a frozen output layer, in chunks that fit the cache instead of one (tokens × vocabulary) array."""

from __future__ import annotations

from typing import Any

import torch

CHUNK = 512  # rows of logits at once


def target_nll(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """NLL in nats of each target, float32 (rows,).

    ``hidden`` is (rows, width), ``head`` (vocabulary, width), ``targets`` (rows,). No gradient.
    """
    parts = []
    for start in range(0, targets.numel(), CHUNK):
        logits = (hidden[start : start + CHUNK] @ head.T).float()
        chosen = logits.gather(1, targets[start : start + CHUNK, None]).squeeze(1)
        parts.append(torch.logsumexp(logits, 1) - chosen)
    return torch.cat(parts)


class _MeanNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        count = targets.numel()
        gradient = torch.empty_like(hidden)
        total = hidden.new_zeros((), dtype=torch.float64)
        for start in range(0, count, CHUNK):
            chosen = targets[start : start + CHUNK, None]
            logits = (hidden[start : start + CHUNK] @ head.T).float()
            normaliser = torch.logsumexp(logits, 1, keepdim=True)
            total += (normaliser - logits.gather(1, chosen)).sum(dtype=torch.float64)
            # d loss / d logits = (softmax − one-hot) / count
            logits.sub_(normaliser).exp_()
            logits.scatter_add_(1, chosen, logits.new_full(chosen.shape, -1.0))
            gradient[start : start + CHUNK] = logits.div_(count).to(hidden.dtype) @ head
        ctx.save_for_backward(gradient)
        return (total / count).float()

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0], None, None


def mean_nll(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean NLL in nats over the targets, differentiable in ``hidden`` alone (the head is frozen)."""
    return _MeanNll.apply(hidden, head, targets)  # type: ignore[no-any-return, no-untyped-call]
