"""Entry point of the `covey` command."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import sys

import typer

from covey.cli.commands import (
    adapters,
    appeals,
    audit,
    demo,
    emissions,
    explain,
    governance,
    keys,
    network,
    node,
    overview,
    pool,
    retire,
    stake,
    tasks,
    tx,
    web,
)
from covey.cli.errors import CliError
from covey.config.renamed import renamed_flag

app = typer.Typer(
    name="covey",
    help="Train Qwen LoRA adapters together without pooling data.\n\n"
    "Most options can also be set by an environment variable COVEY_… or a key in covey.toml. "
    "An option overrides the variable, which overrides the file.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for module in (
    node, tasks, adapters, appeals, stake, pool, overview, emissions, retire, keys, tx, explain, audit, web, network,
    governance, demo,
):  # fmt: skip
    module.add_to(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"covey {installed('covey')}")
        raise typer.Exit


def run() -> None:
    """Run the command line of this process and exit with the code of `main`."""
    _prepare_streams()
    sys.exit(main(sys.argv[1:]))


def _prepare_streams() -> None:
    """Let output never fail: characters that a terminal cannot show are replaced, closed streams take nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open until the process ends)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def main(arguments: list[str]) -> int:
    """Run one command line and return its exit code.

    0: success; 1: the command failed; 2: bad input, nothing was changed; 130: interrupted. An error is one line on
    standard error. All commands share this boundary: what a machine, a file or a user outside can cause ends here,
    without a traceback.
    """
    from typer.exceptions import Abort, TyperException

    try:
        result = app(args=arguments, prog_name="covey", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except CliError as error:
        return _fail(str(error), error.code)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            return error.exit_code
        flag = str(getattr(error, "option_name", ""))
        new = renamed_flag(flag)
        return _fail(error.format_message() if new is None else f"{flag} was renamed to {new}", error.exit_code)
    except (Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        outcome = _outside_cause(error)
        if outcome is None:
            raise
        return _fail(*outcome)


def _outside_cause(error: Exception) -> tuple[str, int] | None:
    """Message and exit code of an error that something outside caused; None for a fault of this program.

    The modules that define the errors are loaded if they can have been raised.
    """
    from covey.client.errors import InvalidInput
    from covey.config.errors import ConfigError

    if isinstance(error, InvalidInput | ConfigError):
        return str(error), 2
    if _is_ours(error):
        return str(error) or type(error).__name__, 1
    if isinstance(error, RecursionError):
        return "JSON of an endpoint, a peer or a file is nested too deep", 1
    if isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror or error}", 1
    if isinstance(error, UnicodeError):
        return f"text that is not UTF-8: {error}", 1
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error}", 1
    if isinstance(error, sqlite3.Error):
        return f"the node's journal: {error}", 1
    return None


def _is_ours(error: Exception) -> bool:
    """Whether the error's class, or one that it extends, is of this package: its message is a line for the user."""
    classes = type(error).__mro__
    return any(kind.__module__.partition(".")[0] == "covey" and issubclass(kind, Exception) for kind in classes)


def _fail(message: str, code: int) -> int:
    from covey.cli.output import printable

    line = printable(" ".join(message.split()))
    sys.stderr.write(f"covey: {line}\n")
    return code
