"""LoRA layers inside a Qwen model, with PEFT's semantics: y = W·x + alpha/rank · B·(A·x) (Hu et al. 2021).

The layers are put into a base once and stay there. An adapter is a set of A and B matrices that is swapped in and out
in microseconds, so one resident base trains and scores any number of adapters; with none set the model is the base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from covey.lora.adapters.loader import Adapter, Array
from covey.lora.bases.load import LoadedBase
from covey.lora.bases.shapes import TARGET_MODULES, adapter_shapes, module_of, tensor_name


@dataclass
class LowRank:
    """A change of one layer's weights: scaling · b·a with a (rank, inputs) and b (outputs, rank)."""

    a: torch.Tensor
    b: torch.Tensor
    scaling: float


class LoraLinear(nn.Module):
    """A frozen linear layer with an optional low-rank change."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.change: LowRank | None = None  # not a registered parameter: it comes and goes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., inputs) to (..., outputs)."""
        y = nn.functional.linear(x, self.base.weight, self.base.bias)
        if self.change is None:
            return y
        low = nn.functional.linear(x, self.change.a.to(x.dtype))
        return y + nn.functional.linear(low, (self.change.b * self.change.scaling).to(x.dtype))


class AdaptedModel:
    """A base with LoRA layers in place of all its decoder's linear layers."""

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
        """Back to the bare base."""
        for layer in self.layers.values():
            layer.change = None

    def set(self, adapter: Adapter) -> None:
        """Make ``adapter`` the active one, for scoring: matrices in the base's dtype, the scaling folded into B."""
        self.clear()
        place, dtype = self.base.device, self.base.dtype
        for name, layer in self.layers.items():
            a = adapter.arrays.get(tensor_name(name, "A"))
            b = adapter.arrays.get(tensor_name(name, "B"))
            if a is not None and b is not None:
                folded = torch.from_numpy(b).to(place) * adapter.header.scaling
                layer.change = LowRank(torch.from_numpy(a).to(place, dtype), folded.to(dtype), 1.0)

    def train_new(self, rank: int, alpha: float, targets: frozenset[str], seed: int) -> list[torch.Tensor]:
        """Start a new adapter as PEFT does: A Kaiming-uniform, B zero, both float32. Returns what to optimise."""
        self.clear()
        generator = torch.Generator().manual_seed(seed)
        parameters = []
        for name, layer in self.layers.items():
            if name.rsplit(".", 1)[1] not in targets:
                continue
            outputs, inputs = layer.base.weight.shape
            bound = 1 / math.sqrt(inputs)  # kaiming_uniform_ with a = √5
            a = torch.empty(rank, inputs).uniform_(-bound, bound, generator=generator)
            change = LowRank(
                nn.Parameter(a.to(self.base.device)),
                nn.Parameter(torch.zeros(outputs, rank, device=self.base.device)),
                alpha / rank,
            )
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

    What a trainer who did no work would submit; the demonstration's dishonest entry.
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
