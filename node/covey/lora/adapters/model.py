"""LoRA layers inside a Qwen model, with PEFT's semantics: y = W·x + alpha/rank · B·(A·x) (Hu et al. 2021).

The layers are inserted into a base once and stay. Setting an adapter swaps its A and B matrices in within microseconds,
so one resident base trains and scores any number of adapters. Without an adapter the model is the base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from covey.lora.adapters.format import Adapter
from covey.lora.bases.load import LoadedBase
from covey.lora.bases.shapes import TARGET_MODULES, adapter_shapes, module_of, tensor_name
from covey.lora.types import Array


@dataclass
class LowRank:
    """A change of one layer's weights: scaling · b·a."""

    a: torch.Tensor  # (rank, inputs)
    b: torch.Tensor  # (outputs, rank)
    scaling: float


class LoraLinear(nn.Module):
    """A frozen linear layer with an optional low-rank change."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.change: LowRank | None = None  # not a registered parameter: set and cleared for each adapter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map x (..., inputs) to (..., outputs)."""
        y = nn.functional.linear(x, self.base.weight, self.base.bias)  # (..., outputs)
        if self.change is None:
            return y
        low = nn.functional.linear(x, self.change.a.to(x.dtype))  # (..., rank)
        return y + nn.functional.linear(low, (self.change.b * self.change.scaling).to(x.dtype))  # (..., outputs)


class AdaptedModel:
    """A base whose decoder's linear layers are all replaced by LoRA layers."""

    def __init__(self, base: LoadedBase) -> None:
        self.base = base
        self.layers: dict[str, LoraLinear] = {}
        model = base.model
        for name, module in list(model.named_modules()):
            parent, _, leaf = name.rpartition(".")
            if leaf in TARGET_MODULES and isinstance(module, nn.Linear):
                layer = LoraLinear(module)
                setattr(model.get_submodule(parent), leaf, layer)
                self.layers[name] = layer

    def clear(self) -> None:
        """Remove the active adapter; the model is the base again."""
        for layer in self.layers.values():
            layer.change = None

    def set(self, adapter: Adapter) -> None:
        """Activate ``adapter`` for scoring: matrices in the base's dtype, the scaling folded into B."""
        self.clear()
        device, dtype = self.base.device, self.base.dtype
        for name, layer in self.layers.items():
            a = adapter.arrays.get(tensor_name(name, "A"))  # (rank, inputs)
            b = adapter.arrays.get(tensor_name(name, "B"))  # (outputs, rank)
            if a is not None and b is not None:
                scaled = torch.from_numpy(b).to(device) * adapter.header.scaling
                layer.change = LowRank(torch.from_numpy(a).to(device, dtype), scaled.to(dtype), 1.0)

    def train_new(self, rank: int, alpha: float, targets: frozenset[str], seed: int) -> list[torch.Tensor]:
        """Activate a new adapter initialised as by PEFT: A Kaiming-uniform, B zero, both float32.

        Returns the parameters to optimise.
        """
        self.clear()
        generator = torch.Generator().manual_seed(seed)
        parameters = []
        for name, layer in self.layers.items():
            if name.rsplit(".", 1)[1] not in targets:
                continue
            outputs, inputs = layer.base.weight.shape
            bound = 1 / math.sqrt(inputs)  # kaiming_uniform_ with a = √5
            a = torch.empty(rank, inputs).uniform_(-bound, bound, generator=generator)  # (rank, inputs)
            b = torch.zeros(outputs, rank, device=self.base.device)  # (outputs, rank)
            change = LowRank(nn.Parameter(a.to(self.base.device)), nn.Parameter(b), alpha / rank)
            layer.change = change
            parameters += [change.a, change.b]
        return parameters

    def arrays(self) -> dict[str, Array]:
        """The active adapter's matrices as float32 arrays by PEFT tensor name."""
        return {
            tensor_name(name, kind): value.detach().float().cpu().numpy().copy()
            for name, layer in self.layers.items()
            if layer.change is not None
            for kind, value in (("A", layer.change.a), ("B", layer.change.b))
        }


def random_arrays(
    config: dict[str, object], rank: int, targets: frozenset[str], seed: int, norm: float = 0.02
) -> Mapping[str, Array]:
    """An untrained adapter: A as at the start of training, B Gaussian with standard deviation ``norm``/√rank.

    The demonstration's dishonest entry, from a trainer that does no work.
    """
    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for tensor, shape in adapter_shapes(config, rank, targets).items():
        if module_of(tensor)[1] == "A":
            bound = 1 / math.sqrt(shape[1])
            arrays[tensor] = rng.uniform(-bound, bound, shape).astype(np.float32)
        else:
            arrays[tensor] = rng.normal(0.0, norm / math.sqrt(rank), shape).astype(np.float32)
    return arrays
