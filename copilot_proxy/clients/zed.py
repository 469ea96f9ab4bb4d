"""Zed, which reads providers from its settings. The key is read from an environment variable,
or entered in the app.

Source: https://zed.dev/docs/ai/use-api-access#openai-compatible
"""

from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import JsonValues

_NAME: Final = "copilot-proxy"
_DEFAULT_CONTEXT: Final = 128_000


def _setup(to: Connection, machine: Machine) -> Setup:
    provider = {
        "api_url": f"{to.url}/v1",
        "available_models": [_model(model) for model in to.models],
    }
    if machine.platform == "win32":
        folder = machine.application_data / "Zed"
    else:
        folder = machine.config / "zed"
    path = folder / "settings.json"
    return Setup(
        [JsonValues(path, [(("language_models", "openai_compatible", _NAME), provider)])],
        notes=(
            "Choose a model in the agent panel.",
            "Zed reads the key from COPILOT_PROXY_API_KEY, or from its settings (LLM Providers). "
            "If the server has no key, enter any text there.",
        ),
    )


def _model(model: ClientModel) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": model.id,
        "display_name": model.name,
        "max_tokens": model.input or _DEFAULT_CONTEXT,
        "capabilities": {
            "tools": True,
            "images": model.vision,
            "parallel_tool_calls": True,
            "prompt_cache_key": True,
        },
    }
    if model.output:
        entry["max_output_tokens"] = model.output
    return entry


ZED: Final = Client(
    name="zed",
    title="Zed",
    programs=("zed", "zeditor"),
    paths=("/Applications/Zed.app", "Applications/Zed.app", ".local/bin/zed"),
    install="https://zed.dev/download",
    apis=("chat",),
    setup=_setup,
)
