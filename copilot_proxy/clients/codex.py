"""Codex CLI.

Every configuration key can be set on the command line, so the only file that Codex needs is the
model list. Its entries must contain the instructions for each model. These are copied from Codex's
own list, which ``codex debug models`` prints.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.models import ClientModel
from copilot_proxy.config_edits.changes import Change, WholeFile

_PROVIDER: Final = "copilot-proxy"
_KEY: Final = "G_COPILOT_PROXY_KEY"
"""The variable for the key. Programs that Codex starts inherit it, so it must not be named like one
of our settings."""
_FILE: Final = "models.json"
_MODELS_FILE: Final = "copilot-proxy.models.json"
_WITHOUT: Final = ("upgrade", "availability_nux", "default_service_tier", "model_specialty")
"""Fields to leave out: they advertise or select something that only OpenAI's servers offer."""
_UNRANKED: Final = 100
"""The menu position of models that are not in Codex's own list: below those that are."""


def _launch(to: Connection) -> Launch:
    provider = {
        "name": "copilot-proxy",
        "base_url": f"{to.url}/v1",
        "wire_api": "responses",
        "env_key": _KEY,
    }
    config = {"model": to.model.id, "model_provider": _PROVIDER}
    config |= {f"model_providers.{_PROVIDER}.{name}": value for name, value in provider.items()}
    files: dict[str, str] = {}
    if models := model_list(to.models, to.answer):
        files[_FILE] = json.dumps({"models": models})
        config["model_catalog_json"] = str(to.folder / _FILE)
    arguments = [
        word for name, value in config.items() for word in ("-c", f"{name}={json.dumps(value)}")
    ]
    return Launch(arguments, {_KEY: to.key}, files)


def _setup(to: Connection, machine: Machine) -> Setup:
    """Return a separate profile, so that ``config.toml`` stays unchanged."""
    folder = machine.folder("CODEX_HOME", ".codex")
    top = {"model": to.model.id, "model_provider": _PROVIDER}
    provider = {
        "name": "copilot-proxy",
        "base_url": f"{to.url}/v1",
        "wire_api": "responses",
        "experimental_bearer_token": to.key,
    }
    changes: list[Change] = []
    if models := model_list(to.models, to.answer):
        catalogue = folder / _MODELS_FILE
        top["model_catalog_json"] = str(catalogue)
        changes.append(WholeFile(catalogue, json.dumps({"models": models}, indent=1) + "\n"))
    lines = [_line(name, value) for name, value in top.items()]
    lines += ["", f"[model_providers.{_PROVIDER}]"]
    lines += [_line(name, value) for name, value in provider.items()]
    profile = WholeFile(folder / f"{_PROVIDER}.config.toml", "\n".join(lines) + "\n")
    return Setup(
        [profile, *changes],
        start=f"codex --profile {_PROVIDER}",
        notes=("Codex's editor extension does not read profiles.",),
    )


def _line(name: str, value: str) -> str:
    # Every JSON string is a TOML string, apart from escaped surrogates.
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def model_list(models: Sequence[ClientModel], own_list: str) -> list[dict[str, Any]]:
    """Return entries for `models` in Codex's format, or no entries if `own_list` is unreadable.

    `own_list` is Codex's own list. Models that it contains keep their entries, with Copilot's
    limits. Other models are given the entry of a model that uses plain function tools, as all of
    Copilot's models do.
    """
    known = _entries(own_list)
    if not known:
        return []
    plain = next((one for one in known.values() if _is_plain(one)), None)
    pattern = {**(plain or next(iter(known.values()))), "priority": _UNRANKED}
    return [_entry(model, known.get(model.id, pattern)) for model in models]


def _entries(own_list: str) -> dict[str, dict[str, Any]]:
    try:
        entries = json.loads(own_list)["models"]
        return {one["slug"]: one for one in entries if one["base_instructions"]}
    except (ValueError, TypeError, KeyError):
        return {}


def _is_plain(entry: Mapping[str, Any]) -> bool:
    return not (
        entry.get("use_responses_lite") or entry.get("tool_mode") or entry.get("model_specialty")
    )


def _entry(model: ClientModel, pattern: Mapping[str, Any]) -> dict[str, Any]:
    entry = {name: value for name, value in pattern.items() if name not in _WITHOUT}
    entry |= {"service_tiers": [], "additional_speed_tiers": [], "visibility": "list"}
    if entry["slug"] != model.id:
        entry |= {"slug": model.id, "display_name": model.name, "description": model.name}
    if model.input:
        entry |= {"context_window": model.input, "max_context_window": model.input}
    entry["input_modalities"] = model.modalities
    levels = {one["effort"]: one for one in entry.get("supported_reasoning_levels") or ()}
    entry["supported_reasoning_levels"] = [
        levels.get(effort, {"effort": effort, "description": f"Reasoning effort: {effort}"})
        for effort in model.efforts
    ]
    if entry.get("default_reasoning_level") not in model.efforts:
        # Most models have a medium level; if there are no levels, Codex sends none.
        middle = model.efforts[len(model.efforts) // 2 : len(model.efforts) // 2 + 1]
        entry["default_reasoning_level"] = (
            "medium" if "medium" in model.efforts else next(iter(middle), None)
        )
    return entry


CODEX: Final = Client(
    name="codex",
    title="Codex CLI",
    programs=("codex",),
    install="npm install -g @openai/codex",
    version="0.171.0",
    apis=("responses",),
    resume="resume --last",
    launch=_launch,
    setup=_setup,
    question=("debug", "models"),
    family="gpt",
)
