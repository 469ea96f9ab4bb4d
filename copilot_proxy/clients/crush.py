"""crush, which reads providers from its JSON configuration file.

Source: https://github.com/charmbracelet/crush#custom-providers
"""

from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import JsonValues

_DEFAULT_CONTEXT: Final = 128_000
_DEFAULT_OUTPUT: Final = 16_384


def _setup(to: Connection, machine: Machine) -> Setup:
    provider = {
        "name": "copilot-proxy",
        "type": "openai-compat",
        "base_url": f"{to.url}/v1",
        "api_key": to.key,
        "models": [_model(model) for model in to.models],
    }
    path = machine.config / "crush" / "crush.json"
    return Setup(
        [JsonValues(path, [(("providers", "copilot-proxy"), provider)])],
        start="crush, then choose a model with Ctrl+L",
    )


def _model(model: ClientModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "context_window": model.input or _DEFAULT_CONTEXT,
        "default_max_tokens": model.output or _DEFAULT_OUTPUT,
        "can_reason": bool(model.efforts),
        "supports_attachments": model.vision,
        # Zero, because the ledger keeps track of the cost.
        "cost_per_1m_in": 0,
        "cost_per_1m_out": 0,
    }


CRUSH: Final = Client(
    name="crush",
    title="crush",
    programs=("crush",),
    install="npm install -g @charmland/crush",
    apis=("chat",),
    setup=_setup,
)
