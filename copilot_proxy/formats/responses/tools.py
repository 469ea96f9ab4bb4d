"""Maps a client's tools to functions for Copilot, and maps calls back to the client's tools.

Copilot's models only support functions. A custom tool, whose input is one text, becomes a function
with one text argument. A namespace becomes the functions in it. A tool search that the client runs
becomes a function, and so do the tools that it has found so far.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from copilot_proxy.formats.types import Json, ResponsesRequest

HANDLING: Final[Mapping[str, Literal["pass", "function", "flatten", "drop"]]] = {
    "function": "pass",
    # For example, apply_patch of the Codex CLI.
    "custom": "function",
    # How newer clients group the tools of an MCP server.
    "namespace": "flatten",
    "web_search": "drop",
    "web_search_preview": "drop",
    "file_search": "drop",
    "code_interpreter": "drop",
    "image_generation": "drop",
    "computer": "drop",
    "computer_use_preview": "drop",
    "mcp": "drop",
    "local_shell": "drop",
    "shell": "drop",
    "apply_patch": "drop",
    # Unless the client runs it, as the Codex CLI does.
    "tool_search": "drop",
    "programmatic_tool_calling": "drop",
}
"""What is done with each type of tool; a type that is not listed is dropped."""

_INPUT_DESCRIPTION: Final = (
    "The whole input of this tool as one text, exactly as the tool expects it."
)

_TOOL_SEARCH: Final = "tool_search"

CALL_TYPES: Final[Mapping[str, str]] = {
    "function": "function_call",
    "custom": "custom_tool_call",
    "search": "tool_search_call",
}
"""The item type of a call, by the `kind` of the tool."""


class Tool(NamedTuple):
    """A tool as the client knows it."""

    kind: Literal["function", "custom", "search"]
    name: str
    namespace: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether calls of it reach the client as Copilot sends them."""
        return self.kind == "function" and self.namespace is None


class ToolMapping:
    """The tools of one request, by the names of the functions that represent them.

    `functions` are sent to Copilot: ``{"type": "function", "name", "parameters", …}``. `dropped`
    are the types of the tools that are not sent.
    """

    def __init__(self, tools: object) -> None:
        self.functions: list[Json] = []
        self.dropped: list[str] = []
        self._tools: dict[str, Tool] = {}
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, dict):
                self._add_tool(tool)

    @property
    def is_changed(self) -> bool:
        """Whether the tools sent to Copilot differ from the client's."""
        return bool(self.dropped) or any(
            not tool.is_plain or tool.name != name for name, tool in self._tools.items()
        )

    def client_tool(self, name: str) -> Tool:
        """Return the client's tool for the function `name`; an unknown one is a plain function."""
        return self._tools.get(name) or Tool("function", name)

    def apply_choice(
        self, choice: object, notes: list[str]
    ) -> tuple[list[Json], str | Json | None]:
        """Return the functions that may be called and the `tool_choice`, None for the default.

        A choice of several tools reduces the functions, since Copilot does not support that form.
        """
        if choice is None or isinstance(choice, str):
            return self.functions, choice
        if not isinstance(choice, dict):
            return self.functions, None
        if choice.get("type") == "allowed_tools":
            tools = choice.get("tools")
            allowed = {call_name(t) for t in tools or () if isinstance(t, dict)}
            mode = choice.get("mode")
            return [f for f in self.functions if f.get("name") in allowed], (
                mode if isinstance(mode, str) else "auto"
            )
        if choice.get("type") in ("function", "custom"):
            return self.functions, {"type": "function", "name": call_name(choice)}
        notes.append(f"dropped tool_choice: Copilot does not support {choice.get('type')}")
        return self.functions, None

    def _add_tool(self, tool: Json, namespace: str | None = None) -> None:
        kind = tool.get("type")
        kind = kind if isinstance(kind, str) else ""
        handling = HANDLING.get(kind, "drop")
        if handling == "flatten" and namespace is None:
            inner = tool.get("tools")
            for one in inner if isinstance(inner, list) else ():
                if isinstance(one, dict):
                    self._add_tool(one, _text(tool.get("name")))
            return
        if kind == _TOOL_SEARCH and tool.get("execution") == "client":
            self._add_function(Tool("search", _TOOL_SEARCH), _search_function(tool))
            return
        name = _text(tool.get("name"))
        function_name = flat_name(namespace, name)
        if handling == "pass":
            self._add_function(Tool("function", name, namespace), _function(tool, function_name))
        elif handling == "function":
            function = _custom_function(tool, function_name)
            self._add_function(Tool("custom", name, namespace), function)
        elif kind not in self.dropped:
            self.dropped.append(kind)

    def _add_function(self, tool: Tool, function: Json) -> None:
        """Add a function unless its name is known: two searches may find the same tool."""
        name = function["name"]
        if name not in self._tools:
            self._tools[name] = tool
            self.functions.append(function)


