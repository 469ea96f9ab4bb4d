"""The temperature, top_p and top_k that Claude accepts, on both APIs that serve it."""

from __future__ import annotations

from . import catalogue, claude
from .types import Json, Model


def sampling_error(model: Model, body: Json) -> str | None:
    """Return Claude's error about a request's sampling values, or None if they are valid."""
    _, version = catalogue.claude_version(model)
    temperature, top_p = body.get("temperature"), body.get("top_p")
    if claude.is_modern(model):
        for name in ("temperature", "top_p", "top_k"):
            # Default values are accepted, because official clients always send them.
            if body.get(name) not in ((None,) if name == "top_k" else (None, 1)):
                return f"`{name}` is deprecated for this model."
        return None
    if temperature is None:
        return None
    if not 0 <= temperature <= 1:
        return "temperature: range: 0..1"
    if version >= 4.5 and top_p is not None:
        return (
            "`temperature` and `top_p` cannot both be specified for this model. "
            "Please use only one."
        )
    return None
