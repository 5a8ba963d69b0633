"""Small disks for daemons, to fill and to free while they run.

Each is a tmpfs in one mount namespace of its own, kept by a process that does nothing else: daemons and workers are
started in it, everybody else reaches it through /proc. When that process ends all is gone. Made by root, or by anybody
where the system lets users have namespaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.chaos.disk_filler import fill
from tests.support.network import SOURCE, Node, Process

_DAEMON = Path(__file__).with_name("disk_full_points.py")
_WAYS = (["--mount"], ["--mount", "--user", "--map-root-user"])
MOST = 8 << 20
"""Bytes of a disk: several times what a node with tasks of the tests needs."""


@dataclass
class Disk:
    """One small disk: `path` as its daemon sees it, `seen` as everybody else does."""

    path: Path
    seen: Path

    def fill(self, leave: int = 0) -> None:
        """Leave only `leave` bytes."""
        fill(self.seen / "ballast", leave)

    def clear(self) -> None:
        """Give all that `fill` took back."""
        (self.seen / "ballast").unlink(missing_ok=True)


class Disks:
    """The namespace, and the disks in it by the name of their node."""

    def __init__(self, holder: int, enter: list[str]) -> None:
        self._holder = holder
        self.enter = enter
        """Put before a command that must see the disks."""
        self.of: dict[str, Disk] = {}
        self.steps: dict[str, Path] = {}
        """Files of durable steps for nodes that meet a full disk at each (`tests.support.chaos.disk_full_points`)."""

    def give(self, node: Node, *, steps: bool = False) -> Disk:
        """A small disk for the node, as its data folder, on which its log lies too."""
        path = (node.settings.parent / "data").resolve()
        path.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={MOST},mode=0700", "covey-test", str(path)]
        subprocess.run([*self.enter, *mount], check=True)
        disk = self.of[node.name] = Disk(path, Path(f"/proc/{self._holder}/root{path}"))
        node.log = disk.seen / "log"
        node.launch = self.launch
        if steps:
            self.steps[node.name] = node.settings.parent / "steps"
        return disk

    def keep_logs(self) -> None:
        """Copy the logs to where they outlive the disks."""
        for disk in self.of.values():
            if (log := disk.seen / "log").is_file():
                shutil.copyfile(log, disk.path.parent / "log")

    def launch(self, node: Node) -> Process:
        """A daemon that sees the disks."""
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": ""}
        steps = [str(self.steps[node.name])] if node.name in self.steps else []
        argv = [*self.enter, sys.executable, str(_DAEMON), str(node.settings), *steps]
        with node.log.open("ab") as log:
            return subprocess.Popen(argv, stderr=log, stdout=log, env=environment)


@contextmanager
def disks() -> Iterator[Disks]:
    """A namespace for disks, gone with everything in it at the end. Skips the test where none can be had."""
    if sys.platform != "linux":
        pytest.skip("small disks are made with Linux's mount namespaces")
    reasons = []
    for way in _WAYS:
        # The mount shows that the namespace is good for something; `cat` ends with this process.
        held = subprocess.Popen(
            ["unshare", *way, "sh", "-c", "mount -t tmpfs covey-test /mnt && umount /mnt && echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert held.stdin is not None and held.stdout is not None and held.stderr is not None
        ready = held.stdout.readline() == "ready\n"
        try:
            if ready:
                users = ["--user", "--preserve-credentials"] if "--user" in way else []
                made = Disks(held.pid, ["nsenter", f"--target={held.pid}", "--mount", *users, "--"])
                try:
                    yield made
                finally:
                    made.keep_logs()
                return
            reasons.append(held.stderr.read().strip())
        finally:
            held.stdin.close()
            held.wait(60)
    pytest.skip(f"no small disk can be mounted here ({'; '.join(reasons)}): run it as root, or allow user namespaces")
