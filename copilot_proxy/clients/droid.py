"""Factory's droid, which accepts a settings file as an argument.

Sources: https://docs.factory.ai/cli/byok/overview and ``droid --help``.
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.models import Api, ClientModel
from copilot_proxy.config_edits.changes import JsonValues
from copilot_proxy.config_edits.json_text import Item

_FILE: Final = "settings.json"
_PROVIDERS: Final[dict[Api, tuple[str, str]]] = {
    "chat": ("generic-chat-completion-api", "/v1"),
    "responses": ("openai", "/v1"),
    "messages": ("anthropic", ""),
}
"""Droid's name for each API, and the path that it expects at the end of the URL."""


def _launch(to: Connection) -> Launch:
    settings = {
        "sessionDefaultSettings": {"model": _id(to.model)},
        "customModels": [_model(model, index, to) for index, model in enumerate(to.ordered_models)],
    }
    return Launch(
        ("--settings", str(to.folder / _FILE)),
        files={_FILE: json.dumps(settings, indent=2)},
        # If the user is not signed in to Factory, `droid exec` requires a key, but does not use it
        # for the user's own models. In a terminal, droid checks the key, and exits if it is
        # invalid.
        defaults={"FACTORY_API_KEY": "unused"} if "exec" in to.arguments else {},
    )


def _setup(to: Connection, machine: Machine) -> Setup:
    entries = [_model(model, index, to) for index, model in enumerate(to.models)]
    values = [(("customModels", Item("id", entry["id"])), entry) for entry in reversed(entries)]
    return Setup(
        [JsonValues(machine.home / ".factory" / _FILE, values)],
        start=f"droid exec -m {_id(to.model)}, or run droid and choose the model with /model",
        notes=(
            "If you are not signed in to Factory, droid exec needs FACTORY_API_KEY, set to any "
            "text.",
        ),
    )


def _id(model: ClientModel) -> str:
    return f"custom:copilot-{model.id}"


def _model(model: ClientModel, index: int, to: Connection) -> dict[str, Any]:
    api: Api = next((api for api in DROID.apis if api in model.apis), "chat")
    provider, end = _PROVIDERS[api]
    entry: dict[str, Any] = {
        "id": _id(model),
        "index": index,
        "model": model.id,
        "displayName": f"{model.name} (Copilot)",
        "baseUrl": to.url + end,
        "apiKey": to.key,
        "provider": provider,
        "noImageSupport": not model.vision,
    }
    if model.output:
        entry["maxOutputTokens"] = model.output
    return entry


DROID: Final = Client(
    name="droid",
    title="droid",
    programs=("droid",),
    paths=(".local/bin/droid",),
    install="npm install -g droid",
    version="0.215.0",
    apis=("chat", "messages", "responses"),
    launch=_launch,
    setup=_setup,
)
