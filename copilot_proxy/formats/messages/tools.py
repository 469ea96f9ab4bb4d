"""Tools and the choice among them, as Copilot's Claude takes them."""

from typing import Final

from copilot_proxy.formats.messages.request import is_own_tool
from copilot_proxy.formats.messages.schema import Json

_TAKEN: Final = ("name", "description", "input_schema", "cache_control", "type", "defer_loading")
"""The fields of a tool that Copilot takes; with any other it may refuse the request."""

_SEARCH: Final = "tool_search_tool"


def settle_tools(body: Json, notes: list[str]) -> None:
    """Takes from `tools` and `tool_choice` of `body` what Copilot refuses, in place."""
    tools: list[Json] = body.get("tools") or []
    for tool in tools:
        if not is_own_tool(tool):
            notes.append(f"dropped the tool {tool['type']}: Copilot does not run it")
    searched = any(str(tool.get("type")).startswith(_SEARCH) for tool in tools)
    stripped: set[str] = set()
    kept = [_tool(tool, stripped, loads=searched) for tool in tools if is_own_tool(tool)]
    notes += [f"dropped {name} of tools: Copilot does not take it" for name in sorted(stripped)]
    if kept:
        body["tools"] = kept
    else:
        body.pop("tools", None)
    _settle_choice(body, notes)


def _tool(tool: Json, stripped: set[str], *, loads: bool) -> Json:
    """A copy of what Copilot takes of the tool; `loads` tells that nothing is left to find it
    with."""
    unknown = {name for name, value in tool.items() if name not in _TAKEN and value is not None}
    stripped |= unknown
    kept = {name: v for name, v in tool.items() if name not in unknown and v is not None}
    if loads or not kept.get("defer_loading"):
        # Copilot takes the field with its beta alone, which goes along where it says true.
        kept.pop("defer_loading", None)
    return kept


def _settle_choice(body: Json, notes: list[str]) -> None:
    choice = body.get("tool_choice")
    if choice is None:
        return
    names = [tool.get("name") for tool in body.get("tools") or ()]
    if not names:
        del body["tool_choice"]
    elif choice.get("type") == "tool" and choice.get("name") not in names:
        del body["tool_choice"]
        notes.append(f"dropped tool_choice: there is no tool {choice.get('name')!r} any more")
