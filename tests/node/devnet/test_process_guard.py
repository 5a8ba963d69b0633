"""A guard kills a process group when its holder dies, and does nothing after its release."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from covey.devnet.process_guard import ProcessGuard

GROUP = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); time.sleep(600)"
HOLDER = f"""
import subprocess, sys, time
from covey.devnet.process_guard import ProcessGuard
child = subprocess.Popen([sys.executable, "-c", {GROUP!r}], start_new_session=True)
guard = ProcessGuard(child)
print(child.pid, flush=True)
time.sleep(600)
"""


def group(pid: int) -> set[int]:
    """Running processes of a group, without zombies."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == pid and fields[0] != "Z":
            found.add(int(folder.name))
    return found


def reaches_size(pid: int, count: int) -> bool:
    """Wait until the group has `count` running processes."""
    end = time.monotonic() + 60
    while len(group(pid)) != count and time.monotonic() < end:
        time.sleep(0.02)
    return len(group(pid)) == count


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_group_is_killed_with_its_holder() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    leader = int(holder.stdout.readline())
    assert reaches_size(leader, 2)
    holder.kill()
    holder.wait()
    assert reaches_size(leader, 0)
    holder.stdout.close()


def test_released_process_is_not_killed() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    guard = ProcessGuard(child)
    guard.release()
    guard.release()
    child.communicate(b"\n", timeout=60)
    assert child.returncode == 0
