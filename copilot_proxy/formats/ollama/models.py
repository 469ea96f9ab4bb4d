"""Builds Ollama's model list and model objects from the catalogue of Copilot's models.

Names have the tag ``latest``, because all of Ollama's names have tags and clients compare them.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.types import Json
from copilot_proxy.model_ids import LATEST_TAG

API_VERSION: Final = "0.20.0"
"""The Ollama version that this server claims to be; some client features need a minimum version."""
_MODIFIED_AT: Final = "2023-11-14T22:13:20Z"
"""A placeholder: the field is required, but Copilot's list contains no dates."""
_REMOTE_HOST: Final = "https://github.com"


def model_list(
    models: Iterable[Model],
    aliases: Iterable[tuple[str, Model]] = (),
    default: Model | None = None,
) -> Json:
    """Return a `schema.OllamaModelList` of the aliases and the usable `models`, without models that
    an alias hides."""
    named = dict(aliases)
    listed = [*named.items(), *((one.id, one) for one in models if one.id not in named)]
    return {"models": [_entry(name, one) for name, one in listed if not one.needs_enabling]}


def model_object(model: Model, *, name: str | None = None, default: Model | None = None) -> Json:
    """Return the `schema.OllamaModelInfo` with which ``/api/show`` describes `model`."""
    architecture = model.parts.brand or "copilot"
    info: Json = {
        "general.architecture": architecture,
        "general.basename": model.name,
        "general.name": model.name,
    }
    window = model.limit("max_prompt_tokens") or model.limit("max_context_window_tokens")
    if window is not None:
        info[f"{architecture}.context_length"] = window
    return {
        "license": "",
        "modelfile": f"FROM {model.id}\n",
        "parameters": "",
        "template": "",
        "details": _details(model),
        "model_info": info,
        "capabilities": _capabilities(model),
        "modified_at": _MODIFIED_AT,
        **_remote(model),
    }


def _entry(name: str, model: Model) -> Json:
    tagged = name if ":" in name else f"{name}{LATEST_TAG}"
    return {
        "name": tagged,
        "model": tagged,
        "modified_at": _MODIFIED_AT,
        "size": 0,
        "digest": hashlib.sha256(model.id.encode()).hexdigest(),
        "details": _details(model),
        **_remote(model),
    }


def _remote(model: Model) -> Json:
    """Return Ollama's fields for models that do not run on this machine."""
    return {"remote_model": model.id, "remote_host": _REMOTE_HOST}


def _details(model: Model) -> Json:
    return {
        "parent_model": "",
        "format": "",
        "family": model.family,
        "families": [model.family],
        "parameter_size": "",
        "quantization_level": "",
    }


def _capabilities(model: Model) -> list[str]:
    if not model.is_chat:
        return ["embedding"]
    supports = model.supports
    thinks = (
        model.reasoning_efforts
        or supports.get("adaptive_thinking") is True
        or supports.get("max_thinking_budget")
    )
    found = {
        "completion": True,
        "tools": supports.get("tool_calls") is True,
        "vision": supports.get("vision") is True,
        "thinking": bool(thinks),
    }
    return [name for name, has_it in found.items() if has_it]
