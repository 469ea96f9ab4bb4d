"""Changes the tools of a Responses body for models that do not support all kinds of tools.

Each function changes the tools, the items and the tool choice together. The body's tools and items
must be copies; see `tool_lists.copy_tools`.
"""

from typing import Final

from copilot_proxy.formats.custom_tools import custom_arguments, function_of
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.responses.tool_lists import (
    add_tools,
    all_tools,
    copy_tools,
    namespaces_of,
    tool_holders,
    tool_key,
)
from copilot_proxy.formats.responses.tools import (
    ADDITIONAL,
    ToolNames,
    as_tool,
    item_list,
    tools_of,
)
from copilot_proxy.formats.types import Json, ResponsesRequest

_DESCRIPTION: Final = "About all the {namespace} tools: {description}"


def lift_additional_tools(body: ResponsesRequest) -> bool:
    """Move the tools of ``additional_tools`` items to ``tools``; return whether there were such
    items."""
    items = item_list(body)
    if not any(item.get("type") == ADDITIONAL for item in items):
        return False
    for item in items:
        if item.get("type") == ADDITIONAL:
            add_tools(body, list(tools_of(item)))
    given = body["input"]
    kept = [one for one in given if not isinstance(one, dict) or one.get("type") != ADDITIONAL]
    body["input"] = given.replaced(kept) if isinstance(given, PlainTurns) else kept
    return True


def flatten_namespaces(body: ResponsesRequest, names: ToolNames) -> bool:
    """Replace namespaces with their tools, under flat names; return whether there were
    namespaces."""
    has_namespaces = any(namespaces_of(body))
    for holder in tool_holders(body):
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
    """Convert custom tools and their calls to functions; return whether there were custom tools."""
    has_custom = any(tool.get("type") == "custom" for tool in all_tools(body))
    for holder in [*tool_holders(body), *namespaces_of(body)]:
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
    """Remove the tools that the tool choice does not allow; return whether any are left.

    Returns True if the tool choice is not a list of allowed tools.
    """
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return True
    lift_additional_tools(body)
    allowed = {tool_key(tool, tool.get("namespace")) for tool in tools_of(choice)}
    kept = []
    for tool in tools_of(body):
        namespace = tool.get("name") if tool.get("type") == "namespace" else None
        if tool_key(tool, None) in allowed:
            kept.append(tool)
        elif namespace is not None:
            inner = [one for one in tools_of(tool) if tool_key(one, namespace) in allowed]
            kept += [{**tool, "tools": inner}] if inner else []
    mode = choice.get("mode")
    body.update(tools=kept, tool_choice=mode if isinstance(mode, str) else "auto")
    return bool(kept)


def _flattened(tool: Json, names: ToolNames) -> list[Json]:
    if tool.get("type") != "namespace":
        return [tool]
    namespace, inner = tool.get("name"), list(tools_of(tool))
    for one in inner:
        if (client_tool := as_tool(one, namespace)) is not None:
            one["name"] = names.flat(client_tool)
    if inner and (description := tool.get("description")):
        # Only one of the tools gets the description of the namespace.
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
