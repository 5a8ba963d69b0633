"""`covey keys`: create, import, list and export keystores, rotate the signer, write rules for Clef."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covey.cli.settings import CHAIN, KEY, SIGNER, JsonOption, Settings, with_settings

group = typer.Typer(name="keys", help="Create, import, list, export and rotate keys.", no_args_is_help=True)
NewPath = Annotated[Path, typer.Argument(help="Keystore to write. An existing file is never overwritten.")]


@group.command()
@with_settings("password_file")
def new(path: NewPath, *, settings: Settings, json: JsonOption = False) -> None:
    """Create a key in an encrypted keystore that only its owner can read."""
    from covey.cli.setup.keyfiles import make_keystore

    _report_keystore(make_keystore(path, settings, None), path, json)


@group.command("import")
@with_settings("password_file")
def import_(
    source: Annotated[
        Path, typer.Argument(help="File with a private key (hexadecimal) or a keystore; '-' is standard input.")
    ],
    path: NewPath,
    *,
    settings: Settings,
    source_password_file: Annotated[
        Path | None, typer.Option("--source-password-file", help="File with the password of an imported keystore.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Import a private key into a new encrypted keystore.

    The source is not changed; delete it yourself.
    """
    from covey.cli.setup.keyfiles import make_keystore, read_source

    key = read_source(source, source_password_file)
    _report_keystore(make_keystore(path, settings, key), path, json)


def _report_keystore(address: str, path: Path, json: bool) -> None:
    from covey.cli.output import console, print_json

    if json:
        print_json({"address": address, "keystore": str(path)})
    else:
        console().print(f"{address}  {path}")


@group.command("list")
@with_settings(*CHAIN, *KEY, "owner_keystore")
def list_(
    folder: Annotated[
        Path | None, typer.Argument(help=r"Folder to list. \[default: the folders of the configured keystores]")
    ] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """List keystores and the remote signer's accounts.

    With a chain, also shows the roles and the balance of each. Needs no password.
    """
    from covey.chain.units import format_cvy
    from covey.cli.output import console, print_json
    from covey.cli.setup.keyfiles import list_keys

    keys = list_keys(folder, settings)
    if json:
        print_json(keys)
        return
    out = console()
    for key in keys:
        coin = "" if key["coin"] is None else f"  {format_cvy(key['coin'])} coin"
        address = key["address"] or "no address in the file; give its password".ljust(42)
        out.print(f"{address}  {key['where']}{coin}")
        warnings = [] if key["private"] else ["readable by others: chmod 600 it"]
        for line in [*key["roles"], *warnings]:
            out.print(" " * 44 + line)
    if not keys:
        out.print("no keystores")


@group.command()
@with_settings("password_file")
def export(
    path: Annotated[Path, typer.Argument(help="Keystore to read.")],
    *,
    settings: Settings,
    out: Annotated[
        Path, typer.Option("--out", help="New file for the private key (hexadecimal, mode 0600); '-' prints it.")
    ],
    json: JsonOption = False,
) -> None:
    """Write a keystore's private key unencrypted.

    Anyone who reads the output has the key.
    """
    from covey.cli.access import open_key
    from covey.cli.output import console, print_json
    from covey.cli.setup.keyfiles import write_private

    signer = open_key(path, settings.password_file, "COVEY_PASSWORD")
    text = "0x" + signer.key.hex()
    if str(out) == "-":
        typer.echo(text)
        return
    write_private(out, text + "\n")
    if json:
        print_json({"address": signer.address, "out": str(out)})
    else:
        console().print(f"{signer.address}  {out}")


@group.command()
@with_settings(*SIGNER, "owner_keystore", "owner_password_file", "data_dir")
def rotate(
    path: Annotated[
        Path | None, typer.Argument(help="Keystore of the new signer; created if it does not exist.")
    ] = None,
    *,
    settings: Settings,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="ADDRESS", help="Address of the new signer, if a remote signer or a wallet holds it."
        ),
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option(
            "--consent", metavar="HEX", help="With --to: the new signer's consent, from `covey keys consent`."
        ),
    ] = None,
    new_password_file: Annotated[
        Path | None,
        typer.Option("--new-password-file", help=r"File with the new keystore's password. \[default: the old one's]"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Replace the operator's signer.

    Creates the new key and sends setSigner with the owner's key. Without the owner's key, prints the transaction for
    the owner's wallet.
    """
    from covey.cli.output import console, print_json
    from covey.cli.setup.rotation import rotate_signer

    rotation = rotate_signer(settings, path, to, consent, new_password_file)
    if json:
        print_json(rotation)
        return
    out = console()
    out.print(f"signer    {rotation['signer']}" + (f"  ({rotation['keystore']})" if rotation["keystore"] else ""))
    if rotation["transaction"]:
        out.print(f"set by {rotation['operator']} in block {rotation['block']}: {rotation['transaction']}")
    else:
        out.print(f"to be set by the owner {rotation['operator']}, with this transaction (value 0):")
        out.print(f"  to    {rotation['to']}")
        out.print(f"  data  {rotation['data']}")
    for line in rotation["next"]:
        out.print(f"next      {line}")


@group.command()
@with_settings(*CHAIN, *KEY)
def consent(
    operator: Annotated[str, typer.Argument(help="Address of the operator, which is its owner's.")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Sign the consent of the signer's key to act for an operator.

    The owner gives it to `covey stake --consent` or `covey keys rotate --consent`. It is valid for one change of the
    signer.
    """
    from covey.cli.access import connect, new_consent, signer_address
    from covey.cli.output import console, print_json
    from covey.cli.parse import address

    owner = address(operator)
    network = connect(settings)
    signature = "0x" + new_consent(network, settings, owner).hex()
    if json:
        print_json({"operator": owner, "signer": signer_address(settings), "consent": signature})
    else:
        console().print(signature, soft_wrap=True)


@group.command("clef-rules")
@with_settings(*SIGNER, "max_gas_price")
def clef_rules(*, settings: Settings) -> None:
    """Print the rules by which Clef signs for this node unattended.

    The rules allow calls to this network's contracts only, up to a maximum gas price.
    """
    from covey.chain.gas import MAX_GAS
    from covey.chain.signing.clef_rules import rules_for
    from covey.cli.access import connect, signer_address

    network = connect(settings)
    signer = settings.signer_address or signer_address(settings)
    typer.echo(rules_for(signer, network.deployment, max_gas_price=settings.max_gas_price, max_gas=MAX_GAS), nl=False)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Keys and transactions")
