"""llm: it reads models and keys from a folder, and writes its log there.

The folder can be chosen, but not a part of it. So `llm` has a folder of its own here, and logs what
was asked through this server there. Source: https://llm.datasette.io/en/stable/other-models.html
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch
from copilot_proxy.clients.models import ClientModel

_KEY: Final = "copilot-proxy"


def _launch(to: Connection) -> Launch:
    models = [_model(model, to.url) for model in to.models]
    files = {
        # All JSON is YAML.
        "extra-openai-models.yaml": json.dumps(models, indent=2),
        "keys.json": json.dumps({_KEY: to.key}),
        "default_model.txt": _name(to.model),
    }
    return Launch(environ={"LLM_USER_PATH": str(to.folder)}, files=files)


def _model(model: ClientModel, url: str) -> dict[str, Any]:
    return {
        "model_id": _name(model),
        "model_name": model.id,
        "api_base": f"{url}/v1",
        "api_key_name": _KEY,
        "vision": model.vision,
        "reasoning": bool(model.efforts),
        "supports_schema": True,
        "supports_tools": True,
    }


def _name(model: ClientModel) -> str:
    """Return the model's name in llm, which differs from those that llm has built in."""
    return f"copilot/{model.id}"


LLM: Final = Client(
    name="llm",
    title="llm",
    programs=("llm",),
    install="pipx install llm",
    version="0.36",
    apis=("chat",),
    launch=_launch,
    user_agent="OpenAI/Python",
    overrides=("LLM_MODEL",),
    keeps_folder=True,
)
