"""aider, which is configured with variables and a file of model limits.

Sources: https://aider.chat/docs/llms/openai-compat.html and /docs/config/adv-model-settings.html
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import JsonValues, WholeFile

_FILE: Final = "models.json"
_SMALL: Final = "gpt-mini"


def _launch(to: Connection) -> Launch:
    small = _small(to)
    arguments = [
        # "openai" names the API, and the rest is the model id.
        *("--model", f"openai/{to.model.id}", "--weak-model", f"openai/{small.id}"),
        *("--model-metadata-file", str(to.folder / _FILE), "--no-show-model-warnings"),
    ]
    environ = {
        "OPENAI_API_BASE": f"{to.url}/v1",
        "OPENAI_API_KEY": to.key,
        # These variables take precedence over the user's .aider.conf.yml; the two above do not.
        "AIDER_OPENAI_API_BASE": f"{to.url}/v1",
        "AIDER_OPENAI_API_KEY": to.key,
    }
    return Launch(arguments, environ, {_FILE: json.dumps(_metadata(to), indent=2)})


def _setup(to: Connection, machine: Machine) -> Setup:
    settings = {
        "openai-api-base": f"{to.url}/v1",
        "openai-api-key": to.key,
        "model": f"openai/{to.model.id}",
        "weak-model": f"openai/{_small(to).id}",
        "show-model-warnings": False,
    }
    lines = [f"{name}: {json.dumps(value)}\n" for name, value in settings.items()]
    metadata = [((name,), model) for name, model in _metadata(to).items()]
    return Setup(
        [
            WholeFile(machine.home / ".aider.conf.yml", "".join(lines), only_new=True),
            JsonValues(machine.home / ".aider.model.metadata.json", metadata),
        ],
        start="aider",
        notes=("OPENAI_API_BASE and OPENAI_API_KEY in the environment override the file.",),
    )


def _small(to: Connection) -> ClientModel:
    return to.families.get(_SMALL, to.model)


def _metadata(to: Connection) -> dict[str, dict[str, Any]]:
    return {f"openai/{model.id}": _model(model) for model in to.models}


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
    setup=_setup,
    overrides=("OPENAI_BASE_URL",),
    families=(_SMALL,),
)
