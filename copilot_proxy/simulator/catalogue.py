"""The simulated catalogues: their model entries, and functions that read them."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import msgspec

from .types import Model

CATALOGUES = {
    "2026-11": "the models of November 2026",
    "2026-03": "the models of March 2026",
    "future": "invented models with fields and values that do not exist yet",
}
"""Name of each built-in catalogue -> what it contains."""
DEFAULT_CATALOGUE = "2026-11"

CHAT = "/chat/completions"
RESPONSES = "/responses"
SOCKET = "ws:/responses"
MESSAGES = "/v1/messages"
EMBEDDINGS = "/embeddings"
FIRST_WITH_FILES = 5.0
"""The first GPT version that reads documents."""


def load(name: str = DEFAULT_CATALOGUE) -> list[Model]:
    """Return a new copy of a built-in catalogue. Raises ValueError if the name is unknown."""
    if name not in CATALOGUES:
        raise ValueError(f"Unknown catalogue {name!r}. Catalogues: {', '.join(CATALOGUES)}")
    data = resources.files(__package__).joinpath(f"models-{name}.json").read_bytes()
    return msgspec.json.decode(data, type=list[Model])


def endpoints_of(model: Model) -> list[str]:
    """Return the endpoints listed in the model's entry, or else the usual ones for its type.

    Whatever has a WebSocket can be called over HTTP as well.
    """
    named = model.get("supported_endpoints")
    if named:
        has_only_socket = SOCKET in named and RESPONSES not in named
        return [*named, RESPONSES] if has_only_socket else list(named)
    kind = model.get("capabilities", {}).get("type", "chat")
    return {"chat": [CHAT], "embeddings": [EMBEDDINGS]}.get(kind, [])


def supports(model: Model, feature: str) -> Any:
    """Return one of the model's ``supports`` values, or None if it is missing."""
    return model.get("capabilities", {}).get("supports", {}).get(feature)


def limit(model: Model, name: str) -> int | None:
    """Return one of the model's ``limits``, or None if it is missing."""
    value = model.get("capabilities", {}).get("limits", {}).get(name)
    return value if isinstance(value, int) else None


def vendor(model: Model) -> str:
    """Return the vendor whose format the model uses: ``claude``, ``gemini``, ``kimi`` or
    ``azure``."""
    formats = {"Anthropic": "claude", "Google": "gemini", "Moonshot AI": "kimi"}
    return formats.get(model.get("vendor", ""), "azure")


def claude_version(model: Model) -> tuple[str, float]:
    """Return a Claude model's family and version, e.g. ("opus", 4.7).

    Returns ("", 0) for other models.
    """
    found = re.match(r"claude-([a-z]+)-(\d+(?:\.\d+)?)", model["id"])
    return (found[1], float(found[2])) if found else ("", 0.0)


def gpt_version(model: Model) -> float:
    """Return the version of a GPT model, e.g. 5.4, or 0 for other models."""
    found = re.match(r"gpt-(\d(?:\.\d)?)(?!\d)", model["id"])
    return float(found[1]) if found else 0.0


def is_gpt5(model: Model) -> bool:
    """Return whether OpenAI's rules for reasoning models apply to the model."""
    reasons = gpt_version(model) >= 5 or re.match(r"o\d", model["id"])
    return bool(reasons) or model["id"] == "goldeneye"


def is_gemini3(model: Model) -> bool:
    """Return whether the model is Gemini 3 or newer."""
    found = re.match(r"gemini-(\d+)", model["id"])
    return found is not None and int(found[1]) >= 3


def backend_name(model: Model) -> str:
    """Return the model's name in answers. Unlike the model id, it often contains a date."""
    family, version = claude_version(model)
    if family:
        dashed = f"{version:g}".replace(".", "-")
        return f"claude-{family}-{dashed}-20250929"
    dated = {"gpt-5.1": "2025-11-13", "gpt-5.2": "2025-12-11", "gpt-5-mini": "2025-08-07"}
    if model["id"] in dated:
        return f"{model['id']}-{dated[model['id']]}"
    return str(model.get("version", model["id"]))
