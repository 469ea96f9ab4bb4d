"""Continue's command line, ``cn``, which accepts a configuration file as an argument.

Source: https://docs.continue.dev/reference
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import WholeFile

_FILE: Final = "config.yaml"


def _launch(to: Connection) -> Launch:
    return Launch(("--config", str(to.folder / _FILE)), files={_FILE: _config(to)})


def _setup(to: Connection, machine: Machine) -> Setup:
    path = machine.folder("CONTINUE_GLOBAL_DIR", ".continue") / "copilot-proxy.yaml"
    return Setup([WholeFile(path, _config(to))], start=f"cn --config {path}")


def _config(to: Connection) -> str:
    config = {
        "name": "copilot-proxy",
        "version": "0.0.1",
        "schema": "v1",
        # Continue starts with the first model.
        "models": [_model(model, to) for model in to.ordered_models],
    }
    # All JSON is valid YAML.
    return json.dumps(config, indent=2) + "\n"


def _model(model: ClientModel, to: Connection) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": model.name,
        "provider": "openai",
        "model": model.id,
        "apiBase": f"{to.url}/v1",
        "apiKey": to.key,
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use", *(["image_input"] if model.vision else [])],
    }
    if model.input:
        entry["defaultCompletionOptions"] = {"contextLength": model.input}
    return entry


CONTINUE: Final = Client(
    name="continue",
    title="Continue",
    programs=("cn",),
    install="npm install -g @continuedev/cli",
    version="1.5.47",
    apis=("chat", "responses"),
    launch=_launch,
    setup=_setup,
)
