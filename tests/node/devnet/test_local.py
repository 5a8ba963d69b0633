"""Output folders of local networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from covey.devnet.errors import BadInput
from covey.devnet.local import prepare_folder


def test_run_replaces_only_its_own_folder(tmp_path: Path) -> None:
    out = prepare_folder(tmp_path / "run", ".mark")
    (out / "old").write_text("x")
    assert [path.name for path in prepare_folder(out, ".mark").iterdir()] == [".mark"]
    for name in ("keys", "logs"):
        (out / name).mkdir()
        (out / name / "file").write_text("x")
    kept = prepare_folder(out, ".mark", keep=("keys",))
    assert sorted(path.name for path in kept.iterdir()) == [".mark", "keys"]
    assert (out / "keys" / "file").read_text() == "x"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "file").write_text("x")
    with pytest.raises(BadInput, match="not from an earlier run"):
        prepare_folder(foreign, ".mark")
    with pytest.raises(BadInput, match="is a file"):
        prepare_folder(foreign / "file", ".mark")
    assert (foreign / "file").read_text() == "x"
