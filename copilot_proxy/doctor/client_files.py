"""Finds server URLs and model names in clients' configuration files.

The files have many formats and may be edited by hand, so they are not parsed. Instead, URLs and
models are found by the usual endings of their keys, such as ``base_url`` and ``model``.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Final, NamedTuple

from copilot_proxy.clients.client import Client, Connection, Machine
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.journal import Journal
from copilot_proxy.server.port_owner import base_url
from copilot_proxy.settings import Settings

_URL_KEY: Final = re.compile(
    r"""["']?(?P<key>[\w-]*(?:base_?url|api_?base|endpoint))["']?\s*[:=]\s*["']?"""
    r"""(?P<url>https?://[^\s"',]+)""",
    re.IGNORECASE,
)
"""Matches a key whose value is the URL of an API, in JSON, TOML, YAML or a list of variables."""
_MODEL_KEY: Final = re.compile(
    r"""["']?(?P<key>[\w-]*model)["']?\s*[:=]\s*(?:\{\s*["']name["']\s*:\s*)?"""
    r"""["'](?P<name>[^"'\s]+)["']""",
    re.IGNORECASE,
)
"""Matches a key whose value is a model name, or an object that starts with one."""
_MAX_CHARACTERS: Final = 1024 * 1024


class ClientFile(NamedTuple):
    """The recognized parts of a client's configuration file."""

    path: Path
    urls: tuple[tuple[str, str], ...]
    """API URLs, each with its key."""
    models: tuple[str, ...]
    """Model names, without any ``provider/`` prefix."""


def client_files(client: Client, settings: Settings) -> Iterator[ClientFile]:
    """Yield the readable configuration files that ``connect`` has changed, or would change, for
    `client`."""
    machine = Machine(Path.home(), os.environ, sys.platform, os.path.exists)
    changes = client.setup(any_connection(settings), machine).changes
    changed = [entry.path for entry in Journal.of(client.name, settings.state_dir).entries]
    for path in dict.fromkeys([Path(change.path) for change in changes] + changed):
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                text = file.read(_MAX_CHARACTERS)
        except OSError:
            continue
        yield ClientFile(
            path,
            tuple((found["key"], found["url"]) for found in _URL_KEY.finditer(text)),
            tuple(
                dict.fromkeys(
                    found["name"].rpartition("/")[2] for found in _MODEL_KEY.finditer(text)
                )
            ),
        )


def any_connection(settings: Settings) -> Connection:
    """Return a placeholder connection, to find out which files and variables a client has."""
    model = ClientModel("model", "model")
    return Connection(
        url=base_url(settings.host, settings.port),
        key="key",
        model=model,
        models=(model,),
        folder=PurePath("."),
    )
