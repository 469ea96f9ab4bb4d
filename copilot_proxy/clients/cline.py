"""Cline's command line, which reads providers from a configurable folder.

Sources: ``cline auth --help`` and the files that this command writes.
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.config_edits.changes import JsonValues

_PROVIDER: Final = "openai-compatible"
_FILE: Final = "settings/providers.json"


def _launch(to: Connection) -> Launch:
    providers = {
        "version": 1,
        "lastUsedProvider": _PROVIDER,
        "modes": {},
        "providers": {_PROVIDER: _provider(to)},
    }
    return Launch(("--data-dir", str(to.folder)), files={_FILE: json.dumps(providers, indent=2)})


def _setup(to: Connection, machine: Machine) -> Setup:
    path = machine.home / ".cline" / "data" / _FILE
    values: list[tuple[tuple[str, ...], Any]] = [
        (("providers", _PROVIDER), _provider(to)),
        (("lastUsedProvider",), _PROVIDER),
        (("version",), 1),
    ]
    return Setup(
        [JsonValues(path, values)],
        start="cline",
        notes=("The VS Code extension has its own settings; change them in the extension.",),
    )


def _provider(to: Connection) -> dict[str, Any]:
    return {
        "settings": {
            "provider": _PROVIDER,
            "apiKey": to.key,
            "model": to.model.id,
            "baseUrl": f"{to.url}/v1",
        },
        "updatedAt": "2026-01-01T00:00:00.000Z",
        "tokenSource": "manual",
    }


CLINE: Final = Client(
    name="cline",
    title="Cline",
    programs=("cline",),
    install="npm install -g cline",
    version="3.0.65",
    apis=("chat",),
    launch=_launch,
    setup=_setup,
    keeps_folder=True,
)
