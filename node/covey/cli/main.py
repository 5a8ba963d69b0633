"""Entry point of the `covey` command."""

from __future__ import annotations

import os
import sys

import typer

from covey.cli.commands import appeals, audit, demo, explain, keys, network, node, stake, tasks, tx
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
for module in (node, tasks, appeals, stake, keys, tx, explain, audit, network, demo):
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
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command line and return its exit code.

    0: success; 1: the command failed; 2: bad input, nothing was changed; 130: interrupted. An error is one line on
    standard error.
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
        code = _client_exit_code(error)
        if code is None:
            raise
        return _fail(str(error), code)


def _client_exit_code(error: Exception) -> int | None:
    """Exit code of an error of `covey.client`; None for any other. The client is imported only when it is needed."""
    from covey.client.errors import ClientError, InvalidInput

    if isinstance(error, ClientError):
        return 2 if isinstance(error, InvalidInput) else 1
    return None


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"covey: {line}\n")
    return code
