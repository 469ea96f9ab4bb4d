"""Adapts tools and the tool choice to what Claude models on Copilot accept."""

import re
from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.messages.deferred_tools import is_hosted_search
from copilot_proxy.formats.messages.request import is_client_tool
from copilot_proxy.formats.tool_checks import check_tool_count
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
"""The fields of a tool that Copilot accepts; it may reject requests with other fields."""

_WANTED: Final = re.compile(r"code_execution_\d|mcp_toolset")
"""Anthropic's server tools that clients request deliberately. Other server tools, such as searches,
are sent by default, in addition to the client's own."""
_DATE: Final = re.compile(r"_\d+$")


def check_tools_run(request: MessagesRequest) -> None:
    """Raise `RequestError` if the client relies on tools that only Anthropic's servers run."""
    tools: list[Json] = request.get("tools") or []
    wanted = [(i, tool) for i, tool in enumerate(tools) if _WANTED.match(str(tool.get("type")))]
    if not wanted and not any(map(is_client_tool, tools)):
        wanted = list(enumerate(tools))
    for i, tool in wanted:
        # The date is left out: some clients retry a request if digits in an error look like a
        # status.
        name = _DATE.sub("", tool["type"])
        raise RequestError(
            f"Copilot does not run the tool '{name}'.",
            param=f"tools[{i}]",
            code="unsupported_value",
            hint="Replace it with a tool that the client runs.",
        )


def drop_unsupported_tools(body: MessagesRequest, notes: list[str]) -> None:
    """Remove anything that Copilot does not support from the tools and tool choice of `body`."""
    tools: list[Json] = body.get("tools") or []
    for tool in tools:
        if not is_client_tool(tool):
            notes.append(f"dropped the tool {tool['type']}: {drop_reason(tool)}")
    # Copilot does not run the tool search, so tools that only the search could find are loaded
    # immediately.
    loads_all = any(map(is_hosted_search, tools))
    dropped_fields: set[str] = set()
    kept = [_tool(tool, dropped_fields, loads=loads_all) for tool in tools if is_client_tool(tool)]
    notes += [
        f"dropped {name} from tools: Copilot does not support it" for name in sorted(dropped_fields)
    ]
    if loads_all:
        check_tool_count(len(kept))
    check_choice(body, kept)
    if kept:
        body["tools"] = kept
    else:
        body.pop("tools", None)
        body.pop("tool_choice", None)


def drop_reason(tool: Json) -> str:
    """Return the reason for dropping one of Anthropic's tools."""
    if is_hosted_search(tool):
        return "Copilot does not run this search, so the model gets all tools"
    return "Copilot does not run it"


def check_choice(request: MessagesRequest, offered: list[Json]) -> None:
    """Raise `RequestError` if the model must call a tool that it is not offered."""
    choice = request.get("tool_choice") or {}
    name = choice.get("name")
    if choice.get("type") == "tool" and not name:
        raise RequestError("tool_choice.tool.name: Field required", param="tool_choice.name")
    if choice.get("type") == "tool" and all(tool.get("name") != name for tool in offered):
        raise RequestError(
            f"`tool_choice` forces a call to the tool {name!r}, which Copilot does not run, or "
            "which is not in `tools`.",
            param="tool_choice",
            code="unsupported_value",
            hint="Choose a tool that the client runs, or omit `tool_choice`.",
        )


def _tool(tool: Json, dropped_fields: set[str], *, loads: bool) -> Json:
    """Return a copy of the tool with the fields that Copilot accepts.

    With `loads`, the tool is loaded immediately instead of being deferred.
    """
    unknown = {name for name, value in tool.items() if name not in _FIELDS and value is not None}
    dropped_fields |= unknown
    kept = {name: v for name, v in tool.items() if name not in unknown and v is not None}
    if loads or not kept.get("defer_loading"):
        # Copilot only accepts the field with its beta, which is only sent if the field is true.
        kept.pop("defer_loading", None)
    return kept
