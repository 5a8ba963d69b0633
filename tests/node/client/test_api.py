"""The exported names of `covey.client`."""

from __future__ import annotations

import inspect
import subprocess
import sys

from covey import client


def test_exported_names_are_documented() -> None:
    objects = {name: getattr(client, name) for name in client.__all__}
    callables = {name: value for name, value in objects.items() if callable(value)}
    assert len(callables) > 25
    assert [name for name, value in callables.items() if not inspect.getdoc(value)] == []


def test_every_exported_error_is_a_client_error() -> None:
    errors = [value for name in client.__all__ if inspect.isclass(value := getattr(client, name))]
    errors = [error for error in errors if issubclass(error, Exception)]
    assert len(errors) == 9
    assert all(issubclass(error, client.ClientError) for error in errors)


def test_import_loads_neither_torch_nor_the_command_line() -> None:
    modules = {"torch", "typer", "covey.cli", "covey.daemon.run"}
    code = f"import sys, covey.client; print(sorted(set(sys.modules) & {modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
