"""The device that computes a model, from its name in the settings. Imports torch only when it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.lora.errors import BaseModelError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> torch.device:
    """The device called ``cpu``, ``cuda`` or ``cuda:N``; ``auto`` is the first GPU, or the CPU where there is none.

    Raises BaseModelError if this machine has no such device.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise BaseModelError(f"{name!r} is not a device: give auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise BaseModelError(f"no usable GPU on this machine for the device {name}: set the device to cpu or auto")
    count, index = torch.cuda.device_count(), int(number or 0)
    if index >= count:
        raise BaseModelError(f"no device {name}: the number of GPUs here is {count}, from cuda:0 on")
    return torch.device("cuda", index)


def device_name(device: torch.device) -> str:
    """The device's model, for instance ``NVIDIA H200`` or ``x86_64 cpu``."""
    if device.type == "cuda":
        import torch

        return str(torch.cuda.get_device_name(device))
    import platform

    return f"{platform.machine()} cpu"
