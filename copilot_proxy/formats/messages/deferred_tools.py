"""Decides which deferred tools to offer to a model that has no tool search.

A deferred tool is offered once a search has found it. Clients that run the search themselves, such
as Claude Code, return references: ``{"type": "tool_reference", "tool_name"}``.
"""

from collections.abc import Iterator

from copilot_proxy.formats.messages.request import is_client_tool
from copilot_proxy.formats.rules.tool_kinds import deferred_tools_note
from copilot_proxy.formats.types import Json, MessagesRequest

_TOOL_SEARCH = "tool_search_tool"


def is_hosted_search(tool: Json) -> bool:
    """Return whether the tool is a search that Anthropic runs."""
    return str(tool.get("type")).startswith(_TOOL_SEARCH)


def offered_tools(request: MessagesRequest, notes: list[str]) -> list[Json]:
    """Return the client's tools that the model may call.

    If the tool search is Anthropic's, all tools are offered, because Copilot does not run that
    search.
    """
    tools: list[Json] = request.get("tools") or []
    own = [tool for tool in tools if is_client_tool(tool)]
    deferred = sum(bool(tool.get("defer_loading")) for tool in own)
    if deferred in (0, len(own)) or any(map(is_hosted_search, tools)):
        return own
    found = set(_names_in_use(request))
    offered = [tool for tool in own if not tool.get("defer_loading") or tool["name"] in found]
    if len(offered) < len(own):
        notes.append(deferred_tools_note(len(own) - len(offered)))
    return offered


def _names_in_use(request: MessagesRequest) -> Iterator[object]:
    """Yield the names of the tools that were found or called, or that the model must call."""
    yield (request.get("tool_choice") or {}).get("name")
    for message in request["messages"]:
        content = message["content"]
        for block in content if isinstance(content, list) else ():
            if block["type"] == "tool_use":
                yield block["name"]
            elif block["type"] == "tool_result":
                inner = block.get("content")
                for part in inner if isinstance(inner, list) else ():
                    if part["type"] == "tool_reference":
                        yield part.get("tool_name")
