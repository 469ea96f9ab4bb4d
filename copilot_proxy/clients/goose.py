"""goose, which reads variables, or a file in the folder of the user's own providers.

Sources: https://goose-docs.ai/docs/getting-started/providers and the files of goose's built-in
providers.
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.config_edits.changes import WholeFile

_PROVIDER: Final = "custom_copilot_proxy"
_KEY: Final = "G_COPILOT_PROXY_KEY"
_DEFAULT_CONTEXT: Final = 128_000


def _launch(to: Connection) -> Launch:
    return Launch(
        environ={
            "GOOSE_PROVIDER": "openai",
            "GOOSE_MODEL": to.model.id,
            "OPENAI_HOST": to.url,
            "OPENAI_BASE_PATH": "v1/chat/completions",
            "OPENAI_API_KEY": to.key,
        }
    )


def _setup(to: Connection, machine: Machine) -> Setup:
    if machine.platform == "win32":
        folder = machine.application_data / "Block" / "goose" / "config"
    else:
        folder = machine.config / "goose"
    provider: dict[str, Any] = {
        "name": _PROVIDER,
        "engine": "openai",
        "display_name": "copilot-proxy",
        "description": "The models of your GitHub Copilot subscription",
        "api_key_env": _KEY,
        "base_url": f"{to.url}/v1/chat/completions",
        "models": [
            {"name": model.id, "context_limit": model.input or _DEFAULT_CONTEXT}
            for model in to.models
        ],
        "supports_streaming": True,
    }
    path = folder / "custom_providers" / f"{_PROVIDER}.json"
    return Setup(
        [WholeFile(path, json.dumps(provider, indent=2) + "\n")],
        start=f"goose session --provider {_PROVIDER} --model {to.model.id}",
        notes=(
            f"goose reads the key from the variable {_KEY}, or asks for it in goose configure"
            + (". If the server has no key, use any text." if to.key == "unused" else "."),
        ),
    )


GOOSE: Final = Client(
    name="goose",
    title="goose",
    programs=("goose",),
    install="https://goose-docs.ai/docs/getting-started/installation",
    apis=("chat",),
    launch=_launch,
    setup=_setup,
    overrides=("OPENAI_CUSTOM_HEADERS", "OPENAI_ORGANIZATION", "OPENAI_PROJECT"),
)
