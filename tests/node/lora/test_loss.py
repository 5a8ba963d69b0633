"""Chunked next-token loss against PyTorch's cross entropy."""

from __future__ import annotations

import pytest
import torch

from covey.lora.loss import mean_nll, target_nll


def test_chunked_loss_and_gradient_equal_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.lora.loss.CHUNK", 7)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(20, 16, generator=generator, requires_grad=True)
    head = torch.randn(50, 16, generator=generator)
    targets = torch.randint(50, (20,), generator=generator)
    plain = torch.nn.functional.cross_entropy(hidden @ head.T, targets, reduction="none")
    torch.testing.assert_close(target_nll(hidden, head, targets), plain)
    (expected,) = torch.autograd.grad(plain.mean() * 3, hidden)
    loss = mean_nll(hidden, head, targets)
    torch.testing.assert_close(loss, plain.mean())
    (found,) = torch.autograd.grad(loss * 3, hidden)
    torch.testing.assert_close(found, expected)
