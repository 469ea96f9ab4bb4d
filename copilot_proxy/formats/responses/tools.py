"""Knows a request's tools: which of them Copilot takes, and under which names.

Copilot's models take functions. Custom tools, whose input is one text, become functions with one
text; namespaces become their tools, one by one; a search for tools that the client runs itself
becomes a function, and what it has found so far is offered with the rest. Calls are given back in
the client's own words.
"""

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple

import msgspec

from copilot_proxy.formats.responses.schema import Json

HANDLING: Final[Mapping[str, Literal["take", "function", "flatten", "drop"]]] = {
    "function": "take",
    # apply_patch of the Codex CLI is one.
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
"""What becomes of each kind of tool; one that is not listed is dropped."""

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DAMAGED: Final = re.compile(r"[^a-zA-Z0-9_-]")
_INPUT: Final = "The whole input of this tool as one text, exactly as the tool expects it."


_SEARCH: Final = "tool_search"

CALLS: Final[Mapping[str, str]] = {
    "function": "function_call",
    "custom": "custom_tool_call",
    "search": "tool_search_call",
}
"""The kind of item that a call is, by the kind of `Tool`."""


class Tool(NamedTuple):
    """A tool as the client knows it."""

    kind: Literal["function", "custom", "search"]
    name: str
    namespace: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether a call of it needs no other words for the client."""
        return self.kind == "function" and self.namespace is None


class Toolbox:
    """The tools of one request.

    `functions` are those that Copilot gets, in OpenAI's flat form; `dropped` the kinds it does
    not get. Tools of the kinds in `hosted` stay as they are: for an account whose models run them.
    """

    def __init__(self, tools: object, hosted: Collection[str] = ()) -> None:
        self.functions: list[Json] = []
        self.dropped: list[str] = []
        self._hosted = hosted
        self._tools: dict[str, Tool] = {}
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, dict):
                self._take(tool)

    @property
    def is_changed(self) -> bool:
        """Whether Copilot sees other tools than the client's."""
        return bool(self.dropped) or any(
            not tool.is_plain or tool.name != name for name, tool in self._tools.items()
        )

    def tool(self, name: str) -> Tool:
        """The client's tool that Copilot knows as `name`; one unheard of is a plain function."""
        return self._tools.get(name) or Tool("function", name)

    def choose(self, choice: object, notes: list[str]) -> tuple[list[Json], str | Json | None]:
        """The functions that may be called, and the choice among them, None for the default.

        A choice of several tools becomes fewer functions: Copilot does not have that form.
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
        if choice.get("type") in self._hosted:
            return self.functions, choice
        if choice.get("type") in ("function", "custom"):
            return self.functions, {"type": "function", "name": call_name(choice)}
        notes.append(f"dropped tool_choice: Copilot has no tool {choice.get('type')}")
        return self.functions, None

    def _take(self, tool: Json, namespace: str | None = None) -> None:
        kind = tool.get("type")
        kind = kind if isinstance(kind, str) else ""
        if kind in self._hosted:
            self.functions.append(tool)
            return
        handling = HANDLING.get(kind, "drop")
        if handling == "flatten" and namespace is None:
            inner = tool.get("tools")
            for one in inner if isinstance(inner, list) else ():
                if isinstance(one, dict):
                    self._take(one, _text(tool.get("name")))
            return
        if kind == _SEARCH and tool.get("execution") == "client":
            self._add(Tool("search", _SEARCH), _search(tool))
            return
        name = flat_name(namespace, _text(tool.get("name")))
        if handling == "take":
            known = Tool("function", _text(tool.get("name")), namespace)
            self._add(known, _function(tool, name))
        elif handling == "function":
            self._add(Tool("custom", _text(tool.get("name")), namespace), _custom(tool, name))
        elif kind not in self.dropped:
            self.dropped.append(kind)

    def _add(self, tool: Tool, function: Json) -> None:
        """Adds a function, once: what a search found may be found again."""
        name = function["name"]
        if name not in self._tools:
            self._tools[name] = tool
            self.functions.append(function)


def offered(request: Json, hosted: Collection[str] = ()) -> list[Json]:
    """The tools of a request, and those that the client's own searches have found on the way."""
    tools = list(request.get("tools") or ())
    given = request.get("input")
    if _SEARCH not in hosted:
        for item in given if isinstance(given, list) else ():
            if item.get("type") == "tool_search_output" and is_own_search(item):
                tools += _found(item)
    return tools


def is_own_search(item: Json) -> bool:
    """Whether an item is the call or the output of a search for tools that the client runs."""
    kinds = ("tool_search_call", "tool_search_output")
    return item.get("type") in kinds and isinstance(item.get("call_id"), str)


def search_as_function(item: Json) -> Json:
    """A call of such a search, or its output, in the words of the function that stands for it."""
    if item["type"] == "tool_search_call":
        arguments = item.get("arguments")
        text = arguments if isinstance(arguments, str) else _json(arguments or {})
        kind: Json = {"type": "function_call", "name": _SEARCH, "arguments": text}
    else:
        functions = Toolbox(_found(item)).functions
        told = [{"name": f["name"], "description": f.get("description")} for f in functions]
        kind = {"type": "function_call_output", "output": _json({"tools": told})}
    return {"call_id": item["call_id"], **kind}


def search_arguments(arguments: object) -> Json:
    """What a call of that function searches for, as the client has it: decoded."""
    try:
        decoded: Any = msgspec.json.decode(arguments) if isinstance(arguments, str) else None
    except (msgspec.DecodeError, RecursionError):
        decoded = None
    return decoded if isinstance(decoded, dict) else {}


def flat_name(namespace: str | None, name: str) -> str:
    """The name of a function for Copilot, which knows no namespaces and takes 64 characters."""
    joined = f"{namespace.removesuffix('__')}__{name}" if namespace else name
    if _NAME.fullmatch(joined) or not joined:
        return joined
    digest = sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_DAMAGED.sub('_', joined)[:55]}_{digest}"