def available_tools(request: ResponsesRequest) -> list[Json]:
    """Return the tools of a request, and those that the client's own searches have found so far."""
    tools = list(request.get("tools") or ())
    items = request.get("input")
    for item in items if isinstance(items, list) else ():
        if item.get("type") == "tool_search_output" and is_client_search(item):
            tools += _found_tools(item)
    return tools


def is_client_search(item: Json) -> bool:
    """Return whether an item is the call or the output of a tool search that the client runs."""
    kinds = ("tool_search_call", "tool_search_output")
    return item.get("type") in kinds and isinstance(item.get("call_id"), str)


def search_to_function_item(item: Json) -> Json:
    """Return the call or output of a client's tool search as a function's call or output."""
    if item["type"] == "tool_search_call":
        arguments = item.get("arguments")
        text = arguments if isinstance(arguments, str) else _json(arguments or {})
        fields: Json = {"type": "function_call", "name": _TOOL_SEARCH, "arguments": text}
    else:
        functions = ToolMapping(_found_tools(item)).functions
        tools = [{"name": f["name"], "description": f.get("description")} for f in functions]
        fields = {"type": "function_call_output", "output": _json({"tools": tools})}
    return {"call_id": item["call_id"], **fields}


def parse_search_arguments(arguments: object) -> Json:
    """Return the decoded arguments of a tool search call; ``{}`` if they are not an object."""
    try:
        decoded: Any = msgspec.json.decode(arguments) if isinstance(arguments, str) else None
    except (msgspec.DecodeError, RecursionError):
        decoded = None
    return decoded if isinstance(decoded, dict) else {}


def flat_name(namespace: str | None, name: str) -> str:
    """Return the name of a function for Copilot, which does not support namespaces."""
    return f"{namespace.removesuffix('__')}__{name}" if namespace else name


def call_name(call: Json) -> str:
    """Return Copilot's name of the function for a client's call or choice of a tool."""
    namespace = call.get("namespace")
    return flat_name(namespace if isinstance(namespace, str) else None, _text(call.get("name")))


def custom_arguments(text: str) -> str:
    """Return the arguments, as JSON, of the function for a custom tool with the input `text`."""
    return _json({"input": text})


def custom_input(arguments: str) -> str:
    """Return the input of a custom tool, from the arguments of the function that stands for it.

    Arguments that do not have the function's form are returned unchanged.
    """
    try:
        decoded: Any = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    text = decoded.get("input", "" if not decoded else None) if isinstance(decoded, dict) else None
    return text if isinstance(text, str) else arguments


def _function(tool: Json, name: str) -> Json:
    """Return a function in OpenAI's flat form, as a copy."""
    function = {key: v for key, v in tool.items() if v is not None and key != "defer_loading"}
    return {**function, "name": name}


def _search_function(tool: Json) -> Json:
    function = {name: v for name, v in tool.items() if name in ("description", "parameters")}
    return _function({"type": "function", **function, "strict": False}, _TOOL_SEARCH)


def _found_tools(output: Json) -> list[Json]:
    tools = output.get("tools")
    return [one for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []


def _custom_function(tool: Json, name: str) -> Json:
    input_description = _INPUT_DESCRIPTION
    form = tool.get("format")
    if isinstance(form, dict) and isinstance(form.get("definition"), str):
        input_description += f" It follows this {form.get('syntax')} grammar:\n{form['definition']}"
    function: Json = {
        "type": "function",
        "name": name,
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string", "description": input_description}},
            "required": ["input"],
            "additionalProperties": False,
        },
        "strict": False,
    }
    if description := _text(tool.get("description")):
        function["description"] = description
    return function


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
