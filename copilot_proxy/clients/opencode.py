"""opencode, and Kilo, which is made from it: a variable holds a configuration that is merged last.

Source: https://opencode.ai/docs/config and /docs/providers.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch
from copilot_proxy.clients.models import ClientModel

_PROVIDER: Final = "copilot-proxy"
_SMALL: Final = "gpt-mini"


def _launch_with(variable: str) -> Callable[[Connection], Launch]:
    def launch(to: Connection) -> Launch:
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "copilot-proxy",
            "options": {"baseURL": f"{to.url}/v1", "apiKey": to.key},
            "models": {model.id: _model(model) for model in to.models},
        }
        config: dict[str, Any] = {
            "model": f"{_PROVIDER}/{to.model.id}",
            "provider": {_PROVIDER: provider},
        }
        if small := to.families.get(_SMALL):
            # Titles of sessions would go to the large model.
            config["small_model"] = f"{_PROVIDER}/{small.id}"
        return Launch(environ={variable: json.dumps(config)})

    return launch


def _model(model: ClientModel) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": model.name,
        "attachment": model.vision,
        "modalities": {
            "input": model.modalities,
            "output": ["text"],
        },
        "reasoning": bool(model.efforts),
        "tool_call": True,
    }
    if model.context and model.output:
        entry["limit"] = {"context": model.context, "output": model.output}
        if model.prompt:
            entry["limit"]["input"] = model.prompt
    if model.efforts:
        entry["variants"] = {effort: {"reasoningEffort": effort} for effort in model.efforts}
    return entry


OPENCODE: Final = Client(
    name="opencode",
    title="opencode",
    programs=("opencode",),
    paths=(".opencode/bin/opencode",),
    install="npm install -g opencode-ai",
    version="1.18.33",
    apis=("chat", "messages", "responses"),
    launch=_launch_with("OPENCODE_CONFIG_CONTENT"),
    user_agent="opencode/",
    families=(_SMALL,),
)
KILO: Final = Client(
    name="kilo",
    title="Kilo CLI",
    programs=("kilo",),
    install="npm install -g @kilocode/cli",
    version="7.7.9",
    apis=("chat", "messages"),
    launch=_launch_with("KILO_CONFIG_CONTENT"),
    user_agent="Kilo-Code/",
    families=(_SMALL,),
)
