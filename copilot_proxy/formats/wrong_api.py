"""Recognizes tools, fields and parts of an API other than the one that the client called.

Tools only differ in their notation, so tools of another API are converted. Fields and parts of
another API are refused; the error names the API they belong to, and what to send instead. If they
were dropped, the client would not get what it asked for.

Source: the API references of OpenAI and Anthropic.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.types import ClientRequest, Json

_PATHS: Final = {
    "chat_completions": "Chat Completions (/v1/chat/completions)",
    "responses": "the Responses API (/v1/responses)",
    "messages": "the Messages API (/v1/messages)",
    "completions": "the Completions API (/v1/completions)",
    "gemini": "the Gemini API (/v1beta/models/{model}:generateContent)",
}


class _Foreign(NamedTuple):
    """A field or part of another API."""

    api: str
    own: str
    """The equivalent field or part of the called API."""
    more: str = ""
    """How to use the equivalent, if that is not clear from its name."""


_SYSTEM: Final = "with a message that has the role `system`"
_BEGINNING: Final = "with the instructions at the beginning"

_FIELDS: Final[Mapping[str, Mapping[str, _Foreign]]] = {
    "chat_completions": {
        "input": _Foreign("responses", "messages"),
        "prompt": _Foreign("completions", "messages"),
        "contents": _Foreign("gemini", "messages"),
        "instructions": _Foreign("responses", "messages", _SYSTEM),
        "max_output_tokens": _Foreign("responses", "max_completion_tokens"),
        "text": _Foreign("responses", "response_format"),
        "system": _Foreign("messages", "messages", _SYSTEM),
        "stop_sequences": _Foreign("messages", "stop"),
    },
    "responses": {
        "messages": _Foreign("chat_completions", "input"),
        "contents": _Foreign("gemini", "input"),
        "max_tokens": _Foreign("chat_completions", "max_output_tokens"),
        "max_completion_tokens": _Foreign("chat_completions", "max_output_tokens"),
        "reasoning_effort": _Foreign("chat_completions", "reasoning", "with `effort`"),
        "response_format": _Foreign("chat_completions", "text", "with `format`"),
        "system": _Foreign("messages", "instructions"),
    },
    "messages": {
        "input": _Foreign("responses", "messages"),
        "prompt": _Foreign("completions", "messages"),
        "contents": _Foreign("gemini", "messages"),
        "instructions": _Foreign("responses", "system"),
        "max_output_tokens": _Foreign("responses", "max_tokens"),
        "max_completion_tokens": _Foreign("chat_completions", "max_tokens"),
        "reasoning_effort": _Foreign("chat_completions", "output_config", "with `effort`"),
        "response_format": _Foreign("chat_completions", "output_config", "with `format`"),
        "stop": _Foreign("chat_completions", "stop_sequences"),
    },
    "completions": {
        "messages": _Foreign("chat_completions", "prompt"),
        "input": _Foreign("responses", "prompt"),
        "contents": _Foreign("gemini", "prompt"),
        "instructions": _Foreign("responses", "prompt", _BEGINNING),
        "system": _Foreign("messages", "prompt", _BEGINNING),
    },
    "gemini": {
        "messages": _Foreign("chat_completions", "contents"),
        "input": _Foreign("responses", "contents"),
        "prompt": _Foreign("completions", "contents"),
        "instructions": _Foreign("responses", "systemInstruction"),
        "system": _Foreign("messages", "systemInstruction"),
    },
}
"""The fields of other APIs, by the API that was called. A field is refused only if its equivalent
is missing. If the equivalent also serves another purpose (`_ALWAYS`), the field is always
refused."""
_ALWAYS: Final = ("instructions", "system")

_PARTS: Final[Mapping[str, Mapping[str, _Foreign]]] = {
    "chat_completions": {
        "input_text": _Foreign("responses", "text"),
        "output_text": _Foreign("responses", "text"),
        "input_image": _Foreign("responses", "image_url"),
        "input_file": _Foreign("responses", "file"),
        "image": _Foreign("messages", "image_url", "with a data: URL"),
        "document": _Foreign("messages", "file"),
        "thinking": _Foreign("messages", "reasoning_content", "in the assistant's message"),
        "tool_use": _Foreign("messages", "tool_calls", "in the assistant's message"),
        "tool_result": _Foreign(
            "messages", "tool_call_id", "with a message that has the role `tool`"
        ),
    },
    "responses": {
        "image_url": _Foreign("chat_completions", "input_image"),
        "file": _Foreign("chat_completions", "input_file"),
        "image": _Foreign("messages", "input_image", "with a data: URL"),
        "document": _Foreign("messages", "input_file"),
        "tool_use": _Foreign("messages", "function_call", "as a separate item"),
        "tool_result": _Foreign("messages", "function_call_output", "as a separate item"),
    },
    "messages": {
        "input_text": _Foreign("responses", "text"),
        "output_text": _Foreign("responses", "text"),
        "input_image": _Foreign("responses", "image"),
        "input_file": _Foreign("responses", "document"),
        "image_url": _Foreign("chat_completions", "image"),
        "file": _Foreign("chat_completions", "document"),
    },
}
"""The content part types of other APIs, by the API that was called."""


def read_request(api: str, request: ClientRequest) -> None:
    """Convert the tools of other APIs in `request`, a newly decoded request of the client API
    `api`.

    Raises `RequestError` for a field of another API.
    """
    refuse_foreign_fields(api, request)
    reasoning = request.get("reasoning") if api == "chat_completions" else None
    if isinstance(reasoning, dict) and request.get("reasoning_effort") is None:
        # OpenRouter's notation; several clients use it for every server.
        request["reasoning_effort"] = reasoning.get("effort")
        del request["reasoning"]
    tools = request.get("tools")
    if isinstance(tools, list):
        request["tools"] = [_own_tool(api, tool) for tool in tools]
    choice: Any = request.get("tool_choice")
    if api == "chat_completions" and _is_flat_function(choice):
        request["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif api == "responses" and _is_nested_function(choice):
        request["tool_choice"] = {"type": "function", **choice["function"]}


def refuse_foreign_fields(api: str, request: ClientRequest) -> None:
    """Raise `RequestError` for a field of another API in a new request of the client API `api`."""
    if _FIELDS[api].keys().isdisjoint(request):
        return
    for name, foreign in _FIELDS[api].items():
        if request.get(name) is None:
            continue
        if name in _ALWAYS or request.get(foreign.own) is None:
            raise _refusal(api, name, f"`{name}` is a field of", foreign)


def is_foreign_part(api: str, part: Json) -> bool:
    """Return whether a content part, whose type is a string, belongs to another API."""
    return part.get("type") in _PARTS[api]


def check_part(api: str, part: Any, path: str) -> None:
    """Raise `RequestError` if a content part at `path` belongs to another API."""
    kind = part.get("type") if isinstance(part, dict) else None
    foreign = _PARTS[api].get(kind) if isinstance(kind, str) else None
    if foreign:
        raise _refusal(
            api, f"{path}.type", f"`{kind}` is a content type of", foreign, code="invalid_value"
        )


def _refusal(
    api: str, param: str, what: str, foreign: _Foreign, *, code: str = "unsupported_parameter"
) -> RequestError:
    called = _PATHS[api].partition(" (")[0]
    how = f"`{foreign.own}` {foreign.more}".rstrip()
    return RequestError(
        f"{what} {_PATHS[foreign.api]}, but this is {called}.",
        param=param,
        code=code,
        hint=f"Send {how} instead, or call that API.",
    )


def _own_tool(api: str, tool: Any) -> Any:
    """Return a function tool in the format of `api`, and any other tool unchanged."""
    if _is_nested_function(tool):
        function = tool["function"]
        schema = function.get("parameters")
    elif _is_flat_function(tool):
        function, schema = tool, tool.get("parameters")
    elif _is_anthropic(tool):
        function, schema = tool, tool.get("input_schema")
    else:
        return tool
    if _IS_OWN[api](tool):
        return tool
    name = "input_schema" if api == "messages" else "parameters"
    own = {
        "name": function.get("name"),
        "description": function.get("description"),
        name: schema,
        "strict": function.get("strict"),
    }
    own = {name: value for name, value in own.items() if value is not None}
    if api == "messages":
        return {"input_schema": {"type": "object", "properties": {}}, **own}
    return {"type": "function", **({"function": own} if api == "chat_completions" else own)}


def _is_nested_function(tool: Any) -> bool:
    return (
        isinstance(tool, dict)
        and tool.get("type", "function") == "function"
        and isinstance(tool.get("function"), dict)
    )


def _is_flat_function(tool: Any) -> bool:
    return (
        isinstance(tool, dict)
        and tool.get("type") == "function"
        and tool.get("function") is None
        and isinstance(tool.get("name"), str)
    )


def _is_anthropic(tool: Any) -> bool:
    return (
        isinstance(tool, dict)
        and tool.get("type") in (None, "custom")
        and isinstance(tool.get("input_schema"), dict)
        and isinstance(tool.get("name"), str)
    )


_IS_OWN: Final[Mapping[str, Callable[[Any], bool]]] = {
    "chat_completions": _is_nested_function,
    "responses": _is_flat_function,
    "messages": _is_anthropic,
}
