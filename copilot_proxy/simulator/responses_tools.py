"""The tools of Responses requests: which kinds each model accepts, and their formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import catalogue, shared_rules
from .conversation import Search, Tool
from .refusal import copilot, invalid
from .types import Item, Model, OfferedTool, ResponsesRequest

if TYPE_CHECKING:
    from .call import Call

FIRST_VERSIONS = {
    "custom": 5.3,
    "namespace": 5.4,
    "tool_search": 5.4,
    "defer_loading": 5.4,
    "additional_tools": 6.1,
}
"""Kind or field of a tool -> the first GPT version that accepts it."""
WITH_CUSTOM = ("Microsoft",)
"""Vendors besides OpenAI whose models accept custom tools, such as the CLI's ``apply_patch``."""
CHOICES = ("none", "auto", "required")
SYNTAXES = ("lark", "regex")


def takes(model: Model, kind: str) -> bool:
    """Return whether a model accepts this kind of tool."""
    if kind == "custom" and model.get("vendor") in WITH_CUSTOM:
        return True
    return catalogue.gpt_version(model) >= FIRST_VERSIONS[kind]


def check(body: ResponsesRequest, items: list[Item], model: Model, call: Call) -> None:
    """Raise a 400 for tools, or a tool choice, that the model does not accept."""
    tools = body.get("tools") or []
    for item in items:
        if item.get("type") == "additional_tools":
            _additional(item, model)
            tools = [*tools, *item["tools"]]
    if len(tools) > shared_rules.MAX_TOOLS:
        raise invalid("Invalid 'tools': array too long.")
    for number, tool in enumerate(tools):
        _tool(number, tool, model, call)
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice not in CHOICES:
        raise copilot(
            400,
            f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.",
            "invalid_value",
            param="tool_choice",
        )
    if choice == "required" and not tools:
        raise invalid("tool_choice is set but no tools are offered")
    if isinstance(choice, dict):
        kind = choice.get("type")
        names = [one.name for one in offered(body, items) if one.custom is (kind == "custom")]
        if kind not in ("function", "custom") or choice.get("name") not in names:
            raise invalid("tool_choice names a tool that is not offered")


def offered(body: ResponsesRequest, items: list[Item]) -> list[Tool]:
    """Return all tools of a request, including those that items add or that a search loaded."""
    found = {}
    for definition in body.get("tools") or []:
        for tool in _flat(definition):
            found[tool.namespace, tool.name] = tool
    for item in items:
        if item.get("type") in ("additional_tools", "tool_search_output"):
            for definition in item["tools"]:
                for tool in _flat(definition, loaded=item["type"] == "tool_search_output"):
                    found[tool.namespace, tool.name] = tool
    return list(found.values())


def search_of(body: ResponsesRequest) -> Search | None:
    """Return the offer to search for tools, or None if the request has none."""
    for tool in body.get("tools") or []:
        if tool.get("type") == "tool_search":
            client = tool.get("execution") == "client"
            return Search(client=client, schema=tool.get("parameters") or {})
    return None


def _flat(tool: OfferedTool, *, loaded: bool = False) -> Iterator[Tool]:
    """Yield a function or custom tool, or the tools in a namespace."""
    kind = tool.get("type")
    members = tool.get("tools") or [] if kind == "namespace" else [tool]
    for one in members:
        if one.get("type") not in ("function", "custom"):
            continue
        format_ = one.get("format") or {}
        yield Tool(
            one["name"],
            one.get("parameters") or {},
            custom=one["type"] == "custom",
            grammar=format_ if format_.get("type") == "grammar" else None,
            namespace=tool["name"] if kind == "namespace" else None,
            deferred=bool(one.get("defer_loading")) and not loaded,
            definition=tool,
        )


def _additional(item: Item, model: Model) -> None:
    if not takes(model, "additional_tools"):
        raise invalid("unknown kind of input item: additional_tools")
    tools = item.get("tools")
    if item.get("role") != "developer" or not isinstance(tools, list) or not tools:
        raise invalid("additional_tools: role has to be developer, and tools a list")
    if not all(isinstance(tool, dict) for tool in tools):
        raise invalid("additional_tools: tools has to be a list of tools")


def _tool(number: int, tool: OfferedTool, model: Model, call: Call) -> None:
    kind = str(tool.get("type"))
    if kind == "function":
        shared_rules.check_tool(number, tool.get("name"), tool.get("parameters"))
    elif kind in FIRST_VERSIONS:
        if not takes(model, kind):
            raise invalid(f"The requested tool {kind} is not supported.")
        {"custom": _custom, "namespace": _namespace, "tool_search": _search}[kind](number, tool)
        for inner, one in enumerate(tool.get("tools") or []):
            if not isinstance(one, dict) or one.get("type") not in ("function", "custom"):
                raise invalid(f"tools[{number}].tools[{inner}]: must be a function or custom tool")
            _tool(inner, one, model, call)
    elif kind not in call.state.hosted_tools:
        raise invalid(f"The requested tool {kind} is not supported.")
    if "defer_loading" in tool and not takes(model, "defer_loading"):
        path = f"tools[{number}].defer_loading"
        raise copilot(400, f"Unknown parameter: '{path}'.", "unknown_parameter", param=path)


def _custom(number: int, tool: OfferedTool) -> None:
    shared_rules.check_tool(number, tool.get("name"), {"type": "object"})
    format_ = tool.get("format")
    if format_ is None:
        return
    if not isinstance(format_, dict) or format_.get("type") not in ("text", "grammar"):
        raise invalid(f"tools[{number}].format: unknown type")
    if format_["type"] == "grammar" and (
        format_.get("syntax") not in SYNTAXES or not isinstance(format_.get("definition"), str)
    ):
        raise invalid(f"tools[{number}].format: a grammar has a syntax and a definition")


def _namespace(number: int, tool: OfferedTool) -> None:
    shared_rules.check_tool(number, tool.get("name"), {"type": "object"})
    if not isinstance(tool.get("description"), str):
        raise invalid(f"Missing required parameter: 'tools[{number}].description'.")
    if not tool["description"]:
        raise invalid(
            f"Invalid 'tools[{number}].description': empty string. Expected a string with minimum "
            "length 1, but got an empty string instead."
        )
    if not isinstance(tool.get("tools"), list) or not tool["tools"]:
        raise invalid(f"Missing required parameter: 'tools[{number}].tools'.")


def _search(number: int, tool: OfferedTool) -> None:
    execution = tool.get("execution", "server")
    if execution not in ("server", "client"):
        raise invalid(f"tools[{number}].execution: has to be server or client")
    if execution == "server" and tool.get("parameters") is not None:
        raise invalid(f"tools[{number}].parameters: only for a search that the client runs")
