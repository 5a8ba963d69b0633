"""Next-token loss of a frozen output layer.

Logits are computed in chunks that fit the CPU cache; the full (tokens, vocabulary) array never exists.
"""

from __future__ import annotations

from typing import Any

import torch

CHUNK = 512
"""Rows of logits computed at once."""


def target_nll(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of each target in nats, float32 (rows,). Without gradient.

    ``hidden`` is (rows, width), ``head`` (vocabulary, width), ``targets`` (rows,).
    """
    parts = []
    for start in range(0, targets.numel(), CHUNK):
        logits = (hidden[start : start + CHUNK] @ head.T).float()  # (chunk, vocabulary)
        target_logits = logits.gather(1, targets[start : start + CHUNK, None]).squeeze(1)  # (chunk,)
        parts.append(torch.logsumexp(logits, 1) - target_logits)
    return torch.cat(parts)  # (rows,)


class _MeanNll(torch.autograd.Function):
    """Computes the gradient in the forward pass, while a chunk's logits are in the cache."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        count = targets.numel()
        gradient = torch.empty_like(hidden)  # (rows, width)
        total = hidden.new_zeros((), dtype=torch.float64)
        for start in range(0, count, CHUNK):
            columns = targets[start : start + CHUNK, None]  # (chunk, 1)
            logits = (hidden[start : start + CHUNK] @ head.T).float()  # (chunk, vocabulary)
            normaliser = torch.logsumexp(logits, 1, keepdim=True)  # (chunk, 1)
            total += (normaliser - logits.gather(1, columns)).sum(dtype=torch.float64)
            # d loss / d logits = (softmax − one-hot) / count, in place: (chunk, vocabulary)
            logits.sub_(normaliser).exp_()
            logits.scatter_add_(1, columns, logits.new_full(columns.shape, -1.0))
            gradient[start : start + CHUNK] = logits.div_(count).to(hidden.dtype) @ head  # (chunk, width)
        ctx.save_for_backward(gradient)
        return (total / count).float()

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors  # (rows, width)
        return gradient * outer[0], None, None


def mean_nll(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood over the targets in nats, a scalar. Differentiable in ``hidden`` only.

    ``hidden`` is (rows, width), ``head`` (vocabulary, width) and frozen, ``targets`` (rows,).
    """
    return _MeanNll.apply(hidden, head, targets)  # type: ignore[no-any-return, no-untyped-call]
