"""The digest of a base model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from covey.daemon.workers.base_digests import BaseDigests
from covey.lora.bases.digest import base_digest, base_files, stamp
from covey.lora.bases.resolve import BaseFolder
from covey.lora.errors import BaseModelError
from covey.lora.jobs.runtime import BaseCache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    return tmp_path


def test_digest_equals_the_documented_coreutils_command(tiny: BaseFolder) -> None:
    files = "config.json model.safetensors tokenizer.json"
    command = f"(echo covey-base-v1; LC_ALL=C sha256sum {files}) | sha256sum"
    out = subprocess.run(command, shell=True, cwd=tiny.folder, capture_output=True, text=True, check=True).stdout
    assert out.split()[0] == tiny.digest


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_changed_byte_changes_the_digest(folder: Path, name: str) -> None:
    before = base_digest(folder)
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    assert base_digest(folder) != before


def test_other_files_do_not_change_the_digest(folder: Path) -> None:
    before = base_digest(folder)
    (folder / "README.md").write_text("model card")
    assert base_digest(folder) == before


def test_shards_are_included_and_must_exist(folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder / "model-1-of-2.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1-of-2.safetensors"}}))
    assert base_files(folder) == [
        "config.json",
        "model-1-of-2.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ]
    index.write_text(json.dumps({"weight_map": {"a": "model-2-of-2.safetensors"}}))
    with pytest.raises(BaseModelError, match=r"lacks model-2-of-2\.safetensors"):
        base_digest(folder)


@pytest.mark.parametrize("shard", ["../secret", "/etc/passwd", ".hidden"])
def test_shard_outside_the_folder_is_refused(folder: Path, shard: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(BaseModelError, match="outside its folder"):
        base_digest(folder)


def test_missing_file_is_reported(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BaseModelError, match=r"lacks tokenizer\.json"):
        base_digest(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BaseModelError, match=r"has no model\.safetensors"):
        base_digest(folder)


def test_files_that_are_never_read_do_not_break_a_base(tiny: BaseFolder, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny.folder, folder)
    cache, digests = BaseCache(), BaseDigests(tmp_path / "digests.json")
    found = cache.folder(str(folder))
    before = stamp(folder)
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "generation_config.json").write_text("not json")
    os.mkfifo(folder / "pipe")
    (folder / "sub").mkdir(mode=0o000)
    assert stamp(folder) == before
    assert cache.folder(str(folder)) is found
    assert digests.digest(str(folder)) == base_digest(folder) == tiny.digest


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_dangling_link_to_a_file_that_is_read_is_named(tiny: BaseFolder, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny.folder, folder)
    (folder / name).unlink()
    (folder / name).symlink_to("nowhere")
    for read in (
        lambda: stamp(folder),
        lambda: BaseCache().folder(str(folder)),
        lambda: BaseDigests(tmp_path / "digests.json").digest(str(folder)),
    ):
        with pytest.raises(BaseModelError, match="safetensors" if name == "model.safetensors" else name):
            read()
