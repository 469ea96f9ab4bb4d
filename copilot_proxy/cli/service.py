"""The ``service`` commands: run the server in the background, started at login."""

import json
import os
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copilot_proxy.cli.console import print_message, print_result, two_columns
from copilot_proxy.cli.shared_options import JsonOption
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.service.definition import Service, ServiceManager

_POLL: Final = 0.3
_SHORT: Final = 1.0
_MISSING: Final = "The service is not installed."
_INSTALL: Final = "Install it with: copilot-proxy service install"

service = typer.Typer(name="service", help="Run the server in the background, starting at login.")


@service.callback(invoke_without_command=True)
def options(context: typer.Context) -> None:
    """Show the help if no subcommand is given."""
    if context.invoked_subcommand is None:
        print_result(context.get_help())


@service.command(short_help="Install the service and start it.")
def install(
    on_demand: Annotated[
        bool,
        typer.Option("--on-demand", help="Start the server only when a client connects (systemd)."),
    ] = False,
    show: Annotated[
        bool, typer.Option("--print", help="Only print the files that would be written.")
    ] = False,
) -> None:
    """Install and start the service. Run this again after changing settings."""
    from copilot_proxy.service import installer
    from copilot_proxy.service.installation import log_file_of, new_installation
    from copilot_proxy.service.readiness import address_of

    settings = load_settings()
    manager = installer.manager_for(settings)
    definition = installer.service_for(settings, on_demand=on_demand)
    if show:
        for path, content in manager.files(definition).items():
            print_result(f"# {path}\n{content}")
        return
    manager.check()
    installer.check(settings, on_demand=on_demand)
    installation = new_installation(os.environ)
    print_message(f"Installing the {manager.title} {definition.name}, and starting it.")
    try:
        health = installer.install(manager, definition, settings, installation)
    except (CopilotProxyError, KeyboardInterrupt):
        print_message("The service did not start, so its installation was undone.")
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise CopilotProxyError(
            f"The service was not installed: {where}{error.strerror}."
        ) from error
    print_message(f"The service is running at {address_of(settings)}, and has read the token.")
    if health["signed_in"] != "yes":
        reason = health["last_error"] or "GitHub has not answered yet."
        print_message(f"GitHub has not accepted the token yet: {reason}")
    for line in filter(None, (manager.advice(), f"Its log: {log_file_of(settings)}")):
        print_message(line)
    print_message("Start a client with: copilot-proxy run claude")


@service.command(short_help="Stop the service and remove it.")
def uninstall() -> None:
    """Stop the service and remove it; the log, the ledger and the sign-in stay."""
    from copilot_proxy.service import installer

    settings = load_settings()
    manager = installer.manager_for(settings)
    if installer.uninstall(manager, settings):
        print_message(f"The {manager.title} was removed.")
    else:
        print_message("The service is not installed.")


@service.command()
def status(
    as_json: JsonOption = False,
) -> int:
    """Show whether the service is running.

    The exit code is 1 if the service does not respond.
    """
    from copilot_proxy.service import installer
    from copilot_proxy.service.installation import (
        folder_of,
        log_file_of,
        read_failure,
        read_installation,
    )
    from copilot_proxy.service.readiness import address_of, health_of

    settings = load_settings()
    manager = installer.manager_for(settings)
    state = manager.state(installer.service_for(settings))
    installation = read_installation(folder_of(settings))
    failure = read_failure(folder_of(settings)) if state.installed else None
    # Connecting would start a service that starts on demand.
    waits = state.installed and not state.running and "connects" in state.starts
    health: dict[str, Any] | None = None if waits else health_of(settings, _SHORT)
    answers = (
        health is not None
        and installation is not None
        and (health.get("instance") == installation.instance)
    )
    shown = {
        "installed": state.installed,
        "running": state.running or answers,
        "answers": answers,
        "process": state.process,
        "starts": state.starts or None,
        "address": address_of(settings),
        "signed_in": health["signed_in"] if health and answers else None,
        "error": failure.text if failure else None,
        "log_file": str(log_file_of(settings)),
    }
    if as_json:
        print_result(json.dumps(shown, indent=2))
    elif state.installed:
        print_result(two_columns(_rows(shown, manager.title, waits=waits)))
    else:
        print_message(
            "The service is not installed. Install it with: copilot-proxy service install"
        )
    return 0 if answers or waits else 1


def _rows(shown: dict[str, Any], title: str, *, waits: bool) -> list[tuple[str, str]]:
    text = "running" if shown["answers"] else "starting" if shown["running"] else "not running"
    if waits:
        text = "waiting for a client"
    if shown["error"] and not shown["answers"]:
        text = "failed to start; trying again every few minutes"
    process = f", process {shown['process']}" if shown["process"] else ""
    rows = [("Service", f"{text} ({title}{process})"), ("Address", shown["address"])]
    if shown["signed_in"]:
        rows.append(("Signed in", shown["signed_in"]))
    if shown["error"] and not shown["answers"]:
        rows.append(("Reason", shown["error"].replace("\n", " ")))
    return [*rows, ("Starts", shown["starts"] or "unknown"), ("Log", shown["log_file"])]


@service.command(short_help="Restart the service, for example after an upgrade.")
def restart() -> None:
    """Restart the service, for example after an upgrade. Open requests finish first."""
    from copilot_proxy.service.installer import restart as restart_service
    from copilot_proxy.service.readiness import address_of

    settings = load_settings()
    manager, definition = _installed(settings)
    restart_service(manager, definition, settings)
    print_message(f"The service was restarted, and is running at {address_of(settings)}.")


@service.command()
def logs(
    lines: Annotated[
        int, typer.Option("--lines", "-n", help="Number of lines.", min=0, metavar="NUMBER")
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Also print new lines, until Ctrl+C.")
    ] = False,
) -> None:
    """Print the end of the service's log."""
    from copilot_proxy.service.installation import log_file_of

    path = log_file_of(load_settings())
    try:
        position = _print_last(path, lines)
    except FileNotFoundError:
        if not follow:
            raise CopilotProxyError(
                f"There is no log at {path}.", hint="See: copilot-proxy service status"
            ) from None
        position = 0
    while follow:
        time.sleep(_POLL)
        position = _print_new(path, position)


def _installed(settings: Settings) -> "tuple[ServiceManager, Service]":
    """Return the service. Raises `CopilotProxyError` if it is not installed."""
    from copilot_proxy.service import installer

    manager, definition = installer.manager_for(settings), installer.service_for(settings)
    if not manager.state(definition).installed:
        raise CopilotProxyError(_MISSING, hint=_INSTALL)
    return manager, definition


def _print_last(path: Path, count: int) -> int:
    """Print the last lines of the file, and return the file's size."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in deque(file, count):
            print_result(line.rstrip("\n"))
        return file.tell()


def _print_new(path: Path, position: int) -> int:
    """Print the complete lines after `position`, or all of them if the file was rotated.

    Returns the position after the last printed line.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            file.seek(position if path.stat().st_size >= position else 0)
            while (line := file.readline()).endswith("\n"):
                print_result(line.rstrip("\n"))
                position = file.tell()
    except FileNotFoundError:
        return 0
    return position
