"""All checks of `covey check`: first the installation, then the settings and everything that they configure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from covey.cli.access import connect
from covey.cli.errors import CliError, InputError
from covey.cli.settings import Settings, config_file, load_node, load_settings
from covey.cli.setup.findings import Finding, perform
from covey.cli.setup.installation_checks import check_worker, installation_checks
from covey.cli.setup.node_checks import (
    check_base,
    check_chain,
    check_operator,
    check_peers,
    check_records,
    check_signer,
    check_store,
)
from covey.client.errors import ClientError

_PLACEHOLDERS = {
    "rpc_urls": ["http://127.0.0.1:8545"],
    "deployment": ".",
    "heldout_records": ".",
    "training_records": ".",
}
"""Values for settings that a node needs and `covey init` may leave unset; later checks report those as not set."""


def run_checks(config: str | None, *, probe: bool) -> list[Finding]:
    """Run all checks; a later one may build on an earlier one.

    Args:
        config: the settings file, as `config_file` takes it.
        probe: also start a worker.

    Raises:
        InputError: the named settings file does not exist.
    """
    file = config_file(config)
    findings = [perform(name, check) for name, check in installation_checks()]
    try:
        settings = load_settings({}, config)
    except InputError as error:
        return [*findings, Finding("settings", "failed", str(error))]
    if probe:
        findings.append(perform("worker", partial(check_worker, settings.device)))
    if file is None:
        findings.append(Finding("settings", "not set", "no covey.toml; create one with `covey init`"))
    else:
        findings.append(perform("settings", lambda: _check_settings(file, config)))
    return findings + list(_check_configured(settings))


def _check_settings(file: Path, config: str | None) -> str:
    """What is set is valid for `covey run`. A file without roles belongs to a user who runs no node."""
    given = tomllib.loads(file.read_text(encoding="utf-8"))
    if "roles" in given:
        load_node({key: value for key, value in _PLACEHOLDERS.items() if key not in given}, config)
    return str(file)


def _check_configured(settings: Settings) -> Iterator[Finding]:
    network = None
    if settings.rpc_urls and settings.deployment is not None:
        try:
            network = connect(settings)
        except (CliError, ClientError) as error:
            yield Finding("chain", "failed", str(error))
        else:
            connected = network
            yield perform("chain", lambda: check_chain(connected))
    else:
        yield Finding("chain", "not set", "needs rpc_urls and deployment")
    signer = "keystore" if settings.remote_signer is None else "remote signer"
    yield perform(signer, lambda: check_signer(settings))
    yield perform("operator", lambda: check_operator(settings, network))
    yield perform("training records", lambda: check_records(settings.training_records))
    yield perform("held-out records", lambda: check_records(settings.heldout_records))
    for name in settings.bases:
        if name != "tiny":  # checked with the installation
            yield perform("base", partial(check_base, name, settings.data_dir))
    yield perform("block store", lambda: check_store(settings))
    yield perform("peers", lambda: check_peers(settings))
