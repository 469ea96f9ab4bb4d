"""Raycast, which reads the user's own providers from a YAML file.

Source: https://manual.raycast.com/ai/custom-providers
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import WholeFile

_DEFAULT_CONTEXT: Final = 128_000


def _setup(to: Connection, machine: Machine) -> Setup:
    provider = {
        "id": "copilot-proxy",
        "name": "copilot-proxy",
        "base_url": f"{to.url}/v1",
        "api_keys": {"copilot-proxy": to.key},
        "models": [_model(model) for model in to.models],
    }
    # All JSON is valid YAML.
    text = json.dumps({"providers": [provider]}, indent=2) + "\n"
    path = machine.config / "raycast" / "ai" / "providers.yaml"
    return Setup(
        [WholeFile(path, text, only_new=True)],
        notes=(
            "Turn on custom providers in Raycast's settings, under AI.",
            "Choose a model in Raycast AI.",
        ),
    )


def _model(model: ClientModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "provider": "copilot-proxy",
        "context": model.input or _DEFAULT_CONTEXT,
        "abilities": {
            "tools": {"supported": True},
            "vision": {"supported": model.vision},
            "system_message": {"supported": True},
        },
    }


RAYCAST: Final = Client(
    name="raycast",
    title="Raycast",
    programs=("raycast",),
    paths=("/Applications/Raycast.app",),
    install="https://www.raycast.com",
    apis=("chat",),
    setup=_setup,
)
