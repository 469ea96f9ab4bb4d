"""The ``connect`` command: configures a client permanently, or undoes it."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copilot_proxy.cli.completion import complete_client, complete_model
from copilot_proxy.cli.console import print_message, print_result
from copilot_proxy.cli.shared_options import SimulateOption
from copilot_proxy.errors import NotSignedIn, UsageError
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.clients.client import Client, Machine, Setup


def connect(
    client: Annotated[
        str | None,
        typer.Argument(
            help="The client to configure, such as claude or zed. If omitted, all clients are "
            "listed.",
            metavar="[CLIENT]",
            autocompletion=complete_client,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Model or family to use.",
            metavar="MODEL",
            autocompletion=complete_model,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the changes without making them.")
    ] = False,
    print_: Annotated[
        bool,
        typer.Option("--print", help="Print the configuration, for example for another machine."),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="The server's address as seen by the client, such as "
            "http://host.docker.internal:8000 from a container.",
            metavar="URL",
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Undo the changes made by connect.")] = False,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Do not send a small request to test the connection.")
    ] = False,
    simulate: SimulateOption = False,
) -> int:
    """Configure a client to always use this server."""
    if client is None and undo:
        raise UsageError(
            "--undo needs the name of a client.",
            hint="Example: copilot-proxy connect zed --undo\n"
            "To list the connected clients, run: copilot-proxy connect",
        )
    if client is None:
        from copilot_proxy.cli.connect_list import print_connections

        print_connections(replace(load_settings(), simulated=simulate))
        return 0
    from copilot_proxy.cli.client_choice import named_client
    from copilot_proxy.cli.connect_files import undo_changes

    settings = load_settings()
    definition = named_client(client, others="copilot-proxy connect sdk")
    if undo:
        return undo_changes(settings, definition, yes=yes, dry_run=dry_run)
    if definition.obstacle:
        print_result(definition.obstacle.rstrip("\n"))
        return 1
    try:
        return _connect(
            settings,
            definition,
            model,
            _base_url(settings, url),
            is_printed=print_,
            dry_run=dry_run,
            yes=yes,
            is_probed=not no_probe,
            simulate=simulate,
        )
    except NotSignedIn as error:
        error.hint = (
            f"{error.hint}\nOr try it without an account: copilot-proxy connect {client} --simulate"
        )
        error.code = "no_sign_in_to_run"  # keeps callers from adding to the hint
        raise


def _base_url(settings: Settings, url: str | None) -> str:
    """Return the address for the client, without ``/v1``; raises `UsageError`."""
    from copilot_proxy.cli.shared_server import address_of

    if url is None and settings.uds:
        raise UsageError(
            "The server is set to listen on a Unix socket, which clients cannot use.",
            hint="Remove uds from the settings, or pass another address with --url.",
        )
    if url is None:
        return address_of(settings)
    address = url.rstrip("/").removesuffix("/v1")
    if not address.startswith(("http://", "https://")) or address.endswith(":/"):
        raise UsageError(
            f"{url!r} is not a valid server address.",
            hint="Example: --url http://host.docker.internal:8000",
        )
    return address


def _connect(
    settings: Settings,
    definition: "Client",
    model: str | None,
    base: str,
    *,
    is_printed: bool,
    dry_run: bool,
    yes: bool,
    is_probed: bool,
    simulate: bool,
) -> int:
    from copilot_proxy.cli import run_connection
    from copilot_proxy.cli.connect_files import write_changes
    from copilot_proxy.cli.connect_probe import print_probe
    from copilot_proxy.cli.shared_server import address_of, key_of, server_for
    from copilot_proxy.server.discovery import find_server

    is_known = settings.port != 0
    was_running = is_known and find_server(address_of(settings), key_of(settings)) is not None
    program = run_connection.program_of(definition)
    prefix = f"/c/{definition.name}"
    with server_for(settings, simulate=simulate) as server:
        if server.simulated:
            _report_simulator(None if simulate else server.url)
        server = replace(server, prefix=prefix)
        settings = replace(settings, simulated=server.simulated)
        # Only `run` writes to this folder.
        folder = settings.state_dir / "clients" / definition.name
        found = run_connection.connect(settings, server, definition, program, model, folder)
        to = replace(found, url=base + prefix)
        machine = this_machine()
        setup = definition.setup(to, machine)
        if is_printed or not setup.changes:
            _print_setup(setup)
            return 0
        if program is None and not run_connection.is_found(definition):
            print_message(f"{definition.title} was not found on this machine.")
        code = write_changes(settings, definition, to, setup, yes=yes, dry_run=dry_run)
        if code or dry_run:
            return code
        _report_variables(definition)
        failed = is_probed and not print_probe(server, definition, to)
    if not was_running:
        serve = "copilot-proxy serve" + " --simulate" * simulate
        print_message(f"{definition.title} needs a running server. Start the server with: {serve}")
    if setup.start:
        print_message(f"Start {definition.title} with: {setup.start}")
    for note in setup.notes:
        print_message(note)
    return 1 if failed else 0


def this_machine() -> "Machine":
    """Return where clients on this machine look for their configuration."""
    from copilot_proxy.clients.client import Machine

    return Machine(Path.home(), os.environ, sys.platform, lambda path: os.path.lexists(path))


def _print_setup(setup: "Setup") -> None:
    """Print setup instructions that can be copied; they contain the key."""
    from copilot_proxy.cli.connect_files import short

    if setup.changes:
        for change in setup.changes:
            print_result(f"# In {short(change.path)}:")
            print_result(change.shown().rstrip("\n"))
    else:
        print_result(setup.text.rstrip("\n"))
    if setup.changes and setup.start:
        print_message(f"Then start the client with: {setup.start}")
    for note in setup.notes:
        print_message(note)


def _report_simulator(url: str | None) -> None:
    """Report that the models are not real.

    If the user did not ask for a simulator, `url` is the address of the server that uses one.
    """
    text = "This configuration is for a simulator, whose models, answers and costs are made up."
    if url is not None:
        text += (
            f" The server at {url} was started with --simulate. To use your account, stop it, and "
            "run: copilot-proxy serve"
        )
    print_message(text)


def _report_variables(definition: "Client") -> None:
    """Report variables that could make the client ignore the configuration."""
    for name in definition.overrides:
        if os.environ.get(name):
            print_message(f"{name} is set in your environment and may take precedence. Unset it.")
