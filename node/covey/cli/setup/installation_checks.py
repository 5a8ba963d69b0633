"""Checks of the installation: libraries, artifacts, the bundled base model, anvil, workers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from covey.cli.setup.findings import CheckFailed

_PROBE_TIMEOUT_S = 180
_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "web3")


def installation_checks() -> Iterator[tuple[str, Callable[[], str | None]]]:
    """The checks by name, in the order in which they are shown."""
    yield "python", lambda: f"{sys.version.split()[0]}, covey {version('covey')}"
    yield "libraries", _check_libraries
    yield "contracts", _check_artifacts
    yield "tiny base", _check_tiny_base
    yield "anvil", _check_anvil
    yield "demo data", _check_demo_data


def _check_libraries() -> str:
    found = []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            raise CheckFailed(f"{name} is not installed: reinstall covey with its dependencies") from None
    return ", ".join(found)


def _check_artifacts() -> str:
    from covey.chain import artifacts
    from covey.chain.errors import ChainError

    try:
        loaded = [artifacts.load(name) for name in artifacts.CONTRACTS]
    except (ChainError, ValueError, KeyError) as error:
        raise CheckFailed(str(error)) from None
    return f"{len(loaded)} compiled contracts, compiler input {loaded[-1].input_hash[:18]}…"


def _check_tiny_base() -> str:
    from covey.lora.bases.resolve import TINY, resolve
    from covey.lora.errors import LoraError

    try:
        base = resolve(TINY)
    except (LoraError, OSError) as error:
        raise CheckFailed(str(error)) from None
    card = re.search(r"\b[0-9a-f]{64}\b", (base.folder / "README.md").read_text(encoding="utf-8"))
    if card is not None and card[0] != base.digest:
        raise CheckFailed(f"the files in {base.folder} do not match the digest in their model card: reinstall covey")
    return f"digest {base.digest}" + (", matches its model card" if card is not None else "")


def _check_anvil() -> str | None:
    from covey.devnet.anvil import find_anvil
    from covey.devnet.errors import DevnetError

    try:
        return str(find_anvil(install=False))
    except DevnetError as error:
        if "names" in str(error):
            raise CheckFailed(str(error)) from None
        if shutil.which("npm"):
            return "not installed yet; `covey demo` and `covey devnet` install it with npm"
        return None


def _check_demo_data() -> str | None:
    try:
        return f"simple-icd-10-cm {version('simple-icd-10-cm')}"
    except PackageNotFoundError:
        return None


def check_worker(device: str = "auto") -> str:
    """Start a worker, compute on `device`, and report its hardware. Takes several seconds: the worker imports torch."""
    from covey.lora.errors import LoraError
    from covey.lora.jobs.job import ProbeJob
    from covey.lora.jobs.messages import ErrorMessage, Request, ResultMessage, parse_message
    from covey.lora.jobs.result import ProbeResult

    done = subprocess.run(
        [sys.executable, "-m", "covey.lora.jobs.worker"],
        input=Request(job=ProbeJob(device=device)).to_line() + "\n",
        capture_output=True,
        text=True,
        timeout=_PROBE_TIMEOUT_S,
        check=False,
    )
    for line in done.stdout.splitlines():
        try:
            message = parse_message(line)
        except LoraError as error:
            raise CheckFailed(f"the worker's reply is invalid: {error}") from None
        if isinstance(message, ResultMessage) and isinstance(message.result, ProbeResult):
            profile = message.result.profile
            return f"device {device}: {profile.device}, {profile.threads} threads, torch {profile.software['torch']}"
        if isinstance(message, ErrorMessage):
            raise CheckFailed(f"device {device}: {message.message}")
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    raise CheckFailed(f"the worker did not reply: {last}")
