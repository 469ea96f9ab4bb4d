"""Prepares what a client needs to start: models, environment, and files in our folder."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from copilot_proxy.cli.client_process import ask_program
from copilot_proxy.cli.completion import remember_models
from copilot_proxy.cli.console import print_message
from copilot_proxy.clients.client import Client, Connection, Launch
from copilot_proxy.clients.environment import SDKS
from copilot_proxy.clients.models import ClientModel, parse_model, parse_models
from copilot_proxy.errors import CopilotProxyError, UsageError, hints_for_simulator
from copilot_proxy.private_files import make_folder, replace_private
from copilot_proxy.server.discovery import RunningServer
from copilot_proxy.settings import Settings
from copilot_proxy.temporary_folders import temporary_folder

NO_KEY: Final = "unused"
"""The key for clients if the server needs none, since most clients insist on one."""
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")


def program_of(client: "Client") -> str | None:
    """Return the path of the client's program, or None if it is not installed."""
    paths = [os.path.join(Path.home(), path) for path in client.paths]
    names = (*client.programs, *paths)
    return next((found for name in names if (found := shutil.which(name))), None)


def is_found(client: "Client") -> bool:
    """Return whether the client is installed, as a program or an app."""
    apps = (Path.home() / path for path in client.paths)
    return program_of(client) is not None or any(path.exists() for path in apps)


def connect(
    settings: Settings,
    server: RunningServer,
    client: Client,
    program: str | None,
    model: str | None,
    folder: Path,
    arguments: Sequence[str] = (),
) -> Connection:
    """Return the client's `Connection`. Raises `CopilotProxyError`.

    The server must support `server.prefix`, which older servers do not. `model` is the model that
    the user asked for, `program` the path of the client's program, and `arguments` the user's
    arguments for it.
    """
    models = {one.id: one for one in parse_models(server.models())}
    if not server.simulated:
        remember_models(settings.state_dir, models)
    is_set = settings.sources.get("default_model", "default") != "default"
    if model is not None and not model.strip():
        raise UsageError("The model name is empty.", hint="See: copilot-proxy models")
    chosen = _resolved(server, model or ("default" if is_set else client.family), models)
    if chosen.id not in models:
        with hints_for_simulator(server.simulated):
            _check(server.model(chosen.id), client)
    families: dict[str, ClientModel] = {}
    for family in client.families:
        # The client can start even if the account does not have this family.
        with suppress(CopilotProxyError):
            families[family] = _resolved(server, family, models)
    return Connection(
        url=server.url + server.prefix,
        key=server.key or NO_KEY,
        model=chosen,
        models=list({chosen.id: chosen, **models}.values()),
        families=families,
        folder=folder,
        answer=ask_program([program, *client.question]) if client.question and program else "",
        arguments=arguments,
    )


def _resolved(server: RunningServer, name: str, models: Mapping[str, ClientModel]) -> ClientModel:
    """Return the model that `name` refers to. Raises `CopilotProxyError`."""
    # The list contains the user's own aliases. Do not resolve them, because they may set
    # parameters.
    if name in models:
        return models[name]
    entry = server.model(name)
    found = parse_model({**entry, "id": entry.get("resolved_id", entry.get("id"))})
    if found is None:
        raise CopilotProxyError(f"The server's answer about the model {name!r} is invalid.")
    return models.get(found.id, found)


def _check(entry: Mapping[str, Any], client: Client) -> None:
    """Warn about a model that must be enabled first. Raises `UsageError` if it is not for chat."""
    kind, url = entry.get("type", "chat"), entry.get("enable_url")
    # The user's own program may use any kind of model, such as one for embeddings.
    if kind != "chat" and client.setup is not SDKS.setup:
        raise UsageError(
            f"{entry['id']} is for {kind}, not for chat.",
            hint="Choose a chat model. List them with: copilot-proxy models",
        )
    if entry.get("state") == "needs_enabling":
        print_message(f"{entry['id']} must be enabled first, by you or your organization: {url}")


def environment(client: Client, launch: Launch, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the client, based on our own."""
    found = {name: value for name, value in environ.items() if name not in client.overrides}
    if any(found.get(name) or found.get(name.lower()) for name in _PROXIES):
        # The server is on this machine, where an HTTP proxy cannot reach it.
        known = found.get("NO_PROXY") or found.get("no_proxy") or ""
        direct = ",".join(dict.fromkeys([*filter(None, known.split(",")), *_LOCAL]))
        found |= {"NO_PROXY": direct, "no_proxy": direct}
    return {**launch.defaults, **found, **launch.environ}


@contextmanager
def folder_for(client: Client, state_dir: Path) -> Iterator[Path]:
    """Yield the folder for the client's files. It is temporary unless `client.keeps_folder`."""
    folder = state_dir / "clients" / client.name
    if client.keeps_folder and _make(folder):
        yield folder
        return
    with temporary_folder() as folder:
        yield folder


def _make(folder: Path) -> bool:
    """Create the folder, and return whether that succeeded.

    With a simulator, a client can be started even if the state folder is not writable.
    """
    try:
        make_folder(folder)
    except OSError:
        return False
    return True


def write_files(launch: Launch, folder: Path) -> None:
    """Write the files of `launch`, which may contain a key, so that only the user can read them."""
    for name, content in launch.files.items():
        # Another instance of the same client may be writing or reading the file.
        replace_private(folder / name, content.encode())
