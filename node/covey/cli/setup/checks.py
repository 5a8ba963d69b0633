"""The checks behind `covey check`: the installation first, then whatever is configured."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from covey.cli.errors import CliError, InputError
from covey.cli.settings import Settings, config_file, load_node, load_settings
from covey.client.errors import ClientError

State = Literal["ok", "bad", "not set"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in one line."""

    what: str
    state: State
    told: str


_UNSET = {"rpc_urls": ["http://127.0.0.1:8545"], "deployment": ".", "heldout_records": ".", "training_records": "."}
"""In the place of settings that a node needs and `covey init` may leave open."""


class _Bad(Exception):
    """A check failed; the message says what to do."""


def run_checks(config: str | None, *, probe: bool) -> list[Finding]:
    """All findings, in the order in which they build on each other. Raises InputError without the named file."""
    file = config_file(config)
    findings = [_try(what, check) for what, check in _installation()]
    if probe:
        findings.append(_try("worker", _worker))
    try:
        settings = load_settings({}, config)
    except InputError as error:
        return [*findings, Finding("settings", "bad", str(error))]
    if file is None:
        findings.append(Finding("settings", "not set", "no covey.toml; `covey init` makes one"))
    else:
        findings.append(_try("settings", lambda: _settings(file, config)))
    return findings + list(_configured(settings))


def _settings(file: Path, config: str | None) -> str:
    """What is set must be what `covey run` takes; what is not set is told by the checks that follow.

    A file without `roles` is of somebody who runs no node.
    """
    given = tomllib.loads(file.read_text(encoding="utf-8"))
    if "roles" in given:
        load_node({key: value for key, value in _UNSET.items() if key not in given}, config)
    return str(file)


def _try(what: str, check: Callable[[], str | None]) -> Finding:
    try:
        told = check()
    except (_Bad, CliError, ClientError) as error:
        return Finding(what, "bad", str(error))
    return Finding(what, "not set", "not configured") if told is None else Finding(what, "ok", told)


def _installation() -> Iterator[tuple[str, Callable[[], str | None]]]:
    yield "python", lambda: f"{sys.version.split()[0]}, covey {version('covey')}"
    yield "libraries", _libraries
    yield "contracts", _artifacts
    yield "tiny base", _tiny_base
    yield "anvil", _anvil
    yield "demo data", _demo_data


def _libraries() -> str:
    names = ("torch", "transformers", "tokenizers", "safetensors", "web3")
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            raise _Bad(f"{name} is not installed: install covey again with its dependencies") from None
    return ", ".join(found)


def _artifacts() -> str:
    from covey.chain import artifacts
    from covey.chain.errors import ChainError

    try:
        loaded = [artifacts.load(name) for name in artifacts.CONTRACTS]
    except (ChainError, ValueError, KeyError) as error:
        raise _Bad(str(error)) from None
    return f"{len(loaded)} compiled contracts, compiler input {loaded[-1].input_hash[:18]}…"


def _tiny_base() -> str:
    from covey.lora.bases.resolve import TINY, resolve
    from covey.lora.errors import LoraError

    try:
        base = resolve(TINY)
    except (LoraError, OSError) as error:
        raise _Bad(str(error)) from None
    named = re.search(r"\b[0-9a-f]{64}\b", (base.folder / "README.md").read_text(encoding="utf-8"))
    if named is not None and named[0] != base.digest:
        raise _Bad(f"the files in {base.folder} do not have the digest that their card names: install covey again")
    return f"digest {base.digest}" + (", as its card says" if named is not None else "")


def _anvil() -> str | None:
    import shutil

    from covey.devnet.anvil import find_anvil
    from covey.devnet.errors import DevnetError

    try:
        return str(find_anvil(install=False))
    except DevnetError as error:
        if "names" in str(error):
            raise _Bad(str(error)) from None
        if shutil.which("npm"):
            return "not installed yet; `covey demo` and `covey devnet` fetch it with npm"
        return None


def _demo_data() -> str | None:
    try:
        return f"simple-icd-10-cm {version('simple-icd-10-cm')}"
    except PackageNotFoundError:
        return None


def _worker() -> str:
    import subprocess

    from covey.lora.errors import LoraError
    from covey.lora.jobs.job import ProbeJob
    from covey.lora.jobs.messages import Request, ResultMessage, parse_message
    from covey.lora.jobs.result import ProbeResult

    done = subprocess.run(
        [sys.executable, "-m", "covey.lora.jobs.worker"],
        input=Request(job=ProbeJob()).to_line() + "\n",
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    for line in done.stdout.splitlines():
        try:
            message = parse_message(line)
        except LoraError as error:
            raise _Bad(f"the worker's answer cannot be read: {error}") from None
        if isinstance(message, ResultMessage) and isinstance(message.result, ProbeResult):
            profile = message.result.profile
            return f"{profile.device}, {profile.threads} threads, torch {profile.software['torch']}"
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise _Bad(f"the worker gave no answer: {last}")


def _configured(settings: Settings) -> Iterator[Finding]:
    network = None
    if settings.rpc_urls and settings.deployment is not None:
        from covey.cli.access import connect

        try:
            network = connect(settings)
            yield _try("chain", lambda: _chain(network))
        except (CliError, ClientError) as error:
            yield Finding("chain", "bad", str(error))
    else:
        yield Finding("chain", "not set", "needs rpc_urls and deployment")
    from covey.cli.setup.node_checks import check_data, check_key, check_operator, check_peers, check_store

    yield _try("keystore" if settings.remote_signer is None else "remote signer", lambda: check_key(settings))
    yield _try("operator", lambda: check_operator(settings, network))
    yield _try("training records", lambda: check_data(settings.training_records))
    yield _try("held-out records", lambda: check_data(settings.heldout_records))
    yield _try("block store", lambda: check_store(settings))
    yield _try("peers", lambda: check_peers(settings))


def _chain(network: object) -> str:
    from covey.chain.errors import ChainError
    from covey.client.network import Network

    assert isinstance(network, Network)
    try:
        network.deployment.verify(network.rpc)
        head = network.rpc.block()
    except ChainError as error:
        raise _Bad(str(error)) from None
    return f"chain {network.deployment.chain_id}, block {head.number}, contracts as recorded"


def records_told(path: Path) -> str:
    """Records of a file by stratum. Raises CliError for a bad file."""
    from covey.daemon.planning.policy import count_strata
    from covey.protocol.canonical import DocumentError

    try:
        counts = count_strata(path)
    except DocumentError as error:
        raise CliError(str(error)) from None
    if not counts:
        raise CliError(f"{path} holds no record")
    return f"{sum(counts.values()):,} records: " + ", ".join(
        f"{name} {count:,}" for name, count in sorted(counts.items())
    )
