"""`covey web`: the web page beside a node or a local network."""

from __future__ import annotations

import typer

from covey.cli.settings import CHAIN, JsonOption, Settings, with_settings


@with_settings(*CHAIN, table="web")
def web(*, settings: Settings, json: JsonOption = False) -> None:
    """Serve the web page until Ctrl-C. It reads the chain through the first RPC endpoint."""
    import threading

    from covey.chain.deployment import Deployment
    from covey.chain.errors import FatalError
    from covey.cli.errors import CliError, InputError
    from covey.cli.output import console, print_json
    from covey.web.server import WebError, WebServer, page_deployment

    if settings.deployment is None:
        raise InputError("name the folder of deployment records with --deployment")
    endpoint = next((str(url) for url in settings.rpc_urls if str(url).startswith("http")), None)
    if endpoint is None:
        raise InputError("name an http or https RPC endpoint with --rpc-urls")
    try:
        record = Deployment.load(settings.deployment)
        shown = page_deployment(record.chain_id, record.contracts)
        server = WebServer(settings.web.listen, [shown], endpoint)
    except FatalError as error:
        raise InputError(str(error)) from None
    except WebError as error:
        raise CliError(str(error)) from None
    try:
        if json:
            print_json({"url": server.url})
        else:
            console().print(f"The page is at {server.url} Press Ctrl-C to stop.", markup=False)
        threading.Event().wait()
    finally:
        server.close()


def add_to(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(rich_help_panel="Chain and tasks")(web)
