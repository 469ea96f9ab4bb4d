"""Which temperature and top_p Claude takes, the same on both APIs that serve it."""

from __future__ import annotations

from . import catalogue
from .catalogue import Model


def complaint(model: Model, temperature: float | None, top_p: float | None) -> str | None:
    """What Claude has against these values, in its words; None when nothing."""
    family, version = catalogue.claude_version(model)
    if temperature is None:
        return None
    if family == "opus" and version >= 4.7:
        return "`temperature` is deprecated for this model."
    if not 0 <= temperature <= 1:
        return "temperature: range: 0..1"
    if version >= 4.5 and top_p is not None:
        return (
            "`temperature` and `top_p` cannot both be specified for this model. "
            "Please use only one."
        )
    return None
