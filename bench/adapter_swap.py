"""How long does it take to make another adapter the active one, with own LoRA layers and with PEFT?

Both sides start from the same files and the same resident base. Own layers: `load_adapter`, which checks every byte,
and `AdaptedModel.set`. PEFT: `load_adapter` under a new name, `set_adapter`, and `delete_adapter` of the previous one.
The two are measured in turns; figures are medians over several adapters. Prints a table and, last, one JSON object.

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

from covey.lora.adapters.export import weights_bytes
from covey.lora.adapters.format import CONFIG, WEIGHTS
from covey.lora.adapters.loader import AdapterLimits, load_adapter
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


def pairs(folders: list[Path]) -> list[tuple[float, float]]:
    """Seconds to activate each adapter with own layers and with PEFT, one after the other."""
    base = resolve("tiny")
    own = AdaptedModel(load_base(base, "float32"))
    peft = PeftModel.from_pretrained(load_base(base, "float32").model, str(folders[0]), adapter_name="0")
    found = []
    for number, folder in enumerate(folders[1:], 1):
        start = time.perf_counter()
        own.set(load_adapter(folder, base.config, AdapterLimits()))
        between = time.perf_counter()
        peft.load_adapter(str(folder), adapter_name=str(number))
        peft.set_adapter(str(number))
        peft.delete_adapter(str(number - 1))
        found.append((between - start, time.perf_counter() - between))
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=int, default=20)
    parser.add_argument("--rank", type=int, default=8)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [write(Path(scratch, str(seed)), chosen.rank, seed) for seed in range(chosen.adapters)]
        found = pairs(folders)
    own, peft = (1000 * statistics.median(times) for times in zip(*found, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in found)
    print(f"activate an adapter of rank {chosen.rank} on the tiny base, median of {len(found)}")
    print(f"  own layers {own:8.1f} ms")
    print(f"  PEFT       {peft:8.1f} ms, {ratio:.1f} times as long")
    print(json.dumps({"own_ms": own, "peft_ms": peft, "ratio": ratio}))


if __name__ == "__main__":
    main()
