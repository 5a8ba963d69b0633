"""Kinds of errors that a worker reports."""

from __future__ import annotations

import torch

from covey.lora.jobs.session import error_kind


def test_kind_of_an_error() -> None:
    assert error_kind(MemoryError()) == "oom"
    assert error_kind(torch.OutOfMemoryError("CUDA out of memory")) == "oom"
    assert (
        error_kind(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")) == "oom"
    )
    assert error_kind(RuntimeError("CUDA error: device-side assert triggered")) == "internal"
