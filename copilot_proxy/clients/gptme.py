"""gptme, which calls the models "local" if variables name the server.

Source: https://gptme.org/docs/providers-custom.html
"""

import json
from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.config_edits.changes import TomlTables

_PROVIDER: Final = "copilot-proxy"


def _launch(to: Connection) -> Launch:
    environ = {"OPENAI_BASE_URL": f"{to.url}/v1", "OPENAI_API_KEY": to.key}
    return Launch(("--model", f"local/{to.model.id}"), environ)


def _setup(to: Connection, machine: Machine) -> Setup:
    provider = {
        "name": _PROVIDER,
        "base_url": f"{to.url}/v1",
        "api_key": to.key,
        "default_model": to.model.id,
    }
    # Every JSON string is a TOML string, apart from escaped surrogates.
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in provider.items()]
    path = machine.config / "gptme" / "config.toml"
    return Setup(
        [TomlTables(path, "[[providers]]\n" + "".join(lines))],
        start=f"gptme --model {_PROVIDER}/{to.model.id}",
    )


GPTME: Final = Client(
    name="gptme",
    title="gptme",
    programs=("gptme",),
    install="pipx install gptme",
    version="0.35.1",
    apis=("chat",),
    launch=_launch,
    setup=_setup,
)
