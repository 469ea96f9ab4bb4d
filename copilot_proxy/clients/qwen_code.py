"""qwen-code, which is configured with variables, and a flag for the provider type."""

from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import JsonValues
from copilot_proxy.config_edits.json_text import Item, Path

_KEY: Final = "G_COPILOT_PROXY_KEY"
"""The variable for the key. The settings file sets it."""


def _launch(to: Connection) -> Launch:
    environ = {
        "OPENAI_BASE_URL": f"{to.url}/v1",
        "OPENAI_API_KEY": to.key,
        "OPENAI_MODEL": to.model.id,
    }
    return Launch(("--auth-type", "openai"), environ)


def _setup(to: Connection, machine: Machine) -> Setup:
    values: list[tuple[Path, Any]] = [
        (("modelProviders", "openai", Item("id", model.id)), _model(model, to))
        for model in reversed(to.models)
    ]
    values += [
        (("env", _KEY), to.key),
        (("security", "auth", "selectedType"), "openai"),
        (("model", "name"), to.model.id),
    ]
    path = machine.home / ".qwen" / "settings.json"
    return Setup([JsonValues(path, values)], start="qwen")


def _model(model: ClientModel, to: Connection) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": model.id,
        "name": f"{model.name} (Copilot)",
        "envKey": _KEY,
        "baseUrl": f"{to.url}/v1",
    }
    if model.input:
        entry["generationConfig"] = {"contextWindowSize": model.input}
    return entry


QWEN_CODE: Final = Client(
    name="qwen-code",
    title="qwen-code",
    programs=("qwen",),
    install="npm install -g @qwen-code/qwen-code",
    version="0.24.4",
    apis=("chat", "messages"),
    resume="--continue",
    launch=_launch,
    setup=_setup,
    overrides=("QWEN_MODEL",),
)
