"""Small training runs on the embedded base: a split of ICD-10-CM, two trained adapters and a random one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from covey.devnet import icd10
from covey.lora.adapters.format import WEIGHTS
from covey.lora.bases.resolve import BaseFolder, resolve
from covey.lora.jobs.dispatch import Runner
from covey.lora.jobs.job import TrainJob, parse_job
from covey.lora.jobs.result import TrainResult

TASK = {"chain_id": 31337, "registry": "0x" + "11" * 20, "task_id": 1, "spec": "22" * 32}
OPERATORS = ["0x" + f"{index:02x}" * 20 for index in range(1, 9)]
MakeTrainJob = Callable[..., TrainJob]
Trained = dict[str, tuple[Path, TrainResult]]


@pytest.fixture(scope="session")
def tiny() -> BaseFolder:
    return resolve("tiny")


@pytest.fixture(scope="session")
def spec(tiny: BaseFolder) -> dict[str, Any]:
    """A small task over the five strata of the demonstration."""
    return {
        "version": 1,
        "base": {
            "name": "tiny",
            "revision": "1",
            "digest": tiny.digest,
            "family": "qwen3",
            "upcast": "float32",
        },
        "adapter": {
            "target_modules": sorted(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
            "max_rank": 8,
            "max_bytes": 1 << 20,
        },
        "domain": "clinical code titles",
        "strata": [{"name": name, "weight": 2000, "min_records": 16, "min_tokens": 100} for name in icd10.STRATA],
        "evaluation": {"source": "local", "sequence_length": 48, "min_records": 80, "max_records": 100},
        "scoring": {"h": 200, "tau": 600},
    }


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the records made from the clinical tables."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> icd10.Split:
    sizes = icd10.SplitSizes(own=(160, 160, 160, 160), general=40, validator=30, common=30)
    return icd10.write_split(tmp_path_factory.mktemp("records"), 7, 2, sizes, cache)


@pytest.fixture(scope="session")
def runner() -> Runner:
    return Runner(default_threads=1)


@pytest.fixture(scope="session")
def train_job(spec: dict[str, Any], split: icd10.Split) -> MakeTrainJob:
    def make(output: Path, hospital: int = 0, seed: int = 1, **training: Any) -> TrainJob:
        fields = {
            "kind": "train",
            "spec": spec,
            "records": str(split.hospitals[hospital]),
            "output": str(output),
            "task": TASK,
            "operator": OPERATORS[hospital],
            "seed": seed,
            "training": {"steps": 16, "batch_records": 16} | training,
        }
        job = parse_job(json.dumps(fields))
        if not isinstance(job, TrainJob):
            raise TypeError(f"not a training job: {job!r}")
        return job

    return make


@pytest.fixture(scope="session")
def trained(runner: Runner, train_job: MakeTrainJob, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Folder and job result of hospitals 0 and 1, and of a trainer that submits random weights."""
    folder = tmp_path_factory.mktemp("adapters")
    made = {name: runner.run(train_job(folder / name, index)) for index, name in enumerate(("first", "second"))}
    made["random"] = runner.run(train_job(folder / "random", 2).model_copy(update={"attack": "random_small"}))
    return {name: (folder / name, result) for name, result in made.items()}


def fill_weights(adapter: Path, folder: Path, value: float) -> Path:
    """Copy an adapter to a new folder, with every weight replaced by ``value``."""
    shutil.copytree(adapter, folder)
    arrays = {name: np.full_like(array, value) for name, array in load_file(folder / WEIGHTS).items()}
    save_file(arrays, folder / WEIGHTS)
    return folder
