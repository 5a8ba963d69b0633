"""The device that a setting names. This machine's own GPUs do not matter."""

from __future__ import annotations

import pytest
import torch

from covey.lora.bases.device import choose_device, device_name
from covey.lora.errors import BaseModelError
from covey.lora.jobs.dispatch import Runner
from covey.lora.jobs.job import ProbeJob


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of GPUs that torch sees, in a list of one."""
    count = [0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count[0] > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count[0])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    return count


@pytest.mark.parametrize(
    ("count", "name", "device"),
    [
        (0, "auto", "cpu"),
        (2, "auto", "cuda:0"),
        (0, "cpu", "cpu"),
        (2, "cpu", "cpu"),
        (1, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_device_is_found(gpus: list[int], count: int, name: str, device: str) -> None:
    gpus[0] = count
    found = choose_device(name)
    assert str(found) == device
    assert device_name(found) == (f"GPU {device}" if found.type == "cuda" else device_name(torch.device("cpu")))


@pytest.mark.parametrize(
    ("count", "name", "message"),
    [
        (0, "cuda", "no usable GPU on this machine for the device cuda: set the device to cpu or auto"),
        (0, "cuda:0", "no usable GPU"),
        (2, "cuda:2", "no device cuda:2: the number of GPUs here is 2"),
        (2, "cuda:x", "'cuda:x' is not a device"),
        (2, "mps", "'mps' is not a device"),
        (2, "", "'' is not a device"),
    ],
)
def test_missing_device_is_named(gpus: list[int], count: int, name: str, message: str) -> None:
    gpus[0] = count
    with pytest.raises(BaseModelError, match=message):
        choose_device(name)


def test_probe_computes_on_the_device(gpus: list[int]) -> None:
    assert "cpu" in Runner().run(ProbeJob(device="auto")).profile.device
    with pytest.raises(BaseModelError, match="no usable GPU"):
        Runner().run(ProbeJob(device="cuda"))
