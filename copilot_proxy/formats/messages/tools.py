"""Adapts tools and the tool choice to what Claude models on Copilot accept."""

from typing import Final

from copilot_proxy.formats.messages.request import is_client_tool
from copilot_proxy.formats.types import Json, MessagesRequest

_FIELDS: Final = (
    "name",
    "description",
    "input_schema",
    "cache_control",
    "type",
    "defer_loading",
    "strict",
    "eager_input_streaming",
)
"""The fields of a tool that Copilot accepts; it may reject requests with any other."""

_TOOL_SEARCH: Final = "tool_search_tool"


def fit_tools(body: MessagesRequest, notes: list[str]) -> None:
    """Remove from `tools` and `tool_choice` of `body` what Copilot does not support."""
    tools: list[Json] = body.get("tools") or []
    for tool in tools:
        if not is_client_tool(tool):
            notes.append(f"dropped the tool {tool['type']}: Copilot does not run it")
    # Copilot does not run the tool search, so tools that only it could find are loaded at once.
    loads_all = any(str(tool.get("type")).startswith(_TOOL_SEARCH) for tool in tools)
    dropped_fields: set[str] = set()
    kept = [_tool(tool, dropped_fields, loads=loads_all) for tool in tools if is_client_tool(tool)]
    notes += [
        f"dropped {name} of tools: Copilot does not support it" for name in sorted(dropped_fields)
    ]
    if kept:
        body["tools"] = kept
    else:
        body.pop("tools", None)
    _fit_tool_choice(body, notes)


def _tool(tool: Json, dropped_fields: set[str], *, loads: bool) -> Json:
    """Return a copy of the tool with the fields that Copilot accepts.

    With `loads`, the tool is loaded at once instead of deferred.
    """
    unknown = {name for name, value in tool.items() if name not in _FIELDS and value is not None}
    dropped_fields |= unknown
    kept = {name: v for name, v in tool.items() if name not in unknown and v is not None}
    if loads or not kept.get("defer_loading"):
        # Copilot only accepts the field with its beta, which is only sent if the field is true.
        kept.pop("defer_loading", None)
    return kept


def _fit_tool_choice(body: MessagesRequest, notes: list[str]) -> None:
    choice = body.get("tool_choice")
    if choice is None:
        return
    if choice.get("type") == "validated":
        body["tool_choice"] = choice = {**choice, "type": "auto"}
        notes.append("changed tool_choice: validated to auto, which Claude accepts")
    names = [tool.get("name") for tool in body.get("tools") or ()]
    if not names:
        del body["tool_choice"]
    elif choice.get("type") == "tool" and choice.get("name") not in names:
        del body["tool_choice"]
        name = choice.get("name")
        notes.append(f"dropped tool_choice: there is no longer a tool named {name!r}")
