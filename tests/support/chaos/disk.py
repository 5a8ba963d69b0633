"""Small disks for daemons, which tests fill and free while the daemons run.

Each disk is a tmpfs in one mount namespace. A process that does nothing else holds the namespace: daemons and workers
are started in it, other processes reach it through /proc. When the holder ends, the disks are gone. It needs root, or a
system that lets users create namespaces.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.chaos.disk_filler import fill_disk
from tests.support.network import Node

_UNSHARE_OPTIONS = (["--mount"], ["--mount", "--user", "--map-root-user"])
SIZE = 8 << 20
"""Bytes of a disk: several times what a node needs for the tests' tasks."""


@dataclass(frozen=True)
class Disk:
    """One small disk: ``path`` inside the namespace, ``outside`` for other processes."""

    path: Path
    outside: Path

    def fill(self, leave: int = 0) -> None:
        """Leave only ``leave`` bytes free."""
        fill_disk(self.outside / "filler", leave)

    def free(self) -> None:
        """Free what `fill` used."""
        (self.outside / "filler").unlink(missing_ok=True)


class MountNamespace:
    """The namespace of the disks.

    Args:
        holder: process id of the process that holds it.
        enter: put before a command that must see the disks.
    """

    def __init__(self, holder: int, enter: list[str]) -> None:
        self.enter = enter
        self._holder = holder

    def new_disk(self, path: Path) -> Disk:
        """Mount a small disk at ``path``."""
        path = path.resolve()
        path.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "covey-test", str(path)]
        subprocess.run([*self.enter, *mount], check=True)
        return Disk(path, Path(f"/proc/{self._holder}/root{path}"))


class NodeDisks:
    """The disks of one test's nodes, by the node's name."""

    def __init__(self, namespace: MountNamespace) -> None:
        self._namespace = namespace
        self._disks: dict[str, Disk] = {}

    def __getitem__(self, node: Node) -> Disk:
        return self._disks[node.name]

    def mount(self, node: Node) -> Disk:
        """Give the node a small disk as its data folder; its log is on it too."""
        disk = self._disks[node.name] = self._namespace.new_disk(node.settings.parent / "data")
        node.log = disk.outside / "log"
        return disk

    def save_logs(self) -> None:
        """Copy the logs to where they outlive the disks."""
        for disk in self._disks.values():
            if (log := disk.outside / "log").is_file():
                shutil.copyfile(log, disk.path.parent / "log")


@contextmanager
def mount_namespace() -> Iterator[MountNamespace]:
    """A mount namespace, gone with all its disks at the end. Skips the test where none can be created."""
    if sys.platform != "linux":
        pytest.skip("small disks need Linux's mount namespaces")
    reasons = []
    for options in _UNSHARE_OPTIONS:
        # The mount shows that the namespace works; `cat` ends with this process.
        holder = subprocess.Popen(
            [
                "unshare",
                *options,
                "sh",
                "-c",
                "mount -t tmpfs covey-test /mnt && umount /mnt && echo ready && exec cat",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert holder.stdin is not None and holder.stdout is not None and holder.stderr is not None
        try:
            if holder.stdout.readline() == "ready\n":
                user = ["--user", "--preserve-credentials"] if "--user" in options else []
                yield MountNamespace(holder.pid, ["nsenter", f"--target={holder.pid}", "--mount", *user, "--"])
                return
            reasons.append(holder.stderr.read().strip())
        finally:
            holder.stdin.close()
            holder.wait(60)
    pytest.skip(f"no small disk can be mounted ({'; '.join(reasons)}): run as root, or allow user namespaces")
