"""The features of each generation of Claude models."""

from __future__ import annotations

from . import catalogue
from .types import Model

NO_SAMPLING = 4.7
"""The first version that hides its thinking and only accepts the default temperature."""
ALWAYS_THINKING = {"fable", "mythos"}
"""Families whose models always think, no matter what the request says."""
LAST_UNBOUND = 5.0
"""The newest version, in any family, that does not support ``block_binding``."""
BINDING = {"opus": 5.5, "fable": 5.1, "mythos": 5.1}
"""Family -> the first version whose thinking blocks are bound to the conversation."""


def is_modern(model: Model) -> bool:
    """Return whether the rules that came with Opus 4.7 apply to the model."""
    return catalogue.claude_version(model)[1] >= NO_SAMPLING


def always_thinks(model: Model) -> bool:
    """Return whether the model's thinking cannot be turned off."""
    family, version = catalogue.claude_version(model)
    return family in ALWAYS_THINKING or (family == "opus" and version >= BINDING["opus"])


def binds_history(model: Model) -> bool:
    """Return whether the model's thinking blocks are valid only in their original conversation."""
    family, version = catalogue.claude_version(model)
    return family in BINDING and version >= BINDING[family]


def thinking_types(model: Model) -> tuple[str, ...]:
    """Return the values of ``thinking.type`` that the model accepts."""
    if always_thinks(model):
        return ("adaptive",)
    adaptive = ("adaptive",) if catalogue.supports(model, "adaptive_thinking") else ()
    if is_modern(model):
        return (*adaptive, "disabled")
    return ("enabled", *adaptive, "disabled")
