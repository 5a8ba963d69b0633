"""What a local chain leaves behind: its log, and nothing else anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from covey.devnet.anvil import Anvil

pytestmark = pytest.mark.daemon


def test_states_of_old_blocks_are_removed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    with Anvil(tmp_path / "net" / "anvil.log") as anvil:
        for account in range(1, 1_800):  # more states than it holds in memory
            anvil.set_balance(f"0x{account:040x}", account)
            anvil.mine()
        kept = [path for path in (tmp_path / "net").rglob("*") if path.is_file() and path.suffix != ".log"]
        assert kept, "no state was put on disk: nothing was shown"
    assert [path.name for path in (tmp_path / "net").rglob("*")] == ["anvil.log"]
    assert not list(home.rglob("*")), "the user's home is not ours to fill"
