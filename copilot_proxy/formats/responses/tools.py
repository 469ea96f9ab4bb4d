"""The client's tools in a Responses request, and the flat names that represent them.

Models on other APIs only support functions and custom tools, without namespaces. For these models,
a tool in a namespace is given a name that combines both names, and a tool search that the client
runs becomes a function.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple

import msgspec

from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.types import Json, ResponsesRequest

HOSTED: Final[Mapping[str, str]] = {
    "web_search": "drop",
    "web_search_preview": "drop",
    # Codex and other clients offer these with every request.
    "image_generation": "drop",
    "programmatic_tool_calling": "drop",
    "file_search": "refuse",
    "code_interpreter": "refuse",
    "mcp": "refuse",
}
"""The tools that OpenAI's servers run, but Copilot's do not.

Tools that clients offer by default are dropped with a note. The other tools are refused, because a
client that asks for one relies on it.
"""

ADDITIONAL: Final = "additional_tools"
"""The type of an item that adds tools for the rest of the conversation."""
TOOL_SEARCH: Final = "tool_search"
CALL_TYPES: Final[Mapping[str, str]] = {
    "function": "function_call",
    "custom": "custom_tool_call",
    "search": "tool_search_call",
}
"""Tool `kind` -> item type of a call."""
_HASH_LENGTH: Final = 8

ToolKind = Literal["function", "custom", "search"]


class ClientTool(NamedTuple):
    """A tool as the client knows it."""

    kind: ToolKind
    name: str
    namespace: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the client receives calls to the tool as Copilot sends them."""
        return self.kind == "function" and self.namespace is None


class ToolNames:
    """The flat names of the client's tools.

    `is_plain` is True if all tools are functions in ``tools``, outside of namespaces.
    """

    def __init__(self, request: ResponsesRequest) -> None:
        self._tools: dict[str, ClientTool] = {}
        self._names: dict[ClientTool, str] = {}
        own = list(tools_of(request))
        lists = [item for item in item_list(request) if "tools" in item]
        later = [tool for item in lists for tool in tools_of(item)]
        self.is_plain = not later and all(tool.get("type") == "function" for tool in own)
        spaces = [tool for tool in (*own, *later) if tool.get("type") == "namespace"]
        # Tools outside of namespaces come first, because their names are sent unchanged.
        for tool in (*own, *later):
            if tool.get("type") != "namespace":
                self._add(tool, None)
        for space in spaces:
            for inner in tools_of(space):
                self._add(inner, _text(space.get("name")))

    def client_tool(self, name: str) -> ClientTool:
        """Return the client's tool with this flat name; an unknown name is a plain function."""
        return self._tools.get(name) or ClientTool("function", name)

    def flat(self, tool: ClientTool) -> str:
        """Return the flat name of a tool, even if the tool was only used earlier in the
        conversation."""
        return self._names.get(tool) or _joined(tool)

    def _add(self, definition: Json, namespace: str | None) -> None:
        tool = as_tool(definition, namespace)
        if tool is None or tool in self._names:
            return
        name = _joined(tool)
        if name in self._tools:
            # Two tools must not share a name. The new name depends only on the tool.
            digest = sha256(repr(tuple(tool)).encode("utf-8", "surrogatepass")).hexdigest()
            name = f"{name}_{digest[:_HASH_LENGTH]}"
        self._tools[name] = tool
        self._names[tool] = name


def as_tool(definition: Json, namespace: str | None = None) -> ClientTool | None:
    """Return the client's tool that a definition, call or choice refers to, or None if there is
    none."""
    kind = definition.get("type")
    if kind == TOOL_SEARCH:
        return (
            ClientTool("search", TOOL_SEARCH) if definition.get("execution") == "client" else None
        )
    if kind in ("function", "function_call"):
        return ClientTool("function", _text(definition.get("name")), namespace)
    if kind in ("custom", "custom_tool_call"):
        return ClientTool("custom", _text(definition.get("name")), namespace)
    return None


def item_list(request: ResponsesRequest) -> list[Json]:
    """Return the input items that are decoded JSON, or an empty list if the input is a string."""
    items = request.get("input")
    if isinstance(items, PlainTurns):
        return items.objects
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def tools_of(holder: Json) -> Iterator[Json]:
    """Yield the tools in a request, a namespace, or an item that lists tools."""
    tools = holder.get("tools")
    return (tool for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, dict))


def is_client_search(item: Json) -> bool:
    """Return whether an item is a call or output of a tool search that the client runs."""
    kinds = ("tool_search_call", "tool_search_output")
    return item.get("type") in kinds and isinstance(item.get("call_id"), str)


def parse_search_arguments(arguments: object) -> Json:
    """Return the decoded arguments of a tool search call, or ``{}`` if they are not an object."""
    try:
        decoded: Any = msgspec.json.decode(arguments) if isinstance(arguments, str) else None
    except (msgspec.DecodeError, RecursionError):
        decoded = None
    return decoded if isinstance(decoded, dict) else {}


def _joined(tool: ClientTool) -> str:
    if not tool.namespace:
        return tool.name
    return f"{tool.namespace.removesuffix('__')}__{tool.name}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
