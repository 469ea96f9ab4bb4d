"""VS Code's chat, which has supported groups of the user's own models since version 1.122.

Source: https://code.visualstudio.com/docs/agent-customization/language-models
"""

from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import JsonValues
from copilot_proxy.config_edits.json_text import Item

_NAME: Final = "copilot-proxy"
_DEFAULT_PROMPT: Final = 128_000
_DEFAULT_OUTPUT: Final = 16_384


def _setup(to: Connection, machine: Machine) -> Setup:
    group = {
        "name": _NAME,
        "vendor": "customendpoint",
        "apiType": "chat-completions",
        "apiKey": to.key,
        "models": [_model(model, f"{to.url}/v1") for model in to.models],
    }
    path = machine.application_data / "Code" / "User" / "chatLanguageModels.json"
    return Setup(
        [JsonValues(path, [((Item("name", _NAME),), group)])],
        notes=(
            "Choose a model in the model picker of the chat view.",
            "VS Code does not fetch the list of models: run connect again when the list changes.",
            "A key entered in VS Code (Chat: Manage Language Models) is stored more securely than "
            "in this file.",
        ),
    )


def _model(model: ClientModel, url: str) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "url": url,
        "toolCalling": True,
        "vision": model.vision,
        "thinking": bool(model.efforts),
        "maxInputTokens": model.input or _DEFAULT_PROMPT,
        "maxOutputTokens": model.output or _DEFAULT_OUTPUT,
    }


VS_CODE: Final = Client(
    name="vscode",
    title="VS Code",
    programs=("code",),
    paths=("/Applications/Visual Studio Code.app", "Applications/Visual Studio Code.app"),
    install="https://code.visualstudio.com",
    apis=("chat", "responses", "messages"),
    setup=_setup,
)
