"""opencode and its derivative Kilo, which read a configuration from an environment variable and
merge it last.

Sources: https://opencode.ai/docs/config and /docs/providers.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import JsonValues
from copilot_proxy.config_edits.json_text import Path

_PROVIDER: Final = "copilot-proxy"
_SMALL: Final = "gpt-mini"
_KILO_VARIABLES: Final = {"KILO_DISABLE_MODELS_FETCH": "1", "KILO_TELEMETRY_LEVEL": "off"}
"""Without these variables, Kilo would fetch a list of other models. At exit, it would wait until it
has sent telemetry, which takes seconds if there is no network."""


def _launch_with(
    variable: str, environ: Mapping[str, str] | None = None
) -> Callable[[Connection], Launch]:
    """Return a `Client.launch` that sets `variable` to the configuration, and adds `environ`."""

    def launch(to: Connection) -> Launch:
        configuration = {**_choice(to), "provider": {_PROVIDER: _provider(to)}}
        return Launch(environ={variable: json.dumps(configuration), **(environ or {})})

    return launch


def _setup_in(folder: str, names: Sequence[str]) -> Callable[[Connection, Machine], Setup]:
    """Return a `Client.setup` that changes the first existing file in `names`, or `names[0]`."""

    def setup(to: Connection, machine: Machine) -> Setup:
        files = [machine.config / folder / name for name in names]
        path = next(filter(machine.exists, files), files[0])
        values: list[tuple[Path, Any]] = [(("provider", _PROVIDER), _provider(to))]
        values += [((name,), value) for name, value in _choice(to).items()]
        return Setup([JsonValues(path, values)], start=folder)

    return setup


def _provider(to: Connection) -> dict[str, Any]:
    return {
        "npm": "@ai-sdk/openai-compatible",
        "name": "copilot-proxy",
        "options": {"baseURL": f"{to.url}/v1", "apiKey": to.key},
        "models": {model.id: _model(model) for model in to.models},
    }


def _choice(to: Connection) -> dict[str, str]:
    choice = {"model": f"{_PROVIDER}/{to.model.id}"}
    if small := to.families.get(_SMALL):
        # Otherwise, the large model would write the session titles.
        choice["small_model"] = f"{_PROVIDER}/{small.id}"
    return choice


def _model(model: ClientModel) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": model.name,
        "attachment": model.vision,
        "modalities": {
            "input": model.modalities,
            "output": ["text"],
        },
        "reasoning": bool(model.efforts),
        "tool_call": True,
    }
    if model.context and model.output:
        entry["limit"] = {"context": model.context, "output": model.output}
        if model.prompt:
            entry["limit"]["input"] = model.prompt
    if model.efforts:
        entry["variants"] = {effort: {"reasoningEffort": effort} for effort in model.efforts}
    return entry


OPENCODE: Final = Client(
    name="opencode",
    title="opencode",
    programs=("opencode",),
    paths=(".opencode/bin/opencode",),
    install="npm install -g opencode-ai",
    version="1.18.33",
    apis=("chat", "messages", "responses"),
    resume="--continue",
    launch=_launch_with("OPENCODE_CONFIG_CONTENT"),
    setup=_setup_in("opencode", ("opencode.json", "opencode.jsonc", "config.json")),
    families=(_SMALL,),
)
KILO: Final = Client(
    name="kilo",
    title="Kilo CLI",
    programs=("kilo",),
    install="npm install -g @kilocode/cli",
    version="7.7.9",
    apis=("chat", "messages"),
    resume="--continue",
    launch=_launch_with("KILO_CONFIG_CONTENT", _KILO_VARIABLES),
    setup=_setup_in("kilo", ("kilo.jsonc", "kilo.json", "config.json")),
    families=(_SMALL,),
)
