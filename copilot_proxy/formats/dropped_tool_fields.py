"""Adds notes about the fields of tools that the model's API cannot express."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from copilot_proxy.formats.types import Json

_HARMLESS: Final = frozenset(
    {
        *("type", "defer_loading", "eager_input_streaming"),
        *("cache_control", "copilot_cache_control", "prompt_cache_breakpoint"),
    }
)
"""Fields about loading, streaming and caching, which do not change what the model can call."""
_DEFAULTS: Final[Json] = {"allowed_callers": ["direct"]}
"""Values that request the default behavior."""


def note_fields(
    tools: Iterable[Json], known: Collection[str], reason: str, notes: list[str]
) -> None:
    """Add a note for the fields of `tools` that are not `known`. `reason` explains the loss."""
    names: set[str] = set()
    for tool in tools:
        unknown: Any = tool.keys() - known - _HARMLESS
        names |= {name for name in unknown if tool[name] and tool[name] != _DEFAULTS.get(name)}
    if names:
        notes.append(f"dropped {', '.join(sorted(names))} from tools: {reason}")
