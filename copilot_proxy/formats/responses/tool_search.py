"""Replaces the tool search of a Responses body, for models that do not support it."""

from typing import Final

import msgspec

from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.responses.tool_lists import add_tools, all_tools, with_namespaces
from copilot_proxy.formats.responses.tools import (
    TOOL_SEARCH,
    ClientTool,
    ToolNames,
    as_tool,
    is_client_search,
    item_list,
    tools_of,
)
from copilot_proxy.formats.types import Json, ResponsesRequest

_SEARCHES: Final = ("tool_search_call", "tool_search_output")


def replace_tool_search(body: ResponsesRequest, names: ToolNames) -> tuple[bool, int]:
    """Turn a tool search that the client runs into a function.

    Deferred tools that the search has not found are left out. All tools are offered if the model
    was asked to run the search itself, which it cannot do. Returns whether the model was asked to
    run a search, now or earlier in the conversation, and the number of tools left out.
    """
    tools = list(tools_of(body))
    is_hosted = any(_is_hosted_search(tool) for tool in tools)
    deferred = 0
    if not is_hosted and any(tool.get("type") == TOOL_SEARCH for tool in tools):
        tools, deferred = _without_deferred(body, tools)
    if tools:
        body["tools"] = [
            _search_function(tool, names) if tool.get("type") == TOOL_SEARCH else tool
            for tool in tools
            if not _is_hosted_search(tool)
        ]
    items: list[Json] = []
    was_hosted = is_hosted
    for item in item_list(body):
        if item.get("type") not in _SEARCHES:
            items.append(item)
            continue
        if item["type"] == "tool_search_output":
            found = [tool for tool in tools_of(item) if tool.get("type") != TOOL_SEARCH]
            add_tools(body, found)
        if is_client_search(item):
            items.append(_search_item(item, names))
        else:
            was_hosted = True
    if not isinstance(body["input"], str | PlainTurns):
        body["input"] = items
    for tool in all_tools(body):
        tool.pop("defer_loading", None)
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and not is_hosted:
        body["tool_choice"] = _search_choice(choice, names)
        if "tools" in choice:
            body["tool_choice"]["tools"] = [_search_choice(o, names) for o in tools_of(choice)]
    return was_hosted, deferred


def _called_name(holder: Json, namespace: object = None) -> tuple[str, str]:
    """Return the namespace and name in a tool, call or choice, which may be malformed."""
    return str(namespace or holder.get("namespace")), str(holder.get("name"))


def _without_deferred(body: ResponsesRequest, tools: list[Json]) -> tuple[list[Json], int]:
    """Remove the deferred tools that were not found, called or chosen; return the remaining tools
    and the number removed."""
    choice = body.get("tool_choice")
    items = item_list(body)
    known = {_called_name(item) for item in items}
    known |= {_called_name(o, space) for item in items for o, space in with_namespaces(item)}
    if isinstance(choice, dict):
        known |= {_called_name(one) for one in (choice, *tools_of(choice))}
    kept: list[Json] = []
    removed = 0
    for tool in tools:
        is_space = tool.get("type") == "namespace"
        space = tool.get("name") if is_space else None
        own = list(tools_of(tool)) if is_space else [tool]
        offered = [o for o in own if not o.get("defer_loading") or _called_name(o, space) in known]
        removed += len(own) - len(offered)
        if is_space and offered:
            kept.append({**tool, "tools": offered})
        elif not is_space:
            kept += offered
    return kept, removed


def _is_hosted_search(tool: Json) -> bool:
    return tool.get("type") == TOOL_SEARCH and tool.get("execution") != "client"


def _search_function(tool: Json, names: ToolNames) -> Json:
    function = {name: v for name, v in tool.items() if name in ("description", "parameters")}
    name = names.flat(ClientTool("search", TOOL_SEARCH))
    return {"type": "function", "name": name, **function, "strict": False}


def _search_choice(choice: Json, names: ToolNames) -> Json:
    if choice.get("type") != TOOL_SEARCH:
        return {**choice}
    return {"type": "function", "name": names.flat(ClientTool("search", TOOL_SEARCH))}


def _search_item(item: Json, names: ToolNames) -> Json:
    """Return the call or output of a client's tool search as a function call or its output."""
    if item["type"] == "tool_search_call":
        arguments = item.get("arguments")
        return {
            "type": "function_call",
            "call_id": item["call_id"],
            "name": names.flat(ClientTool("search", TOOL_SEARCH)),
            "arguments": arguments if isinstance(arguments, str) else _json(arguments or {}),
        }
    found = [
        {"name": names.flat(tool)} | {k: v for k, v in definition.items() if k == "description"}
        for definition, namespace in with_namespaces(item)
        if (tool := as_tool(definition, namespace)) is not None
    ]
    output = _json({"tools": found})
    return {"type": "function_call_output", "call_id": item["call_id"], "output": output}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
