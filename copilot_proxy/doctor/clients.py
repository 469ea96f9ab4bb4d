"""Checks the clients on this machine: their versions, and whether any setting points them to
another server.

`run` starts a client with everything it needs. These checks are for clients that the user starts
directly.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from copilot_proxy.clients.client import Client
from copilot_proxy.clients.environment import variables
from copilot_proxy.config_edits.journal import Journal
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.client_files import any_connection, client_files
from copilot_proxy.doctor.models import model_problem
from copilot_proxy.doctor.results import Check, Result, broken, off, ok, warning
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.host_names import is_loopback
from copilot_proxy.server.port_owner import base_url
from copilot_proxy.settings import Settings

_NUMBER: Final = re.compile(r"\d+")
_MUCH_OLDER: Final = 10
"""A client with major version 0 is much older than another if it is this many minor versions
behind."""


class Programs(NamedTuple):
    """How to find clients on this machine."""

    find: Callable[[Client], str | None]
    """Returns the path of the client's program, or None."""
    is_found: Callable[[Client], bool]
    """Returns whether the client is installed, as a program or an app."""
    version: Callable[[str], str | None]
    """Returns the version that a program prints, or None if it prints none."""


def client_check(client: Client, programs: Programs, *, is_wanted: bool = False) -> Check:
    """Return the check for a client. With `is_wanted`, it reports a missing client as broken."""

    def run(context: CheckContext) -> Iterator[Result]:
        program = programs.find(client)
        if program is None and not programs.is_found(client):
            if is_wanted:
                yield broken(f"{client.title} is not installed.", client.install_hint)
            return
        # Do not run graphical programs, which would open a window.
        version = programs.version(program) if program and client.launch else None
        if _is_much_older(version, client.version):
            yield warning(
                f"{client.title} {version} is much older than {client.version}, the tested "
                "version.",
                client.upgrade_hint,
            )
        yield from _variables(context, client)
        yield from _files(context, client)
        yield ok(", ".join(_notes(context, client, version)))

    return Check(f"client-{client.name}", client.title, run)


def check_variables(context: CheckContext) -> Iterator[Result]:
    """Check whether the variables that most programs read point to another server."""
    settings, environ = context.settings, context.environ
    pointing: list[str] = []
    for name in _urls(variables("http://127.0.0.1", "")):
        url = environ.get(name)
        if not url:
            continue
        if not is_ours(url, settings):
            yield warning(
                f"{name} is set to {_without_secrets(url)}, so programs that read it do not use "
                "this server.",
                f"Unset {name}, or start such programs with: copilot-proxy run env -- PROGRAM",
            )
        else:
            pointing.append(name)
    if pointing and not context.server().is_running:
        yield warning(
            f"{pointing[0]} points to this server, which is not running.",
            "Start it with: copilot-proxy serve",
        )
    point = "points" if len(pointing) == 1 else "point"
    yield ok(f"{', '.join(pointing)} {point} here") if pointing else off("none is set")


def is_ours(url: str, settings: Settings) -> bool:
    """Return whether a URL points to this server."""
    try:
        parts, own = urlsplit(url), urlsplit(base_url(settings.host, settings.port))
        is_host = is_loopback(parts.hostname or "") or parts.hostname == own.hostname
        return is_host and (parts.port or 80) == own.port
    except ValueError:
        return False


def _variables(context: CheckContext, client: Client) -> Iterator[Result]:
    """Find variables that point the client at another server when it is not started by `run`."""
    environ, settings = context.environ, context.settings
    shared = variables("http://127.0.0.1", "")
    environment = client.launch(any_connection(settings)).environ if client.launch else {}
    for name, value in environment.items():
        found = environ.get(name)
        if not found:
            continue
        if value == "":
            yield _overridden(
                client, name, "is set, so the client would use it instead of this server"
            )
        elif name in _urls(environment) and name not in shared and not is_ours(found, settings):
            why = f"is set to {_without_secrets(found)}, so the client would use that server"
            yield _overridden(client, name, why)
    for name in client.overrides:
        if environ.get(name) and name not in environment and name not in shared:
            yield _overridden(client, name, "is set and may take precedence over this server")


def _overridden(client: Client, name: str, why: str) -> Result:
    return warning(
        f"{name} {why}, unless {client.title} is started with `run`.",
        f"Unset {name}, or start {client.title} with: copilot-proxy run {client.word}",
    )


def _urls(environ: Mapping[str, str]) -> list[str]:
    return [name for name, value in environ.items() if value.startswith("http")]


def _files(context: CheckContext, client: Client) -> Iterator[Result]:
    """Check what the client's own configuration says about the server and its models."""
    settings = context.settings
    files = list(client_files(client, settings))
    connected = [file for file in files if any(is_ours(url, settings) for _, url in file.urls)]
    if Journal.of(client.name, settings.state_dir).entries and not connected:
        yield warning(
            f"`connect` has configured {client.title}, but its files no longer point to this "
            "server.",
            f"Run: copilot-proxy connect {client.word}",
        )
        return
    for file in files:
        is_connected = file in connected
        for key, url in file.urls:
            # A variable names one server, whereas a list of providers may contain others.
            if key.isupper() and not is_connected:
                yield warning(
                    f"{file.path} sets {key} to {_without_secrets(url)}, so {client.title} does "
                    "not use this server.",
                    f"Start it with: copilot-proxy run {client.word}",
                )
        catalogue = context.catalogue() if is_connected else None
        if catalogue is None:
            continue
        for name in file.models:
            problem = model_problem(catalogue, name, str(file.path))
            if problem is not None:
                yield problem


def _notes(context: CheckContext, client: Client, version: str | None) -> Iterator[str]:
    yield version or "found"
    if version and client.version and _numbers(version) > _numbers(client.version):
        yield f"newer than {client.version}, the tested version"
    files = client_files(client, context.settings)
    urls = [url for file in files for _, url in file.urls]
    if any(is_ours(url, context.settings) for url in urls):
        yield "configured for this server"
    try:
        ledger = context.ledger()
    except CopilotProxyError:
        ledger = None
    seen = ledger.last_seen.get(client.name) if ledger else None
    yield f"last seen {_ago(time.time() - seen.timestamp())}" if seen else "not seen yet"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def _is_much_older(version: str | None, tried: str) -> bool:
    if not version or not tried:
        return False
    found, known = _numbers(version), _numbers(tried)
    if found[0] != known[0]:
        return found[0] < known[0]
    return found[0] == 0 and known[1] - found[1] > _MUCH_OLDER


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(version)[:3]))


def _without_secrets(url: str) -> str:
    """Return the scheme and host of a URL; anything else may contain a password or a key."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "an invalid URL"
