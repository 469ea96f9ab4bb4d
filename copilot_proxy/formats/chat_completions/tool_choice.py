"""Interprets the tool choice of a Chat Completions request."""

from typing import Any

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.types import Json


def tool_name(tool: Any) -> str:
    """Return the name in a tool or in a tool choice, or "" if it has no name."""
    definition = (tool.get("custom") or tool.get("function")) if isinstance(tool, dict) else None
    name = definition.get("name") if isinstance(definition, dict) else None
    return name if isinstance(name, str) else ""


def apply_allowed_tools(tools: list[Json], choice: Any) -> tuple[list[Json], Any]:
    """Return the tools that the choice allows, and the choice without its list of allowed tools."""
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return tools, choice
    allowed = choice.get("allowed_tools")
    allowed = allowed if isinstance(allowed, dict) else {}
    listed = allowed.get("tools")
    names = {tool_name(tool) for tool in listed} if isinstance(listed, list) else set()
    mode = allowed.get("mode")
    kept = [tool for tool in tools if tool_name(tool) in names]
    return kept, mode if isinstance(mode, str) else "auto"


def unknown_choice(choice: Any) -> RequestError:
    """Return the error for a tool choice that is not part of any API."""
    kind = choice.get("type") if isinstance(choice, dict) else choice
    return RequestError(
        f"Invalid 'tool_choice': {kind!r} is not one of none, auto, required, function, custom, "
        "allowed_tools, validated.",
        param="tool_choice",
        code="invalid_value",
    )
