"""llm, which reads models and keys from a folder, and also writes its log there.

A single variable selects the folder for all of these. `llm` is given a separate folder, so prompts
sent through this server have a log of their own. Source:
https://llm.datasette.io/en/stable/other-models.html
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import JsonValues, WholeFile

_KEY: Final = "copilot-proxy"
_FILE: Final = "extra-openai-models.yaml"


def _launch(to: Connection) -> Launch:
    files = {
        _FILE: _models(to),
        "keys.json": json.dumps({_KEY: to.key}),
        "default_model.txt": _name(to.model),
    }
    return Launch(environ={"LLM_USER_PATH": str(to.folder)}, files=files)


def _setup(to: Connection, machine: Machine) -> Setup:
    folder = machine.application_data / "io.datasette.llm"
    if own := machine.environ.get("LLM_USER_PATH"):
        folder = machine.home / own
    return Setup(
        [
            WholeFile(folder / _FILE, _models(to), only_new=True),
            JsonValues(folder / "keys.json", [((_KEY,), to.key)]),
        ],
        start=f"llm -m {_name(to.model)}",
    )


def _models(to: Connection) -> str:
    # All JSON is valid YAML.
    return json.dumps([_model(model, to.url) for model in to.models], indent=2) + "\n"


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
    """Return the model's name in llm, which must differ from llm's built-in names."""
    return f"copilot/{model.id}"


LLM: Final = Client(
    name="llm",
    title="llm",
    programs=("llm",),
    install="pipx install llm",
    version="0.36",
    apis=("chat",),
    launch=_launch,
    setup=_setup,
    overrides=("LLM_MODEL",),
    keeps_folder=True,
)
