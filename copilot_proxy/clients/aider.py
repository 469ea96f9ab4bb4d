"""aider: variables, and a file with the limits of models.

Source: https://aider.chat/docs/llms/openai-compat.html and /docs/config/adv-model-settings.html
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch
from copilot_proxy.clients.models import ClientModel

_FILE: Final = "models.json"
_SMALL: Final = "gpt-mini"


def _launch(to: Connection) -> Launch:
    small = to.families.get(_SMALL, to.model)
    arguments = [
        # "openai" means the API; the rest is the id of the model.
        *("--model", f"openai/{to.model.id}", "--weak-model", f"openai/{small.id}"),
        *("--model-metadata-file", str(to.folder / _FILE), "--no-show-model-warnings"),
    ]
    environ = {"OPENAI_API_BASE": f"{to.url}/v1", "OPENAI_API_KEY": to.key}
    metadata = {f"openai/{model.id}": _model(model) for model in to.models}
    return Launch(arguments, environ, {_FILE: json.dumps(metadata, indent=2)})


def _model(model: ClientModel) -> dict[str, Any]:
    limits = {"max_input_tokens": model.input, "max_output_tokens": model.output}
    return {
        "litellm_provider": "openai",
        "mode": "chat",
        "supports_vision": model.vision,
        **{name: limit for name, limit in limits.items() if limit},
    }


AIDER: Final = Client(
    name="aider",
    title="aider",
    programs=("aider",),
    install="pipx install aider-chat",
    version="0.86.2",
    apis=("chat",),
    launch=_launch,
    user_agent="OpenAI/Python",
    overrides=("OPENAI_BASE_URL",),
    families=(_SMALL,),
)
