"""The ``run`` command: starts a client that uses this server, without changing the client's own
files."""

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from copilot_proxy.cli.completion import complete_model, complete_runnable
from copilot_proxy.cli.console import is_interactive, print_message, print_result
from copilot_proxy.cli.project_name import base_path, checked_project, current_project
from copilot_proxy.cli.shared_options import SimulateOption
from copilot_proxy.cli.sign_in_offer import with_sign_in
from copilot_proxy.errors import ClientNotFound, NotSignedIn, UsageError
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.clients.client import Client

_ANY: Final = "env"
"""The name for any program that has no client definition."""


def run(
    client: Annotated[
        str | None,
        typer.Argument(
            help="The client to start, such as claude or codex; env for any other program. "
            "If omitted, all clients are listed.",
            metavar="[CLIENT]",
            autocompletion=complete_runnable,
        ),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Arguments for the client, after --.", metavar="[-- ARGS...]"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Model or family to start with.",
            metavar="MODEL",
            autocompletion=complete_model,
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            help="Project in the ledger; by default, the name of the Git repository's folder or of "
            'the current folder. "" for none.',
            metavar="NAME",
        ),
    ] = None,
    simulate: SimulateOption = False,
) -> int:
    """Start a client, such as Claude Code, that uses this server."""
    if client is None:
        from copilot_proxy.cli.run_list import print_clients

        print_clients()
        return 0
    settings = load_settings()
    words = arguments or []
    if client == _ANY and not words:
        return _print_variables(settings, simulate=simulate)
    definition, command = _found(client, words)
    if project is not None:
        project = checked_project(project)
    try:
        return with_sign_in(
            lambda: _run(settings, definition, command, model, project, simulate=simulate)
        )
    except NotSignedIn as error:
        again = f"copilot-proxy run {client} --simulate"
        if client == _ANY:
            again += f" -- {shlex.join(words)}"
        error.hint = f"{error.hint}\nOr try it without an account: {again}"
        error.code = "no_sign_in_to_run"  # keeps callers from adding to the hint
        raise


def _found(client: str, words: Sequence[str]) -> "tuple[Client, list[str]]":
    """Return the client's definition, and the command line that starts it.

    Raises `UsageError` for an unknown client, and `ClientNotFound` for one that is not installed.
    """
    from copilot_proxy.cli.client_choice import named_client
    from copilot_proxy.cli.run_connection import program_of
    from copilot_proxy.clients.registry import RUNNABLE, any_program

    if client == _ANY:
        program = shutil.which(words[0])
        if program is None:
            raise ClientNotFound(f"The program {words[0]!r} was not found.")
        return any_program(Path(program).stem), [program, *words[1:]]
    definition = named_client(client, RUNNABLE, others="copilot-proxy run env -- PROGRAM")
    if definition.launch is None:
        raise _cannot_start(definition)
    program = program_of(definition)
    if program is None:
        raise ClientNotFound(
            f"{definition.title} is not installed: "
            f"there is no program {definition.word!r} on the PATH.",
            hint=definition.install_hint,
        )
    return definition, [program, *words]


def _cannot_start(definition: "Client") -> UsageError:
    if definition.obstacle:
        return UsageError(
            f"{definition.title} cannot use this server.",
            hint=f"To see why, run: copilot-proxy connect {definition.word}",
        )
    return UsageError(
        f"{definition.title} cannot be configured for one session only.",
        hint=f"Configure it with: copilot-proxy connect {definition.word}",
    )


def _print_variables(settings: Settings, *, simulate: bool) -> int:
    """Print the variables for a shell. Report a server that is missing or refuses the key."""
    from copilot_proxy.cli.run_connection import NO_KEY
    from copilot_proxy.cli.shared_server import address_of, key_of
    from copilot_proxy.clients.environment import variables
    from copilot_proxy.clients.shell import exports
    from copilot_proxy.server.discovery import find_server

    url, key = address_of(settings), key_of(settings)
    print_result(exports(variables(url, key or NO_KEY), sys.platform))
    server = find_server(url, key)
    if server is None or (simulate and not server.simulated):
        kind, flag = ("simulated server", " --simulate") if simulate else ("server", "")
        print_message(f"No {kind} is running at {url}. Start one with: copilot-proxy serve{flag}")
    elif server.refuses_key():
        print_message(
            f"The server at {url} requires an API key that is not in the settings. Set "
            "COPILOT_PROXY_API_KEY to that key and run this command again."
        )
    return 0


def _run(
    settings: Settings,
    definition: "Client",
    command: Sequence[str],
    model: str | None,
    project: str | None,
    *,
    simulate: bool,
) -> int:
    """Start the client, wait for it, print the cost, and return the client's exit code."""
    from copilot_proxy.cli import run_connection
    from copilot_proxy.cli.client_process import run_program
    from copilot_proxy.cli.run_cost import NO_REQUESTS, session_cost
    from copilot_proxy.cli.shared_server import server_for

    start = definition.launch
    if start is None:
        raise _cannot_start(definition)
    session = f"run-{secrets.token_hex(4)}"
    program, *words = command
    with server_for(settings, simulate=simulate) as server:
        settings = replace(settings, simulated=server.simulated)
        with run_connection.folder_for(definition, settings.state_dir) as folder:
            found = current_project() if project is None else project
            prefix = base_path(definition.name, found, session)
            connection = run_connection.connect(
                settings, replace(server, prefix=prefix), definition, program, model, folder, words
            )
            launch = start(connection)
            run_connection.write_files(launch, folder)
            name = connection.model.id + ", simulated" * server.simulated
            print_message(f"Starting {definition.title} with {name}.")
            code, was_interrupted = run_program(
                [program, *launch.arguments, *words],
                run_connection.environment(definition, launch, os.environ),
            )
    if was_interrupted:
        print_message()  # the client may not have ended its last line
    cost = None
    if settings.ledger:
        cost = session_cost(settings.ledger_file, session, was_ended=was_interrupted or code != 0)
        print_message(cost)
    if definition.resume and cost != NO_REQUESTS and is_interactive():
        again = _continuation(definition, model, project, simulate=simulate)
        print_message(f"To continue it, run: {again}")
    return code


def _continuation(
    definition: "Client", model: str | None, project: str | None, *, simulate: bool
) -> str:
    """Return the command that continues the client's last conversation on this server."""
    words = ["copilot-proxy", "run", definition.word]
    if model is not None:
        words += ["--model", model]
    if project is not None:
        words += ["--project", project]
    if simulate:
        words.append("--simulate")
    return f"{shlex.join(words)} -- {definition.resume}"
