"""`covey adapter`: adapters that were trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covey.cli.settings import SIGNER, STORE, JsonOption, Settings, with_settings

group = typer.Typer(name="adapter", help="Enter adapters that were trained elsewhere.", no_args_is_help=True)


@group.command("import")
@with_settings(*SIGNER, *STORE, "peers", "bases")
def import_adapter(
    folder: Annotated[Path, typer.Argument(help="Folder that PEFT's save_pretrained wrote.")],
    *,
    settings: Settings,
    task: Annotated[int, typer.Option("--task", min=1, help="Task to enter.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write instead of the node's own entry of the task.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Turn a PEFT adapter into an entry of a task.

    Without --out the entry is put where your node looks for it: the running node commits it instead of training one,
    and pays the entry fee.
    """
    from covey.cli.access import connect, fetch_spec, operator_address
    from covey.cli.errors import InputError
    from covey.cli.output import console, print_json
    from covey.client import adapters
    from covey.client.posting import check_spec
    from covey.lora.bases.resolve import read_config

    network = connect(settings)
    reference = adapters.task_reference(network, task)
    operator = operator_address(network, settings)
    if out is None:
        if settings.data_dir is None:
            raise InputError("where is the node? give its --data-dir or --config, or a folder with --out")
        if network.contracts.registry.entry_of(task, operator).committed:
            raise InputError(f"{operator} has committed its entry of task {task} already")
        out = adapters.node_entry_folder(network, settings.data_dir, task)
    spec = fetch_spec(settings, bytes.fromhex(reference.spec))
    if spec is None:
        raise InputError(f"the spec of task {task} could not be fetched: give gateways with --peers")
    base = Path(check_spec(spec, settings.bases, None if settings.data_dir is None else settings.data_dir / "bases"))
    entry = adapters.import_adapter(
        folder.expanduser(),
        out.expanduser(),
        spec=spec,
        base_config=read_config(base),
        task=reference,
        operator=operator,
    )
    if json:
        print_json(
            {
                "folder": str(entry.folder),
                "rank": entry.rank,
                "alpha": entry.alpha,
                "target_modules": list(entry.target_modules),
                "bytes": entry.bytes,
                "changes": list(entry.changes),
            }
        )
        return
    screen = console()
    screen.print(f"entry    {entry.folder}", markup=False)
    screen.print(
        f"adapter  rank {entry.rank}, alpha {entry.alpha}, {entry.bytes:,} bytes, {', '.join(entry.target_modules)}",
        markup=False,
    )
    for change in entry.changes:
        screen.print(f"changed  {change}", markup=False)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Tasks")
