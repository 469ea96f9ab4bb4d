"""Changes the tools of a Responses body for models that do not support all kinds of them.

Each function changes tools, items and tool choice together. The body's tools and items must be
copies; see `copy_tools`.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from copilot_proxy.formats.custom_tools import custom_arguments, function_of
from copilot_proxy.formats.responses.tools import (
    ADDITIONAL,
    TOOL_SEARCH,
    ClientTool,
    ToolNames,
    as_tool,
    is_client_search,
    item_list,
    tools_of,
)
from copilot_proxy.formats.types import Json, ResponsesRequest

_LISTING: Final = (ADDITIONAL, "tool_search_output")
"""The types of items that list tools which the model may call."""
_SEARCHES: Final = ("tool_search_call", "tool_search_output")
_DESCRIPTION: Final = "About all the {namespace} tools: {description}"


def copy_tools(tools: Any) -> list[Json]:
    """Return copies of tools and of those in namespaces, without nulls."""
    copies = []
    for tool in tools_of({"tools": tools}):
        copy = {name: value for name, value in tool.items() if value is not None}
        if "tools" in copy:
            copy["tools"] = copy_tools(copy["tools"])
        copies.append(copy)
    return copies


def has_tools(item: Json) -> bool:
    """Whether an item lists tools that the model may call."""
    return item.get("type") in _LISTING


def lift_additional_tools(body: ResponsesRequest) -> bool:
    """Move the tools of ``additional_tools`` items to ``tools``; return whether there were any."""
    items = item_list(body)
    if not any(item.get("type") == ADDITIONAL for item in items):
        return False
    for item in items:
        if item.get("type") == ADDITIONAL:
            _add_tools(body, list(tools_of(item)))
    body["input"] = [item for item in items if item.get("type") != ADDITIONAL]
    return True


def replace_tool_search(body: ResponsesRequest, names: ToolNames) -> tuple[bool, int]:
    """Turn a search that the client runs into a function, and offer only what it has found.

    Returns whether the model was asked to search by itself, which it cannot: then all tools are
    offered; and how many deferred tools are left out, since the client's search has not found them.
    """
    tools = list(tools_of(body))
    is_hosted = any(_is_hosted_search(tool) for tool in tools)
    deferred = 0
    if not is_hosted and any(tool.get("type") == TOOL_SEARCH for tool in tools):
        tools, deferred = _without_unfound(body, tools)
    if tools:
        body["tools"] = [
            _search_function(tool, names) if tool.get("type") == TOOL_SEARCH else tool
            for tool in tools
            if not _is_hosted_search(tool)
        ]
    items: list[Json] = []
    for item in item_list(body):
        if item.get("type") not in _SEARCHES:
            items.append(item)
            continue
        if item["type"] == "tool_search_output":
            _add_tools(body, list(tools_of(item)))
        if is_client_search(item):
            items.append(_search_item(item, names))
    if not isinstance(body["input"], str):
        body["input"] = items
    for tool in _all_tools(body):
        tool.pop("defer_loading", None)
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and not is_hosted:
        body["tool_choice"] = _search_choice(choice, names)
        if "tools" in choice:
            body["tool_choice"]["tools"] = [_search_choice(o, names) for o in tools_of(choice)]
    return is_hosted, deferred


def _called_name(holder: Json, namespace: object = None) -> tuple[str, str]:
    """Return the namespace and the name in a tool, a call or a choice, which may be malformed."""
    return str(namespace or holder.get("namespace")), str(holder.get("name"))


def _without_unfound(body: ResponsesRequest, tools: list[Json]) -> tuple[list[Json], int]:
    """Return the tools without the deferred ones that were not found, called or chosen, and
    the number of these."""
    choice = body.get("tool_choice")
    items = item_list(body)
    known = {_called_name(item) for item in items}
    known |= {_called_name(o, space) for item in items for o, space in _with_namespaces(item)}
    if isinstance(choice, dict):
        known |= {_called_name(one) for one in (choice, *tools_of(choice))}
    kept: list[Json] = []
    unfound = 0
    for tool in tools:
        is_space = tool.get("type") == "namespace"
        space = tool.get("name") if is_space else None
        own = list(tools_of(tool)) if is_space else [tool]
        offered = [o for o in own if not o.get("defer_loading") or _called_name(o, space) in known]
        unfound += len(own) - len(offered)
        if is_space and offered:
            kept.append({**tool, "tools": offered})
        elif not is_space:
            kept += offered
    return kept, unfound


def flatten_namespaces(body: ResponsesRequest, names: ToolNames) -> bool:
    """Replace namespaces by their tools, with flat names; return whether there were any."""
    has_namespaces = any(_namespaces(body))
    for holder in _holders(body):
        holder["tools"] = [one for tool in tools_of(holder) for one in _flattened(tool, names)]
    for item in item_list(body):
        if not names.is_plain or "namespace" in item:
            _flatten_name(item, names)
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        body["tool_choice"] = choice = {**choice}
        _flatten_name(choice, names)
        if "tools" in choice:
            choice["tools"] = copy_tools(choice["tools"])
            for tool in choice["tools"]:
                _flatten_name(tool, names)
    return has_namespaces


def replace_custom_tools(body: ResponsesRequest) -> bool:
    """Turn custom tools and their calls into functions; return whether there were any."""
    has_custom = any(tool.get("type") == "custom" for tool in _all_tools(body))
    for holder in [*_holders(body), *_namespaces(body)]:
        holder["tools"] = [_function_tool(tool) for tool in tools_of(holder)]
    for item in item_list(body):
        if item.get("type") == "custom_tool_call":
            item.update(type="function_call", arguments=custom_arguments(item.pop("input")))
        elif item.get("type") == "custom_tool_call_output":
            item["type"] = "function_call_output"
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        body["tool_choice"] = _function_choice(choice)
        if "tools" in choice:
            body["tool_choice"]["tools"] = [_function_choice(one) for one in tools_of(choice)]
    return has_custom


def apply_allowed_tools(body: ResponsesRequest) -> bool:
    """Reduce the tools to those that the tool choice allows; return whether some are left.

    Returns True if the tool choice is not one of several tools.
    """
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return True
    lift_additional_tools(body)
    allowed = {_key(tool, tool.get("namespace")) for tool in tools_of(choice)}
    kept = []
    for tool in tools_of(body):
        namespace = tool.get("name") if tool.get("type") == "namespace" else None
        if _key(tool, None) in allowed:
            kept.append(tool)
        elif namespace is not None:
            inner = [one for one in tools_of(tool) if _key(one, namespace) in allowed]
            kept += [{**tool, "tools": inner}] if inner else []
    mode = choice.get("mode")
    body.update(tools=kept, tool_choice=mode if isinstance(mode, str) else "auto")
    return bool(kept)


def function_tools(body: ResponsesRequest, kind: str) -> list[Json]:
    """Return all tools of one type, including those in namespaces and items."""
    return [tool for tool in _all_tools(body) if tool.get("type") == kind]


def _key(tool: Json, namespace: object) -> tuple[object, object, object]:
    return tool.get("type"), namespace, tool.get("name")


def _holders(body: ResponsesRequest) -> list[Json]:
    """Return the body and the items that have ``tools``."""
    given = body.get("input")
    items = given if isinstance(given, list) else []
    listing = [one for one in items if isinstance(one, dict) and one.get("type") in _LISTING]
    return [holder for holder in (body, *listing) if holder.get("tools")]


def _namespaces(body: ResponsesRequest) -> Iterator[Json]:
    for holder in _holders(body):
        yield from (tool for tool in tools_of(holder) if tool.get("type") == "namespace")


def _all_tools(body: ResponsesRequest) -> Iterator[Json]:
    """Yield all tools, those in namespaces and items included."""
    namespaces: list[Json] = []
    for holder in _holders(body):
        for tool in tools_of(holder):
            yield tool
            if tool.get("type") == "namespace":
                namespaces.append(tool)
    for namespace in namespaces:
        yield from tools_of(namespace)


def _add_tools(body: ResponsesRequest, tools: list[Json]) -> None:
    """Add tools that are not there yet: two searches may find the same one."""
    if not tools:
        return
    body["tools"] = known = list(tools_of(body))
    for tool in tools:
        same = next((one for one in known if _key(one, None) == _key(tool, None)), None)
        if same is None:
            known.append(tool)
        elif tool.get("type") == "namespace":
            _add_tools(same, list(tools_of(tool)))


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
    """Return the call or output of a client's tool search as a function's call or output."""
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
        for definition, namespace in _with_namespaces(item)
        if (tool := as_tool(definition, namespace)) is not None
    ]
    output = _json({"tools": found})
    return {"type": "function_call_output", "call_id": item["call_id"], "output": output}


def _with_namespaces(holder: Json) -> Iterator[tuple[Json, str | None]]:
    for tool in tools_of(holder):
        if tool.get("type") == "namespace":
            yield from ((inner, tool.get("name")) for inner in tools_of(tool))
        else:
            yield tool, None


def _flattened(tool: Json, names: ToolNames) -> list[Json]:
    if tool.get("type") != "namespace":
        return [tool]
    namespace, inner = tool.get("name"), list(tools_of(tool))
    for one in inner:
        if (client_tool := as_tool(one, namespace)) is not None:
            one["name"] = names.flat(client_tool)
    if inner and (description := tool.get("description")):
        # The model should see it, once.
        about = _DESCRIPTION.format(namespace=namespace, description=description)
        own = inner[0].get("description")
        inner[0]["description"] = f"{own}\n\n{about}" if own else about
    return inner


def _flatten_name(holder: Json, names: ToolNames) -> None:
    namespace = holder.pop("namespace", None)
    tool = as_tool(holder, namespace if isinstance(namespace, str) else None)
    if tool is not None and "name" in holder:
        holder["name"] = names.flat(tool)


def _function_tool(tool: Json) -> Json:
    if tool.get("type") != "custom":
        return tool
    others = {name: value for name, value in tool.items() if name == "defer_loading"}
    return {"type": "function", **function_of(tool), "strict": False, **others}


def _function_choice(choice: Json) -> Json:
    return {**choice, "type": "function"} if choice.get("type") == "custom" else {**choice}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
