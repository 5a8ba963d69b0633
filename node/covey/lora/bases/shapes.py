"""Names and shapes of a Qwen model's linear layers, computed from its ``config.json``. Does not import torch."""

from __future__ import annotations

from typing import Any

from covey.lora.errors import BaseModelError

TARGET_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Every linear layer of a Qwen2 or Qwen3 decoder block, in forward order."""
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_PREFIX = "base_model.model."


def linear_shapes(config: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Shape (outputs, inputs) of each linear layer of the decoder by module name, e.g. ``model.layers.0.mlp.up_proj``.

    Raises BaseModelError if the config lacks a size.
    """
    try:
        hidden, inter = int(config["hidden_size"]), int(config["intermediate_size"])
        heads, layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
        kv_heads = int(config.get("num_key_value_heads") or heads)
        head = int(config.get("head_dim") or hidden // heads)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BaseModelError(f"config.json lacks a usable {error}: give a Qwen2 or Qwen3 model") from error
    sizes = {
        "q_proj": (heads * head, hidden),
        "k_proj": (kv_heads * head, hidden),
        "v_proj": (kv_heads * head, hidden),
        "o_proj": (hidden, heads * head),
        "gate_proj": (inter, hidden),
        "up_proj": (inter, hidden),
        "down_proj": (hidden, inter),
    }
    return {
        f"model.layers.{layer}.{'self_attn' if module in _ATTENTION else 'mlp'}.{module}": size
        for layer in range(layers)
        for module, size in sizes.items()
    }


def adapter_shapes(config: dict[str, Any], rank: int, targets: frozenset[str]) -> dict[str, tuple[int, int]]:
    """Shape of every tensor of a PEFT LoRA file with this rank and these target modules, by tensor name.

    A is (rank, inputs) and B is (outputs, rank); the adapted layer is W + alpha/rank · B·A (Hu et al. 2021).
    """
    shapes: dict[str, tuple[int, int]] = {}
    for module, (outputs, inputs) in linear_shapes(config).items():
        if module.rsplit(".", 1)[1] in targets:
            shapes[tensor_name(module, "A")] = (rank, inputs)
            shapes[tensor_name(module, "B")] = (outputs, rank)
    return shapes


def tensor_name(module: str, kind: str) -> str:
    """Tensor name in a PEFT LoRA file of a module's ``A`` or ``B``."""
    return f"{_PREFIX}{module}.lora_{kind}.weight"


def module_of(tensor: str) -> tuple[str, str]:
    """Module name and ``A`` or ``B`` from a tensor name of a PEFT LoRA file; the inverse of `tensor_name`."""
    stem, _, kind = tensor.removesuffix(".weight").rpartition(".lora_")
    return stem.removeprefix(_PREFIX), kind
