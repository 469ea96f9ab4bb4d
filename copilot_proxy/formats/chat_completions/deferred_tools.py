"""Loads deferred tools immediately, because Chat Completions has no tool search."""

from typing import Final

from copilot_proxy.formats.types import ChatRequest, Json

_FIELD: Final = "defer_loading"
_NOTE: Final = (
    "dropped defer_loading from tools: all are offered, since Chat Completions has no tool search"
)


def load_deferred(request: ChatRequest, notes: list[str]) -> ChatRequest:
    """Return the request with all tools loaded.

    The field that defers a tool is either next to the tool's type or in its definition.
    """
    tools = request.get("tools")
    if not tools or not any(
        _FIELD in holder for tool in tools for holder in (tool, *_definitions(tool))
    ):
        return request
    if any(holder.get(_FIELD) for tool in tools for holder in (tool, *_definitions(tool))):
        notes.append(_NOTE)
    return {**request, "tools": [_loaded(tool) for tool in tools]}


def _definitions(tool: Json) -> list[Json]:
    return [tool[kind] for kind in ("function", "custom") if isinstance(tool.get(kind), dict)]


def _loaded(tool: Json) -> Json:
    return {
        name: {k: v for k, v in value.items() if k != _FIELD} if isinstance(value, dict) else value
        for name, value in tool.items()
        if name != _FIELD
    }
