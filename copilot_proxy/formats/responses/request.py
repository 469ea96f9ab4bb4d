"""Reads a client's Responses request: is it one, who speaks last in it, does it hold an image.

Refusals are `RequestError` and name the field as OpenAI does: ``input[0].content``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from copilot_proxy import headers
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import MAX_TOOLS, check_shape, parse_object
from copilot_proxy.formats.images import image_hint
from copilot_proxy.formats.responses.schema import Json, ResponsesRequest
from copilot_proxy.formats.responses.tools import HANDLING, Toolbox, offered
from copilot_proxy.headers import Initiator, Turn

_ROLES: Final = ("user", "assistant", "system", "developer")
_WHOLE_INPUT: Final = "Nothing is stored here: send the whole conversation in `input` each time."
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
}
"""The fields without which an item says nothing."""
_TOOL_LISTS: Final = ("additional_tools", "mcp_list_tools")
"""Items that say which tools there are."""


def parse_request(body: bytes) -> Json:
    """The decoded request, checked against the schema, with all the fields it came with."""
    request = parse_object(body)
    check_request(request)
    return request


def check_request(request: Json) -> None:
    """Raises `RequestError` for what no upstream could answer."""
    _check_stored(request)
    check_shape(request, ResponsesRequest)
    if not request["model"]:
        raise _wrong("model", "The model's name is empty.")
    if not request["input"]:
        raise _wrong("input", "At least one input item is needed.")
    _check_tools(request)
    if isinstance(request["input"], list):
        for i, item in enumerate(request["input"]):
            _check_item(item, f"input[{i}]")


def _check_stored(request: Json) -> None:
    """Refuses what leans on earlier answers being stored."""
    previous = request.get("previous_response_id")
    if previous is not None:
        raise _wrong(
            "previous_response_id",
            f"Previous response with id '{str(previous)[:100]}' not found.",
            code="previous_response_not_found",
            hint=_WHOLE_INPUT,
        )
    if request.get("conversation") is not None:
        raise _wrong(
            "conversation",
            "The conversation was not found.",
            code="conversation_not_found",
            hint=_WHOLE_INPUT,
            status=404,
        )
    if request.get("background"):
        raise _wrong(
            "background",
            "Copilot does not answer in the background.",
            code="unsupported_value",
            hint="Leave `background` out, and stream the answer if it takes long.",
        )
    if request.get("prompt") is not None:
        raise _wrong(
            "prompt",
            "There are no stored prompts.",
            code="unsupported_parameter",
            hint="Send the prompt's text in `instructions`.",
        )


def _check_tools(request: Json) -> None:
    for i, tool in enumerate(request.get("tools") or ()):
        if HANDLING.get(tool["type"], "drop") != "drop" and not tool.get("name"):
            raise _missing(f"tools[{i}].name")
    count = len(Toolbox(offered(request)).functions)
    if count > MAX_TOOLS:
        raise _wrong(
            "tools",
            f"Copilot takes at most {MAX_TOOLS} tools, and the request has {count}.",
            code="array_above_max_length",
            hint="Turn some of the client's tools or MCP servers off.",
        )


def _check_item(item: Json, path: str) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        role = item.get("role")
        if role is None:
            raise _missing(f"{path}.role" if "type" in item else f"{path}.type")
        if role not in _ROLES:
            raise _wrong(
                f"{path}.role",
                f"Invalid '{path}.role': one of {', '.join(_ROLES)} is expected.",
                code="invalid_value",
            )
        if item.get("content") is None:
            raise _missing(f"{path}.content")
    for name in _NEEDED.get(kind, ()):
        if item.get(name) is None:
            raise _missing(f"{path}.{name}")
    if kind == "function_call" and not isinstance(item["arguments"], str):
        # Of other kinds of calls they may be an object.
        raise _wrong(
            f"{path}.arguments",
            f"Invalid type for '{path}.arguments': expected a text.",
            code="invalid_type",
        )
    _check_parts(item.get("content"), f"{path}.content")
    _check_parts(item.get("output"), f"{path}.output")


def _check_parts(parts: object, path: str) -> None:
    for i, part in enumerate(parts if isinstance(parts, list) else ()):
        match part.get("type"):
            case "input_text" | "output_text" if not isinstance(part.get("text"), str):
                raise _missing(f"{path}[{i}].text")
            case "input_image":
                _check_image(part.get("image_url"), f"{path}[{i}].image_url")


def _check_image(url: object, path: str) -> None:
    if not isinstance(url, str):
        raise _wrong(
            path,
            "Copilot takes an image as a data: URL only, not as the id of a file.",
            code="missing_required_parameter",
            hint="Send the image itself, as a data: URL with base64.",
        )
    if not url.startswith("data:"):
        raise _wrong(
            path,
            "Copilot does not fetch images from an address.",
            code="unsupported_value",
            hint=image_hint("Send the image itself, as a data: URL with base64", url),
        )


def _missing(param: str) -> RequestError:
    return _wrong(
        param, f"Missing required parameter: '{param}'.", code="missing_required_parameter"
    )


def _wrong(
    param: str,
    message: str,
    *,
    code: str | None = None,
    hint: str | None = None,
    status: int | None = None,
) -> RequestError:
    return RequestError(message, param=param, code=code, hint=hint, status=status)


def items(request: Json) -> list[Json]:
    """The input as a list of items; a text is one message of the user's."""
    given = request["input"]
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return list(given)


def initiator(request: Json) -> Initiator:
    """Who asked, by the rule of `headers.initiator`."""
    return headers.initiator(map(_turn, reversed(items(request))))


def _turn(item: Json) -> Turn | None:
    kind, role = item.get("type") or "message", item.get("role")
    if kind.endswith("_output"):
        return "results"
    if kind in _TOOL_LISTS or role in ("system", "developer"):
        return None
    is_user = kind == "message" and role == "user"
    return headers.user_turn(item.get("content")) if is_user else "agent"


def count_images(request: Json) -> int:
    """How many images the items hold, however old or nested; outputs of calls, too."""
    return sum(part.get("type") == "input_image" for part in _objects(request["input"]))


def _objects(value: Any) -> Iterator[Json]:
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            yield one
            pending += [one.get("content"), one.get("output")]
