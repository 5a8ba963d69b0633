"""Loading of untrusted adapters: each defect is refused for its own reason."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.support.lora.fixtures import Trained

from covey.lora.adapters.format import CONFIG, MANIFEST, WEIGHTS
from covey.lora.adapters.loader import AdapterLimits, check_header, check_manifest, load_adapter
from covey.lora.adapters.refusal import Refusal, UnsafeAdapterError
from covey.lora.bases.resolve import BaseFolder
from covey.protocol.entry import TaskReference

LIMITS = AdapterLimits(max_rank=8, max_bytes=1 << 20)
Change = Callable[[Path], object]


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    shutil.copytree(trained["first"][0], tmp_path / "entry")
    return tmp_path / "entry"


def config(**fields: Any) -> Change:
    def change(folder: Path) -> None:
        value = json.loads((folder / CONFIG).read_text()) | fields
        (folder / CONFIG).write_text(json.dumps({k: v for k, v in value.items() if v is not ...}))

    return change


def tensors(edit: Callable[[dict[str, np.ndarray[Any, Any]]], None]) -> Change:
    def change(folder: Path) -> None:
        arrays = load_file(folder / WEIGHTS)
        edit(arrays)
        save_file(arrays, folder / WEIGHTS)

    return change


def header(edit: Callable[[dict[str, Any]], None]) -> Change:
    def change(folder: Path) -> None:
        blob = (folder / WEIGHTS).read_bytes()
        (length,) = struct.unpack("<Q", blob[:8])
        value = json.loads(blob[8 : 8 + length])
        edit(value)
        text = json.dumps(value).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + blob[8 + length :])

    return change


def raw(name: str, data: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(data)


def first_tensor(value: dict[str, Any]) -> dict[str, Any]:
    return next(entry for name, entry in value.items() if name != "__metadata__")  # type: ignore[no-any-return]


def link(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder.parent / "elsewhere")
    (folder / WEIGHTS).symlink_to(folder.parent / "elsewhere")


def pipe(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / WEIGHTS)


def overlap(value: dict[str, Any]) -> None:
    entries = sorted((e for n, e in value.items() if n != "__metadata__"), key=lambda e: e["data_offsets"])
    same = next(e for e in entries[1:] if e["shape"] == entries[0]["shape"])
    same["data_offsets"] = entries[0]["data_offsets"]


def duplicate_key(folder: Path) -> None:
    text = (folder / CONFIG).read_text()
    (folder / CONFIG).write_text(text.replace('"r":8', '"r":8,"r":4'))


def rename(arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    name = next(iter(arrays))
    arrays["base_model.model.lm_head.lora_A.weight"] = arrays.pop(name)


def drop(arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    del arrays[next(iter(arrays))]


def set_value(value: float) -> Callable[[dict[str, np.ndarray[Any, Any]]], None]:
    def edit(arrays: dict[str, np.ndarray[Any, Any]]) -> None:
        next(iter(arrays.values()))[0, 0] = value

    return edit


def as_float64(arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    name = next(iter(arrays))
    arrays[name] = arrays[name].astype(np.float64)


def transpose(arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    name = next(iter(arrays))
    arrays[name] = np.ascontiguousarray(arrays[name].T)


CASES: list[tuple[str, Change, Refusal]] = [
    ("no weights", lambda f: (f / WEIGHTS).unlink(), Refusal.MISSING_FILE),
    ("no config", lambda f: (f / CONFIG).unlink(), Refusal.MISSING_FILE),
    ("an extra pickle", raw("adapter_model.bin", pickle.dumps({})), Refusal.UNEXPECTED_FILE),
    ("extra code", raw("modeling.py", b"raise SystemExit"), Refusal.UNEXPECTED_FILE),
    ("weights are a pickle", raw(WEIGHTS, pickle.dumps({"a": 1})), Refusal.NOT_SAFETENSORS),
    ("a link", link, Refusal.NOT_A_REGULAR_FILE),
    ("a pipe", pipe, Refusal.NOT_A_REGULAR_FILE),
    ("too many bytes", raw(WEIGHTS, bytes(LIMITS.max_bytes + 1)), Refusal.TOO_LARGE),
    ("a huge config", raw(CONFIG, b" " * (1 << 17)), Refusal.TOO_LARGE),
    ("a huge header", raw(WEIGHTS, struct.pack("<Q", 1 << 40) + b"{}"), Refusal.HEADER_TOO_LARGE),
    ("an empty file", raw(WEIGHTS, b""), Refusal.BAD_HEADER),
    ("a cut header", raw(WEIGHTS, struct.pack("<Q", 100) + b"{}"), Refusal.BAD_HEADER),
    ("a header that is not JSON", raw(WEIGHTS, struct.pack("<Q", 2) + b"{]"), Refusal.BAD_JSON),
    ("metadata that is not a map", header(lambda v: v.update(__metadata__=5)), Refusal.BAD_HEADER),
    ("an entry with more fields", header(lambda v: first_tensor(v).update(x=1)), Refusal.BAD_HEADER),
    ("a config that is not an object", raw(CONFIG, b"[1]"), Refusal.BAD_JSON),
    ("a config that is not UTF-8", raw(CONFIG, b'{"r": "\xff"}'), Refusal.BAD_JSON),
    ("a deeply nested config", raw(CONFIG, b"[" * 30_000), Refusal.BAD_JSON),
    ("NaN in the config", raw(CONFIG, b'{"r": NaN}'), Refusal.BAD_JSON),
    ("a duplicate key", duplicate_key, Refusal.BAD_JSON),
    ("a manifest that is not JSON", raw(MANIFEST, b"{"), Refusal.BAD_JSON),
    ("an import path", config(auto_mapping={"base_model_class": "os"}), Refusal.BAD_CONFIG_VALUE),
    ("an unknown field", config(remote_code="x"), Refusal.FORBIDDEN_FIELD),
    ("no rank", config(r=...), Refusal.BAD_CONFIG_VALUE),
    ("rank as text", config(r="8"), Refusal.BAD_CONFIG_VALUE),
    ("rank as a boolean", config(r=True), Refusal.BAD_CONFIG_VALUE),
    ("rank 0", config(r=0), Refusal.BAD_CONFIG_VALUE),
    ("rank 9", config(r=9), Refusal.RANK_TOO_HIGH),
    ("huge scaling", config(lora_alpha=1e9), Refusal.BAD_CONFIG_VALUE),
    ("infinite scaling", raw(CONFIG, b'{"peft_type":"LORA","r":8,"lora_alpha":1e999}'), Refusal.BAD_CONFIG_VALUE),
    ("negative scaling", config(lora_alpha=-1), Refusal.BAD_CONFIG_VALUE),
    ("another method", config(peft_type="IA3"), Refusal.BAD_CONFIG_VALUE),
    ("DoRA", config(use_dora=True), Refusal.BAD_CONFIG_VALUE),
    ("a boolean as a number", config(use_dora=0), Refusal.BAD_CONFIG_VALUE),
    ("biases", config(bias="all"), Refusal.BAD_CONFIG_VALUE),
    ("whole modules", config(modules_to_save=["lm_head"]), Refusal.BAD_CONFIG_VALUE),
    ("ranks by pattern", config(rank_pattern={"q_proj": 64}), Refusal.BAD_CONFIG_VALUE),
    ("targets as a regular expression", config(target_modules=".*"), Refusal.BAD_CONFIG_VALUE),
    ("a duplicate target", config(target_modules=["q_proj", "q_proj"]), Refusal.BAD_CONFIG_VALUE),
    ("a target not allowed", config(target_modules=["lm_head"]), Refusal.FORBIDDEN_TARGET),
    ("fewer targets than tensors", config(target_modules=["q_proj"]), Refusal.UNEXPECTED_TENSOR),
    ("a lower rank than the tensors'", config(r=4), Refusal.BAD_SHAPE),
    ("a tensor missing", tensors(drop), Refusal.MISSING_TENSOR),
    ("a tensor of another module", tensors(rename), Refusal.UNEXPECTED_TENSOR),
    ("a transposed tensor", tensors(transpose), Refusal.BAD_SHAPE),
    ("float64", tensors(as_float64), Refusal.BAD_DTYPE),
    ("NaN", tensors(set_value(float("nan"))), Refusal.NOT_FINITE),
    ("infinity", tensors(set_value(float("inf"))), Refusal.NOT_FINITE),
    ("reversed offsets", header(lambda v: first_tensor(v).update(data_offsets=[8, 0])), Refusal.BAD_OFFSETS),
    ("negative offsets", header(lambda v: first_tensor(v).update(data_offsets=[-8, 0])), Refusal.BAD_OFFSETS),
    ("a shape of floats", header(lambda v: first_tensor(v).update(shape=[8.0, 256.0])), Refusal.BAD_SHAPE),
    ("overlapping tensors", header(overlap), Refusal.BAD_OFFSETS),
    ("bytes after the tensors", lambda f: (f / WEIGHTS).open("ab").write(b"x"), Refusal.BAD_OFFSETS),
]


@pytest.mark.parametrize(("change", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_defect_is_refused_for_its_reason(folder: Path, tiny: BaseFolder, change: Change, reason: Refusal) -> None:
    load_adapter(folder, tiny.config, LIMITS)
    change(folder)
    with pytest.raises(UnsafeAdapterError) as caught:
        load_adapter(folder, tiny.config, LIMITS)
    assert caught.value.reason is reason
    assert str(caught.value).startswith(reason.value)


def test_every_reason_has_a_case() -> None:
    covered = {reason for _, _, reason in CASES} | {Refusal.WRONG_MANIFEST}
    assert covered == set(Refusal)


def test_header_check_covers_everything_but_the_values(folder: Path, tiny: BaseFolder) -> None:
    found = check_header(folder, tiny.config, LIMITS)
    assert (found.rank, found.scaling, len(found.tensors)) == (8, 2.0, 56)
    tensors(set_value(float("nan")))(folder)
    check_header(folder, tiny.config, LIMITS)


def test_half_precision_is_widened_exactly(folder: Path, tiny: BaseFolder) -> None:
    arrays = load_file(folder / WEIGHTS)
    save_file({name: array.astype(np.float16) for name, array in arrays.items()}, folder / WEIGHTS)
    found = load_adapter(folder, tiny.config, LIMITS).arrays
    assert all(np.array_equal(found[name], array.astype(np.float16)) for name, array in arrays.items())


@pytest.mark.parametrize(
    ("field", "value"),
    [("task", {"chain_id": 1}), ("base_digest", "00" * 32), ("operator", "0x" + "99" * 20)],
)
def test_manifest_of_another_task_base_or_operator_is_refused(folder: Path, field: str, value: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    task = TaskReference(**manifest["task"])
    check_manifest(folder, task, manifest["base_digest"], manifest["operator"])
    manifest[field] = manifest[field] | value if isinstance(value, dict) else value
    (folder / MANIFEST).write_text(json.dumps(manifest, separators=(",", ":"), sort_keys=True))
    original = json.loads((folder / MANIFEST).read_text()) | {"task": task.model_dump()}
    wanted = {"base_digest": original["base_digest"], "operator": original["operator"]}
    if field in wanted:
        wanted[field] = "0x" + "01" * 20 if field == "operator" else "11" * 32
    with pytest.raises(UnsafeAdapterError, match="it names another"):
        check_manifest(folder, task, wanted["base_digest"], wanted["operator"])
    (folder / MANIFEST).write_text("{}")
    with pytest.raises(UnsafeAdapterError) as caught:
        check_manifest(folder, task, "11" * 32, None)
    assert caught.value.reason is Refusal.WRONG_MANIFEST


def test_missing_folder_is_an_error_of_this_machine(tiny: BaseFolder, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_adapter(tmp_path / "gone", tiny.config, LIMITS)


def test_light_modules_do_not_import_torch() -> None:
    modules = (
        "lora.bases.resolve, lora.bases.digest, lora.bases.shapes, lora.data.records, lora.data.encode, "
        "lora.data.batches, lora.data.sample, lora.errors, lora.tokenizer, lora.adapters.export, "
        "lora.adapters.format, lora.adapters.loader, lora.adapters.similarity, lora.jobs.job, lora.jobs.dispatch, "
        "lora.jobs.worker, lora.jobs.messages, lora.jobs.result, lora.scoring.bootstrap, devnet.icd10"
    )
    imports = "; ".join(f"import covey.{name}" for name in modules.split(", "))
    code = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
