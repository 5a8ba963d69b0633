"""An adapter that was trained elsewhere becomes an entry."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.lora.peft import write_peft
from tests.support.network import tiny_spec

from covey.client.adapters import import_adapter
from covey.client.errors import InvalidInput
from covey.lora.bases.resolve import read_config, tiny_folder
from covey.protocol.entry import ENTRY_FILES, Manifest, TaskReference

TASK = TaskReference(chain_id=31337, registry="0x" + "11" * 20, task_id=3, spec="22" * 32)
OPERATOR = "0x" + "Aa" * 20
BASE = read_config(tiny_folder())


def test_entry_is_complete_and_without_local_paths(tmp_path: Path) -> None:
    source = write_peft(tmp_path / "peft")
    out = tmp_path / "data" / "entries" / "net" / "3"
    entry = import_adapter(source, out, spec=tiny_spec(), base_config=BASE, task=TASK, operator=OPERATOR)
    assert sorted(path.name for path in out.iterdir()) == sorted(ENTRY_FILES)
    assert [path.name for path in out.parent.iterdir()] == ["3"], "no partial folder stays"
    assert (entry.rank, entry.alpha, entry.target_modules) == (4, 8, ("q_proj", "v_proj"))
    assert entry.bytes == (out / "adapter_model.safetensors").stat().st_size
    assert entry.changes == ("init_lora_weights 'gaussian': left out",)
    for name in ENTRY_FILES:
        assert b"/home/me" not in (out / name).read_bytes()
    manifest = Manifest.from_bytes((out / "manifest.json").read_bytes())
    assert (manifest.task, manifest.operator) == (TASK, OPERATOR.lower())
    with pytest.raises(InvalidInput, match="exists already: an entry is never overwritten"):
        import_adapter(source, out, spec=tiny_spec(), base_config=BASE, task=TASK, operator=OPERATOR)


@pytest.mark.parametrize(
    ("rank", "targets", "message"),
    [
        (5, ("q_proj",), "is no entry of this task: rank_too_high: rank 5, the task allows 4"),
        (2, ("q_proj", "up_proj"), "is no entry of this task: forbidden_target: target module 'up_proj'"),
    ],
)
def test_adapter_outside_the_tasks_limits_writes_nothing(
    tmp_path: Path, rank: int, targets: tuple[str, ...], message: str
) -> None:
    source = write_peft(tmp_path / "peft", rank, targets)
    out = tmp_path / "entries" / "3"
    with pytest.raises(InvalidInput, match=message):
        import_adapter(source, out, spec=tiny_spec(), base_config=BASE, task=TASK, operator=OPERATOR)
    assert list(out.parent.iterdir()) == []
