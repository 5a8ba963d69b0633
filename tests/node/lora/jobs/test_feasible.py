"""Specs that nobody, no base or not this machine could meet."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covey.lora.adapters.export import weights_bytes, weights_size
from covey.lora.bases.resolve import BaseFolder
from covey.lora.bases.shapes import TARGET_MODULES, adapter_shapes
from covey.lora.jobs.feasible import base_problems, device_problem, entry_problem, job_device, spec_problems
from covey.lora.jobs.runtime import compute_dtype
from covey.protocol.spec import TaskSpec


def changed(spec: dict[str, Any], **changes: Any) -> TaskSpec:
    """The spec with other fields: `a__b=value` sets field b of part a."""
    fields = {name: dict(value) if isinstance(value, dict) else value for name, value in spec.items()}
    for name, value in changes.items():
        part, _, field = name.partition("__")
        if field:
            fields.setdefault(part, {})[field] = value
        else:
            fields[part] = value
    return TaskSpec.parse(fields)


STRATUM = {"name": "a", "weight": 10_000, "min_records": 1, "min_tokens": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": {"rank": 8, "alpha": 512}},
        {"training": {"alpha": 512}},
        {"training": {"rank": 1, "alpha": 64, "learning_rate": "0.999"}},
        {"adapter__target_modules": ["q_proj"]},
        {"evaluation__profile": "cpu-float32"},
        {"evaluation__profile": "cuda-bfloat16", "base__upcast": "none"},
        {"strata": [{**STRATUM, "min_tokens": 4_700}]},
    ],
)
def test_spec_that_can_be_met_has_no_problem(spec: dict[str, Any], tiny: BaseFolder, changes: dict[str, Any]) -> None:
    found = changed(spec, **changes)
    assert list(spec_problems(found)) == []
    assert list(base_problems(found, tiny.config)) == []
    assert entry_problem(found, tiny.config) is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"privacy": {"max_epsilon": "1", "delta": "0.00001"}}, "privacy: .* nobody can keep max_epsilon 1"),
        ({"adapter__shared_a": "00" * 32}, "adapter.shared_a: "),
        ({"aggregation": {"rule": "stacking"}}, "aggregation: .* nobody can apply stacking"),
        ({"aggregation": {"rule": "trimmed-mean", "trim": 1000}}, "aggregation: .*trimmed-mean"),
        (
            {"adapter__target_modules": ["all-linear"]},
            "adapter.target_modules: all-linear cannot",
        ),
        ({"adapter__target_modules": ["lm_head", "q_proj"]}, "adapter.target_modules: lm_head cannot"),
        ({"adapter__target_modules": ["embed_tokens", "norm"]}, "adapter.target_modules: embed_tokens, norm cannot"),
        ({"training": {"rank": 8, "alpha": 1024}}, "training.alpha: 1024 is more than 64 times the rank 8"),
        ({"training": {"alpha": 513}}, "training.alpha: 513"),
        ({"training": {"rank": 1, "alpha": 65}}, "training.alpha: 65 is more than 64 times the rank 1"),
        ({"training": {"rank": 9}}, "training.rank: 9 is above the 8 that the task allows"),
        ({"training": {"learning_rate": "1"}}, "training.learning_rate: 1.0 is not between 0 and 1"),
        ({"training": {"learning_rate": "0"}}, "training.learning_rate: 0.0 is not"),
        ({"training": {"learning_rate": "-0.1"}}, "training.learning_rate: -0.1 is not"),
        ({"evaluation__profile": "cuda-bfloat16"}, "evaluation.profile: cuda-bfloat16 contradicts base.upcast"),
        ({"strata": [{**STRATUM, "min_tokens": 4_701}]}, "strata.a.min_tokens: 4701 is more than the 4700 tokens"),
    ],
)
def test_spec_that_nobody_can_meet_names_the_field(spec: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    [found] = spec_problems(changed(spec, **changes))
    assert re.match(problem, found), found


def test_every_problem_is_named(spec: dict[str, Any]) -> None:
    bad = changed(
        spec, privacy={"max_epsilon": "1", "delta": "0.1"}, adapter__shared_a="00" * 32, training={"rank": 99}
    )
    assert [text.partition(":")[0] for text in spec_problems(bad)] == ["privacy", "adapter.shared_a", "training.rank"]


def test_problems_with_the_base_name_the_field(spec: dict[str, Any], tiny: BaseFolder) -> None:
    for changes, problem in (
        ({"base__family": "qwen2"}, "base.family: qwen2, but the base is a qwen3 model"),
        ({"evaluation__sequence_length": 513}, "evaluation.sequence_length: 513 is above the base's 512 positions"),
        ({"adapter__max_rank": 64}, "adapter.max_bytes: an adapter of max_rank 64 has 4,988,000"),
    ):
        [found] = base_problems(changed(spec, **changes), tiny.config)
        assert found.startswith(problem)
    assert entry_problem(changed(spec, adapter__max_rank=64), tiny.config) is None, "it would train rank 8"
    assert "an adapter of rank 8 has" in str(entry_problem(changed(spec, adapter__max_bytes=600_000), tiny.config))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("rank", "targets"), [(1, {"q_proj"}), (7, {"k_proj", "down_proj"}), (8, set(TARGET_MODULES))])
def test_size_is_that_of_the_file(tiny: BaseFolder, rank: int, targets: set[str], dtype: str) -> None:
    shapes = adapter_shapes(tiny.config, rank, frozenset(targets))
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    assert weights_size(shapes, dtype) == len(weights_bytes(arrays, dtype))


@pytest.mark.parametrize(
    ("profile", "upcast", "dtype", "devices", "declined"),
    [
        ("any", "none", "bfloat16", {"cpu": "cpu", "auto": "auto", "cuda:1": "cuda:1"}, ()),
        ("any", "float32", "float32", {"cpu": "cpu", "auto": "auto", "cuda": "cuda"}, ()),
        ("cpu-float32", "none", "float32", {"cpu": "cpu", "auto": "cpu", "cuda:1": "cpu"}, ()),
        ("cuda-bfloat16", "none", "bfloat16", {"cuda": "cuda", "cuda:1": "cuda:1"}, ("cpu", "auto")),
    ],
)
def test_numeric_profile_is_kept_or_declined(
    spec: dict[str, Any], profile: str, upcast: str, dtype: str, devices: dict[str, str], declined: tuple[str, ...]
) -> None:
    found = changed(spec, evaluation__profile=profile, base__upcast=upcast)
    assert compute_dtype(found) == dtype
    for device, used in devices.items():
        assert device_problem(found, device) is None
        assert job_device(found, device) == used
    for device in declined:
        assert f"needs a GPU, and the setting device is {device}" in str(device_problem(found, device))


def test_module_does_not_import_torch() -> None:
    code = "import sys; import covey.lora.jobs.feasible; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parent).returncode == 0
