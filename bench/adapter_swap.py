"""How long does it take to make another adapter the active one, with own LoRA layers and with PEFT?

Both sides start from the same files and the same resident base. Own layers: `load_adapter`, which checks every byte,
and `AdaptedModel.set`. PEFT: `load_adapter` under a new name, `set_adapter`, and `delete_adapter` of the previous one.
The figure is the median over several adapters, without the first. Prints a table and, last, one JSON object.

    OMP_NUM_THREADS=1 python bench/adapter_swap.py [--adapters 20] [--rank 8]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from peft import PeftModel

from covey.lora.adapters.format import weights_bytes
from covey.lora.adapters.loader import CONFIG, WEIGHTS, AdapterLimits, load_adapter
from covey.lora.adapters.model import AdaptedModel, random_arrays
from covey.lora.bases.load import load_base
from covey.lora.bases.resolve import resolve
from covey.lora.bases.shapes import TARGET_MODULES


def write(folder: Path, rank: int, seed: int) -> Path:
    """A random adapter for the tiny base, in PEFT's format."""
    folder.mkdir()
    targets = frozenset(TARGET_MODULES)
    (folder / WEIGHTS).write_bytes(weights_bytes(random_arrays(resolve("tiny").config, rank, targets, seed)))
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": sorted(targets)}
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return folder


def own_seconds(folders: list[Path]) -> float:
    """Median time to check, load and activate an adapter with own layers."""
    base = resolve("tiny")
    model, times = AdaptedModel(load_base(base, "float32")), []
    for folder in folders:
        start = time.perf_counter()
        model.set(load_adapter(folder, base.config, AdapterLimits()))
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def peft_seconds(folders: list[Path]) -> float:
    """Median time to load and activate an adapter with PEFT."""
    loaded = load_base(resolve("tiny"), "float32").model
    model, times = PeftModel.from_pretrained(loaded, str(folders[0]), adapter_name="0"), []
    for number, folder in enumerate(folders[1:], 1):
        start = time.perf_counter()
        model.load_adapter(str(folder), adapter_name=str(number))
        model.set_adapter(str(number))
        model.delete_adapter(str(number - 1))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=int, default=20)
    parser.add_argument("--rank", type=int, default=8)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [write(Path(scratch, str(seed)), chosen.rank, seed) for seed in range(chosen.adapters)]
        own, peft = own_seconds(folders), peft_seconds(folders)
    print(f"activate an adapter of rank {chosen.rank} on the tiny base, median of {chosen.adapters - 1}")
    print(f"  own layers {1000 * own:8.1f} ms")
    print(f"  PEFT       {1000 * peft:8.1f} ms")
    print(json.dumps({"own_ms": 1000 * own, "peft_ms": 1000 * peft, "ratio": peft / own}))


if __name__ == "__main__":
    main()
