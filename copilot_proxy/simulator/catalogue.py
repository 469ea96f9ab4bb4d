"""The simulated catalogue: its model entries, and functions that read them."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import msgspec

Model = dict[str, Any]

CHAT = "/chat/completions"
RESPONSES = "/responses"
MESSAGES = "/v1/messages"
EMBEDDINGS = "/embeddings"


def load() -> list[Model]:
    """Return a new copy of the built-in catalogue."""
    data = resources.files(__package__).joinpath("models.json").read_bytes()
    return msgspec.json.decode(data, type=list[Model])


def endpoints_of(model: Model) -> list[str]:
    """Return the endpoints that serve a model; chat completions if its entry names none."""
    named = model.get("supported_endpoints")
    if named:
        return list(named)
    kind = model.get("capabilities", {}).get("type", "chat")
    return {"chat": [CHAT], "embeddings": [EMBEDDINGS]}.get(kind, [])


def supports(model: Model, feature: str) -> Any:
    """Return one of the model's ``supports`` values; None if the entry lacks it."""
    return model.get("capabilities", {}).get("supports", {}).get(feature)


def limit(model: Model, name: str) -> int | None:
    """Return one of the model's ``limits``; None if the entry lacks it."""
    value = model.get("capabilities", {}).get("limits", {}).get(name)
    return value if isinstance(value, int) else None


def vendor(model: Model) -> str:
    """Return the vendor whose answer format the model uses: ``claude``, ``gemini`` or ``azure``."""
    return {"Anthropic": "claude", "Google": "gemini"}.get(model.get("vendor", ""), "azure")


def claude_version(model: Model) -> tuple[str, float]:
    """Return family and version of a Claude model, e.g. ("opus", 4.7); ("", 0) for others."""
    found = re.match(r"claude-(opus|sonnet|haiku)-(\d+(?:\.\d+)?)", model["id"])
    return (found[1], float(found[2])) if found else ("", 0.0)


def is_gpt5(model: Model) -> bool:
    """Whether OpenAI's rules for reasoning models apply to the model."""
    return bool(re.match(r"gpt-5|o\d", model["id"])) or model["id"] == "goldeneye"


def is_gemini3(model: Model) -> bool:
    """Whether the model requires its own signatures to be sent back."""
    return str(model["id"]).startswith("gemini-3")


def backend_name(model: Model) -> str:
    """Return the model name in answers, which is often dated, unlike the requested id."""
    family, version = claude_version(model)
    if family:
        dashed = f"{version:g}".replace(".", "-")
        return f"claude-{family}-{dashed}-20250929"
    dated = {"gpt-5.1": "2025-11-13", "gpt-5.2": "2025-12-11", "gpt-5-mini": "2025-08-07"}
    if model["id"] in dated:
        return f"{model['id']}-{dated[model['id']]}"
    return str(model.get("version", model["id"]))
