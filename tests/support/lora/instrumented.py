"""Checks hostile adapters on disk under an audit hook and a memory limit; test_hostile runs it as a program."""

from __future__ import annotations

import json
import os
import pickle
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from covey.lora.adapters.loader import AdapterLimits, check_header, check_manifest, load_adapter
from covey.lora.adapters.refusal import UnsafeAdapterError
from covey.lora.bases.resolve import read_config, tiny_folder
from covey.protocol.entry import TaskReference

BASE = read_config(tiny_folder())
LIMITS = AdapterLimits(max_rank=8)
BASE_DIGEST, OPERATOR = "44" * 32, "0x" + "55" * 20
TASK = TaskReference(chain_id=31337, registry="0x" + "11" * 20, task_id=1, spec="22" * 32)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MEMORY_BYTES = 96 << 20  # address space in addition to that of the interpreter and its libraries


class Gadget:
    """A payload that a pickle runs when it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch /tmp/covey-was-here",)


def judge(folder: Path) -> str:
    """The reason of the refusal, or "accepted". Checks run in a validator's order."""
    try:
        check_manifest(folder, TASK, BASE_DIGEST, OPERATOR)
        load_adapter(folder, BASE, LIMITS)
    except UnsafeAdapterError as error:
        if not str(error).isprintable() or len(str(error)) > 400:
            raise ValueError(f"not a short line: {error!r}") from None
        return error.reason.value
    return "accepted"


def judge_header(folder: Path) -> str:
    """Like `judge`, without the values and the content of the manifest."""
    try:
        check_header(folder, BASE, LIMITS)
    except UnsafeAdapterError as error:
        return error.reason.value
    return "accepted"


def peak_kib() -> int:
    """Peak resident memory of this program. (getrusage would include the parent's at the time of the fork.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def watch(index: Path) -> dict[str, Any]:
    """Check the folders listed in ``index`` (one per line) and report the interpreter's actions meanwhile.

    Returns ``verdicts`` by folder name, ``violations`` (audit events other than reads inside the checked folder), the
    imported ``modules``, ``growth_kib`` of the peak resident memory, and ``proof``: the violations that unpickling the
    payload causes, which shows that the hook detects them.
    """
    folders = [Path(line) for line in index.read_text().splitlines()]
    valid, *hostile = folders
    violations: list[str] = []
    inside: Path | None = None

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if inside is None:
            return
        if event == "os.scandir" and Path(os.fspath(arguments[0])) == inside:
            return
        if event == "open":
            path, mode, flags = arguments
            own = isinstance(path, int) or Path(os.fspath(path)).parent == inside
            if own and mode in (None, "rb", "r") and flags & _WRITING == 0:
                return
        if event.startswith(("sys._getframe", "object.__getattr__", "gc.")):
            return
        violations.append(f"{inside.name}: {event} {arguments!r:.200}")
        raise RuntimeError(f"forbidden: {event}")

    if judge(valid) != "accepted" or judge_header(valid) != "accepted":
        raise ValueError(f"the valid adapter in {valid} is refused")
    sys.addaudithook(audit)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + _MEMORY_BYTES, resource.RLIM_INFINITY))
    before = set(sys.modules)
    peak = peak_kib()
    verdicts: dict[str, str] = {}
    for folder in hostile:
        inside = folder
        try:
            verdicts[folder.name] = judge(folder)
        except Exception as error:
            verdicts[folder.name] = f"{type(error).__name__}: {error}"
        inside = None
    growth = peak_kib() - peak
    found, modules = list(violations), sorted(set(sys.modules) - before)
    gadget = pickle.dumps(Gadget())
    violations.clear()
    inside = valid
    with suppress(RuntimeError):
        pickle.loads(gadget)
    inside = None
    return {
        "verdicts": verdicts,
        "violations": found,
        "modules": modules,
        "growth_kib": growth,
        "proof": list(violations),
    }


if __name__ == "__main__":
    print(json.dumps(watch(Path(sys.argv[1]))))