def call_name(call: Json) -> str:
    """The name for Copilot of the function that a call of the client's words means."""
    namespace = call.get("namespace")
    return flat_name(namespace if isinstance(namespace, str) else None, _text(call.get("name")))


def custom_arguments(text: str) -> str:
    """The arguments of the function that stands for a custom tool with the input `text`."""
    return _json({"input": text})


def custom_input(arguments: str) -> str:
    """The input of a custom tool, from the arguments of the function that stands for it.

    A model that did not keep to the form has its words passed on as they are.
    """
    try:
        decoded: Any = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    text = decoded.get("input", "" if not decoded else None) if isinstance(decoded, dict) else None
    return text if isinstance(text, str) else arguments


def _function(tool: Json, name: str) -> Json:
    """A function whose parameters are a schema of an object, which Copilot insists on."""
    function = {key: v for key, v in tool.items() if v is not None and key != "defer_loading"}
    given = function.get("parameters")
    given = given if isinstance(given, dict) else {}
    kind = given.get("type") or "object"
    return {**function, "name": name, "parameters": {"properties": {}, **given, "type": kind}}


def _search(tool: Json) -> Json:
    """The function that stands for a search for tools."""
    function = {name: v for name, v in tool.items() if name in ("description", "parameters")}
    return _function({"type": "function", **function, "strict": False}, _SEARCH)


def _found(output: Json) -> list[Json]:
    tools = output.get("tools")
    return [one for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []


def _custom(tool: Json, name: str) -> Json:
    described = _INPUT
    form = tool.get("format")
    if isinstance(form, dict) and isinstance(form.get("definition"), str):
        described += f" It follows this {form.get('syntax')} grammar:\n{form['definition']}"
    function: Json = {
        "type": "function",
        "name": name,
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string", "description": described}},
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
