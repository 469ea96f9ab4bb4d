"""pi, in which an extension can add a provider and set the API of each model.

Sources: docs/extensions.md and docs/models-configuration.md of @earendil-works/pi-coding-agent.
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.models import Api, ClientModel
from copilot_proxy.config_edits.changes import WholeFile

_PROVIDER: Final = "copilot-proxy"
_FILE: Final = "copilot-proxy.ts"
_KEY: Final = "G_COPILOT_PROXY_KEY"
"""The variable for the key. Programs that pi starts inherit it, so it must not be named like one of
our settings."""
_APIS: Final[dict[Api, str]] = {
    "chat": "openai-completions",
    "responses": "openai-responses",
    "messages": "anthropic-messages",
}
_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
_DEFAULT_CONTEXT: Final = 128_000
_DEFAULT_OUTPUT: Final = 16_384


def _launch(to: Connection) -> Launch:
    arguments = ("--extension", str(to.folder / _FILE), "--model", f"{_PROVIDER}/{to.model.id}")
    return Launch(arguments, {_KEY: to.key}, {_FILE: _extension(to, f"${_KEY}")})


def _setup(to: Connection, machine: Machine) -> Setup:
    folder = machine.folder("PI_CODING_AGENT_DIR", ".pi/agent")
    return Setup(
        [WholeFile(folder / "extensions" / _FILE, _extension(to, to.key))],
        start=f"pi --model {_PROVIDER}/{to.model.id}",
    )


def _extension(to: Connection, key: str) -> str:
    provider = {
        "name": "copilot-proxy",
        # The server accepts every path with or without /v1.
        "baseUrl": to.url,
        "apiKey": key,
        "api": _APIS["chat"],
        "models": [_model(model) for model in to.models],
    }
    return (
        f"export default (pi) => pi.registerProvider({json.dumps(_PROVIDER)}, "
        f"{json.dumps(provider, indent=2)});\n"
    )


def _model(model: ClientModel) -> dict[str, Any]:
    api: Api = next((api for api in PI.apis if api in model.apis), "chat")
    entry: dict[str, Any] = {
        "id": model.id,
        "name": model.name,
        "api": _APIS[api],
        "reasoning": bool(model.efforts),
        "input": model.modalities,
        # Zero, because the ledger keeps track of the cost.
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": model.input or _DEFAULT_CONTEXT,
        "maxTokens": model.output or _DEFAULT_OUTPUT,
    }
    if model.efforts:
        # For a level without an entry, pi would send its own default, even if the model does not
        # accept it.
        levels = {level: level if level in model.efforts else None for level in _LEVELS}
        entry["thinkingLevelMap"] = levels | ({"off": "none"} if "none" in model.efforts else {})
    if model.adaptive:
        entry["compat"] = {"forceAdaptiveThinking": True}
    return entry


PI: Final = Client(
    name="pi",
    title="pi",
    programs=("pi",),
    install="npm install -g @earendil-works/pi-coding-agent",
    version="1.6.0",
    apis=("chat", "responses", "messages"),
    resume="--continue",
    launch=_launch,
    setup=_setup,
)
