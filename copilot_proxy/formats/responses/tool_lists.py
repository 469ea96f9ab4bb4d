"""Finds the tools in a Responses body: in ``tools``, in namespaces, and in items that list them."""

from collections.abc import Iterator
from typing import Any, Final

from copilot_proxy.formats.responses.tools import ADDITIONAL, item_list, tools_of
from copilot_proxy.formats.types import Json, ResponsesRequest

_LISTING: Final = (ADDITIONAL, "tool_search_output")
"""The item types that list tools that the model may call."""


def copy_tools(tools: Any) -> list[Json]:
    """Return copies of the tools, including those in namespaces, without nulls."""
    copies = []
    for tool in tools_of({"tools": tools}):
        copy = {name: value for name, value in tool.items() if value is not None}
        if "tools" in copy:
            copy["tools"] = copy_tools(copy["tools"])
        copies.append(copy)
    return copies


def has_tools(item: Json) -> bool:
    """Return whether an item lists tools that the model may call."""
    return item.get("type") in _LISTING


def function_tools(body: ResponsesRequest, kind: str) -> list[Json]:
    """Return all tools whose type is `kind`, including those in namespaces and items."""
    return [tool for tool in all_tools(body) if tool.get("type") == kind]


def all_tools(body: ResponsesRequest) -> Iterator[Json]:
    """Yield all tools, including those in namespaces and items."""
    namespaces: list[Json] = []
    for holder in tool_holders(body):
        for tool in tools_of(holder):
            yield tool
            if tool.get("type") == "namespace":
                namespaces.append(tool)
    for namespace in namespaces:
        yield from tools_of(namespace)


def tool_holders(body: ResponsesRequest) -> list[Json]:
    """Return the body and the items that have ``tools``."""
    listing = [one for one in item_list(body) if one.get("type") in _LISTING]
    return [holder for holder in (body, *listing) if holder.get("tools")]


def namespaces_of(body: ResponsesRequest) -> Iterator[Json]:
    """Yield all namespaces, including those in items."""
    for holder in tool_holders(body):
        yield from (tool for tool in tools_of(holder) if tool.get("type") == "namespace")


def with_namespaces(holder: Json) -> Iterator[tuple[Json, str | None]]:
    """Yield each tool of the body, or of an item, with the name of its namespace. The name is None
    for tools outside of namespaces."""
    for tool in tools_of(holder):
        if tool.get("type") == "namespace":
            yield from ((inner, tool.get("name")) for inner in tools_of(tool))
        else:
            yield tool, None


def add_tools(body: ResponsesRequest, tools: list[Json]) -> None:
    """Add the tools that `body` does not have yet; two searches may find the same tool."""
    if not tools:
        return
    body["tools"] = known = list(tools_of(body))
    for tool in tools:
        same = next((one for one in known if tool_key(one, None) == tool_key(tool, None)), None)
        if same is None:
            known.append(tool)
        elif tool.get("type") == "namespace":
            add_tools(same, list(tools_of(tool)))


def tool_key(tool: Json, namespace: object) -> tuple[object, object, object]:
    """Return the type, namespace and name, which identify a tool."""
    return tool.get("type"), namespace, tool.get("name")
