"""covey keys: make, import, list and export keystores, name a new signer, write Clef's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from covey.cli.settings import CHAIN, KEY, SIGNER, JsonOption, Settings, with_settings

group = typer.Typer(name="keys", help="Make, import, list, export and rotate keys.", no_args_is_help=True)
NewPath = Annotated[Path, typer.Argument(help="keystore to write; a file that exists is never overwritten")]


@group.command()
@with_settings("password_file")
def new(path: NewPath, *, settings: Settings, json: JsonOption = False) -> None:
    """Make a new key in an encrypted keystore, readable by its owner only."""
    from covey.cli.setup.keyfiles import make_keystore

    _tell_made(make_keystore(path, settings, None), path, json)


@group.command("import")
@with_settings("password_file")
def import_(
    source: Annotated[Path, typer.Argument(help="file with a private key (hex), or a keystore; '-': standard input")],
    path: NewPath,
    *,
    settings: Settings,
    source_password_file: Annotated[
        Path | None, typer.Option("--source-password-file", help="password of a keystore that is imported")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Put a key that you have into a new encrypted keystore. The source stays as it is: remove it yourself."""
    from covey.cli.setup.keyfiles import make_keystore, read_source

    key = read_source(source, source_password_file)
    _tell_made(make_keystore(path, settings, key), path, json)


def _tell_made(address: str, path: Path, json: bool) -> None:
    from covey.cli.output import console, print_json

    if json:
        print_json({"address": address, "keystore": str(path)})
    else:
        console().print(f"{address}  {path}")


@group.command("list")
@with_settings(*CHAIN, *KEY, "owner_keystore")
def list_(
    folder: Annotated[Path | None, typer.Argument(help="folder; not given: those of the settings' keystores")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """List keystores and the remote signer's accounts; with a chain, what each is there and its coin. No password."""
    from covey.chain.units import format_cvy
    from covey.cli.output import console, print_json
    from covey.cli.setup.keyfiles import list_keys

    found = list_keys(folder, settings)
    if json:
        print_json(found)
        return
    out = console()
    for one in found:
        coin = "" if one["coin"] is None else f"  {format_cvy(one['coin'])} coin"
        out.print(f"{one['address']}  {one['where']}{coin}", markup=False)
        for told in [*one["roles"], *([] if one["private"] else ["readable by others: chmod 600 it"])]:
            out.print(" " * 44 + told, markup=False)
    if not found:
        out.print("no keystores")


@group.command()
@with_settings("password_file")
def export(
    path: Annotated[Path, typer.Argument(help="keystore to read")],
    *,
    settings: Settings,
    out: Annotated[Path, typer.Option("--out", help="new file for the private key (hex), mode 0600; '-': print it")],
    json: JsonOption = False,
) -> None:
    """Write a keystore's private key in the clear. Whoever reads it has the key."""
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
    path: Annotated[Path | None, typer.Argument(help="keystore of the new signer; made if it does not exist")] = None,
    *,
    settings: Settings,
    to: Annotated[
        str | None, typer.Option("--to", help="address of the new signer, where a remote signer or wallet holds it")
    ] = None,
    new_password_file: Annotated[
        Path | None, typer.Option("--new-password-file", help="password of the new keystore; not given: as the old")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Name a new signer: makes its key, and sends setSigner from the owner or prints it for a wallet elsewhere."""
    from covey.cli.output import console, print_json
    from covey.cli.setup.rotation import rotate_signer

    told = rotate_signer(settings, path, to, new_password_file)
    if json:
        print_json(told)
        return
    out = console()
    out.print(f"signer    {told['signer']}" + (f"  ({told['keystore']})" if told["keystore"] else ""))
    if told["transaction"]:
        out.print(f"named by {told['operator']} in block {told['block']}: {told['transaction']}")
    else:
        out.print(f"to be named by the owner {told['operator']}, with a transaction of no value")
        out.print(f"  to    {told['to']}")
        out.print(f"  data  {told['data']}")
    for line in told["next"]:
        out.print(f"next      {line}")


@group.command("clef-rules")
@with_settings(*SIGNER, "max_gas_price")
def clef_rules(*, settings: Settings) -> None:
    """Print rules by which Clef signs for this node unattended: this network's contracts only, and a bounded price."""
    from covey.chain.gas import MAX_GAS
    from covey.chain.signing.clef_rules import rules_for
    from covey.cli.access import connect, signer_address

    network = connect(settings)
    signer = settings.signer_address or signer_address(settings)
    typer.echo(rules_for(signer, network.deployment, max_gas_price=settings.max_gas_price, max_gas=MAX_GAS), nl=False)


def add_to(app: Any) -> None:
    """Add this module's commands."""
    app.add_typer(group)
