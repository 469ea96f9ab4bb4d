"""Parses and validates a client's request, finds its initiator, and counts its images.

A `RequestError` names the invalid field the way OpenAI does: ``messages[0].content``.
"""

from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.legacy_functions import read_functions
from copilot_proxy.formats.chat_completions.plain_messages import PLAIN
from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest, ContentPart
from copilot_proxy.formats.documents import check_file
from copilot_proxy.formats.empty_values import drop_empty
from copilot_proxy.formats.images import checked_url
from copilot_proxy.formats.initiator import TurnKind, initiator_of, user_turn
from copilot_proxy.formats.plain_turns import PlainTurns, newest_first
from copilot_proxy.formats.request_fields import refuse_fields
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.stringified_results import unpack_results
from copilot_proxy.formats.tool_checks import FORCED, check_tool_count, no_tools
from copilot_proxy.formats.types import ChatRequest, Json
from copilot_proxy.formats.wrong_api import check_part, read_request
from copilot_proxy.headers import Initiator

_PARTS: Final = ("text", "image_url", "input_audio", "file", "refusal")
"""The types of content parts in OpenAI's schema."""


def parse_request(body: bytes) -> ChatRequest:
    """Return the decoded and validated request, with all its fields. Raises `RequestError`."""
    request = parse_object(body, read_plain=PLAIN.request)
    drop_empty("chat_completions", request)
    if isinstance(request.get("messages"), PlainTurns):
        read_request("chat_completions", request)
        _check_fields({**request, "messages": [_ANY_MESSAGE]})
        return request
    read_functions(request)
    read_request("chat_completions", request)
    unpack_results("chat_completions", request)
    check_request(request)
    return request


_ANY_MESSAGE: Final[Json] = {"role": "user", "content": ""}


def check_request(request: ChatRequest) -> None:
    """Raise `RequestError` if the request is invalid, or if no model could answer it."""
    _check_fields(request)
    # Paths are only built if there is something to check, because a conversation can be long.
    for i, message in enumerate(request["messages"]):
        content = message.get("content")
        if isinstance(content, list):
            path = f"messages[{i}].content"
            if message["role"] == "tool":
                _check_result(content, path)
            _check_parts(content, path)
        if calls := message.get("tool_calls"):
            for j, call in enumerate(calls):
                if call.get(_tool_kind(call)) is None:
                    raise _no_definition(call, f"messages[{i}].tool_calls[{j}]")


def _check_fields(request: ChatRequest) -> None:
    refuse_fields("chat_completions", request)
    try:
        check_shape(request, ChatCompletionRequest)
    except RequestError:
        _check_foreign_parts(request)
        raise
    if not request["model"]:
        raise _invalid("model", "The model name is empty.")
    if not request["messages"]:
        raise _invalid("messages", "At least one message is required.")
    n = request.get("n")
    if n is not None and n != 1:
        raise _invalid(
            "n",
            "Copilot returns one choice per request: only `n` = 1 is supported.",
            code="unsupported_value",
            hint="Send the request several times.",
        )
    _check_tools(request)


def _check_foreign_parts(request: ChatRequest) -> None:
    """Raise a `RequestError` for the first content part that belongs to another API."""
    messages = request.get("messages")
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for j, part in enumerate(content if isinstance(content, list) else ()):
            check_part("chat_completions", part, f"messages[{i}].content[{j}]")


def output_limit(chat: ChatRequest, notes: list[str]) -> int | None:
    """Return the output limit in tokens, if there is one.

    `max_completion_tokens` takes precedence over `max_tokens`, unless it is 0 or negative, which
    many clients send to mean no limit.
    """
    older, newer = chat.get("max_tokens"), chat.get("max_completion_tokens")
    if older is None or newer is None:
        return older if newer is None else newer
    if newer < 1 <= older:
        notes.append(f"dropped max_completion_tokens: {newer} is not a valid limit")
        return int(older)
    return int(newer)


def _check_tools(request: ChatRequest) -> None:
    tools = request.get("tools") or ()
    choice: Any = request.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind in FORCED and not tools:
        raise no_tools("tool_choice")
    check_tool_count(len(tools))
    for i, tool in enumerate(tools):
        if tool.get(_tool_kind(tool)) is None:
            raise _no_definition(tool, f"tools[{i}]")


def _tool_kind(tool: Json) -> str:
    """Return the name of the object that a tool or call must contain."""
    return "custom" if tool.get("type") == "custom" else "function"


def _no_definition(tool: Json, path: str) -> RequestError:
    param = f"{path}.{_tool_kind(tool)}"
    return _invalid(
        param, f"Missing required parameter: '{param}'.", code="missing_required_parameter"
    )


def _check_result(content: list[Any], path: str) -> None:
    """Check the parts of a tool result. Parts of unknown types are converted to text later."""
    for i, part in enumerate(content):
        kind = part.get("type")
        if not isinstance(kind, str):
            raise _invalid(
                f"{path}[{i}].type",
                f"Missing required parameter: '{path}[{i}].type'.",
                code="missing_required_parameter",
            )
        if kind in _PARTS:
            check_shape(part, ContentPart, f"{path}[{i}]")


def _check_parts(content: list[Any], path: str) -> None:
    for i, part in enumerate(content):
        match part["type"]:
            case "image_url":
                _check_image(part, f"{path}[{i}].image_url")
            case "file":
                check_file(part["file"], f"{path}[{i}].file")
            case "input_audio":
                raise _invalid(
                    f"{path}[{i}]",
                    "Copilot's models accept text, images and documents, but not audio.",
                    code="unsupported_value",
                    hint="Send a transcript instead.",
                )


def _check_image(part: Json, path: str) -> None:
    """Convert the URL of an image to its standard form."""
    image = part["image_url"]
    if isinstance(image, str):
        part["image_url"] = checked_url(image, path)
        return
    image["url"] = url = checked_url(image["url"], path)
    if "media_type" in image:
        image["media_type"] = url[len("data:") : url.index(";")]


def _invalid(
    param: str | None, message: str, *, code: str | None = None, hint: str | None = None
) -> RequestError:
    return RequestError(message, param=param, code=code, hint=hint)


def initiator(messages: list[Json]) -> Initiator:
    """Return who caused the request; see `formats.initiator`."""
    return initiator_of(map(_turn, newest_first(messages)))


def _turn(message: Json) -> TurnKind | None:
    match message["role"]:
        case "system" | "developer":
            return None
        case "user":
            return user_turn(message["content"])
        case "tool":
            return "results"
    return "agent"


def count_images(value: object) -> int:
    """Return the number of images in the messages, including nested images."""
    if isinstance(value, PlainTurns):
        return value.images
    count = 0
    pending = [value]
    for item in pending:
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            if item.get("type") in ("image_url", "input_image", "image"):
                count += 1
            elif not isinstance(content := item.get("content"), str):
                pending.append(content)
    return count
