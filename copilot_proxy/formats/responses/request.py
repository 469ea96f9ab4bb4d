"""Checks a client's Responses request, and reads its initiator and its images.

A `RequestError` names the field as OpenAI does: ``input[0].content``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import parse_object
from copilot_proxy.formats.documents import check_file
from copilot_proxy.formats.images import check_url
from copilot_proxy.formats.initiator import TurnKind, initiator_of, user_turn
from copilot_proxy.formats.plain_turns import PlainTurns, newest_first
from copilot_proxy.formats.request_fields import refuse_fields
from copilot_proxy.formats.responses import schema
from copilot_proxy.formats.responses.plain_items import plain_request
from copilot_proxy.formats.responses.tools import ADDITIONAL, HOSTED, tools_of
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.stringified_results import unpack_results
from copilot_proxy.formats.types import Json, ResponsesRequest
from copilot_proxy.formats.wrong_api import check_part, read_request
from copilot_proxy.headers import Initiator

_ROLES: Final = ("user", "assistant", "system", "developer")
_IMAGES: Final = ("input_image", "computer_screenshot")
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
    "item_reference": ("id",),
}
"""The required fields of an item, by its type."""
COMPACTION_TRIGGER: Final = "compaction_trigger"
"""The type of the last item of a request to compact the conversation."""
_TOOL_LISTS: Final = (ADDITIONAL, "mcp_list_tools")
"""The types of items that list tools."""


def parse_request(body: bytes, *, may_be_empty: bool = False) -> ResponsesRequest:
    """Return the decoded request with all its fields; raises `RequestError` if it is invalid.

    It has at least one input item, unless it `may_be_empty`.
    """
    request = parse_object(body, read_plain=plain_request)
    read_request("responses", request)
    unpack_results("responses", request)
    may_be_empty = may_be_empty or request.get("previous_response_id") is not None
    if may_be_empty and request.get("input") is None:
        request["input"] = []
    check_request(request, may_be_empty=may_be_empty)
    return request


def parse_count_request(body: bytes) -> ResponsesRequest:
    """Return the decoded request for counting tokens, in which the model and the input may be
    missing; raises `RequestError` if it is invalid."""
    request = parse_object(body)
    read_request("responses", request)
    unpack_results("responses", request)
    for name, value in (("model", "default"), ("input", [])):
        if request.get(name) is None:
            request[name] = value
    check_request(request, may_be_empty=True)
    return request


def check_request(request: ResponsesRequest, *, may_be_empty: bool = False) -> None:
    """Raise `RequestError` for a request that no upstream could answer."""
    _check_unsupported(request)
    refuse_fields("responses", request)
    is_plain = isinstance(request.get("input"), PlainTurns)
    check_shape({**request, "input": []} if is_plain else request, schema.ResponsesRequest)
    if not request["model"]:
        raise _invalid("model", "The model name is empty.")
    if not request["input"] and not may_be_empty:
        raise _invalid("input", "At least one input item is needed.")
    _check_tools(request)
    if isinstance(request["input"], list) and not is_plain:
        for i, item in enumerate(request["input"]):
            if not _is_sound(item):
                _check_item(item, f"input[{i}]")
        for i, item in enumerate(request["input"][:-1]):
            if item.get("type") == COMPACTION_TRIGGER:
                raise _invalid(
                    f"input[{i}]",
                    f"A {COMPACTION_TRIGGER} has to be the last item.",
                    code="invalid_value",
                )


def _check_unsupported(request: ResponsesRequest) -> None:
    """Refuse fields that depend on what only OpenAI's servers store or do."""
    if request.get("conversation") is not None:
        raise _invalid(
            "conversation",
            "The conversation was not found: this server has no Conversations API.",
            code="conversation_not_found",
            hint="Use `previous_response_id`, or send the whole conversation in `input`.",
            status=404,
        )
    if request.get("background"):
        raise _invalid(
            "background",
            "Copilot does not support background responses.",
            code="unsupported_value",
            hint="Omit `background`; stream the response if it takes long.",
        )
    if request.get("prompt") is not None:
        raise _invalid(
            "prompt",
            "Stored prompts are not supported.",
            code="unsupported_parameter",
            hint="Send the prompt's text in `instructions`.",
        )


def _check_tools(request: ResponsesRequest) -> None:
    for i, tool in enumerate(request.get("tools") or ()):
        _check_tool(tool, f"tools[{i}]")
    items = request["input"]
    for i, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and ("tools" in item or item.get("type") == ADDITIONAL):
            _check_listed(item, f"input[{i}]")
    choice = request.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(kind, str) and kind in HOSTED:
        raise _not_run("tool_choice", kind)


def _check_listed(item: Json, path: str) -> None:
    """Check the tools that an item of the conversation adds."""
    if item.get("type") == ADDITIONAL and item.get("tools") is None:
        raise _missing(f"{path}.tools")
    if item.get("type") in (ADDITIONAL, "tool_search_output"):
        check_shape(item.get("tools") or [], list[schema.ResponsesTool], f"{path}.tools")
    for i, tool in enumerate(tools_of(item)):
        _check_tool(tool, f"{path}.tools[{i}]")


def _check_tool(tool: Json, path: str) -> None:
    kind = tool.get("type")
    if kind == "namespace":
        if not tool.get("tools"):
            raise _missing(f"{path}.tools")
        check_shape(tool["tools"], list[schema.ResponsesTool], f"{path}.tools")
    if kind in ("function", "custom", "namespace") and not tool.get("name"):
        raise _missing(f"{path}.name")
    if isinstance(kind, str) and HOSTED.get(kind) == "refuse":
        raise _not_run(f"{path}.type", kind)
    for i, inner in enumerate(tools_of(tool)):
        if inner.get("type") not in ("function", "custom"):
            raise _invalid(
                f"{path}.tools[{i}].type",
                f"Invalid '{path}.tools[{i}].type': expected function or custom.",
                code="invalid_value",
            )
        _check_tool(inner, f"{path}.tools[{i}]")


def _not_run(path: str, kind: str) -> RequestError:
    return _invalid(
        path,
        f"Copilot does not run the tool '{kind}'.",
        code="unsupported_value",
        hint="Offer a function instead, which the client runs.",
    )


def _is_sound(item: Json) -> bool:
    """Return whether an item is a call or result without any errors; false if in doubt."""
    if item.get("call_id") is None:
        return False
    kind = item.get("type")
    if kind == "function_call":
        return item.get("name") is not None and isinstance(item.get("arguments"), str)
    return kind == "function_call_output" and isinstance(item.get("output"), str)


def _check_item(item: Json, path: str) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        role = item.get("role")
        if role is None:
            raise _missing(f"{path}.role" if "type" in item else f"{path}.type")
        if role not in _ROLES:
            raise _invalid(
                f"{path}.role",
                f"Invalid '{path}.role': expected one of {', '.join(_ROLES)}.",
                code="invalid_value",
            )
        if item.get("content") is None:
            raise _missing(f"{path}.content")
    for name in _REQUIRED.get(kind, ()):
        if item.get(name) is None:
            raise _missing(f"{path}.{name}")
    if kind == "function_call" and not isinstance(item["arguments"], str):
        # The arguments of other types of calls may be an object.
        raise _invalid(
            f"{path}.arguments",
            f"Invalid type for '{path}.arguments': expected a string.",
            code="invalid_type",
        )
    for name in ("content", "output"):
        if isinstance(parts := item.get(name), list):
            _check_parts(parts, f"{path}.{name}")


def _check_parts(parts: list[Any], path: str) -> None:
    for i, part in enumerate(parts):
        check_part("responses", part, f"{path}[{i}]")
        match part.get("type"):
            case "input_text" | "output_text" | "text" if not isinstance(part.get("text"), str):
                raise _missing(f"{path}[{i}].text")
            case "refusal" if not isinstance(part.get("refusal"), str):
                raise _missing(f"{path}[{i}].refusal")
            case "input_image":
                _check_image(part.get("image_url"), f"{path}[{i}].image_url")
            case "input_file":
                check_file(part, f"{path}[{i}]")


def _check_image(url: object, path: str) -> None:
    if not isinstance(url, str):
        raise _invalid(
            path,
            "Copilot accepts images only as data: URLs, not as file ids.",
            code="missing_required_parameter",
            hint="Send the image itself, as a data: URL with base64.",
        )
    check_url(url, path)


def _missing(param: str) -> RequestError:
    return _invalid(
        param, f"Missing required parameter: '{param}'.", code="missing_required_parameter"
    )


def _invalid(
    param: str,
    message: str,
    *,
    code: str | None = None,
    hint: str | None = None,
    status: int | None = None,
) -> RequestError:
    return RequestError(message, param=param, code=code, hint=hint, status=status)


def input_items(request: ResponsesRequest) -> list[Json]:
    """Return the input as a list of items; a text becomes one user message."""
    value = request["input"]
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return value.decoded() if isinstance(value, PlainTurns) else list(value)


def initiator(request: ResponsesRequest) -> Initiator:
    """Return who started the request, by the rule of `headers.initiator`."""
    items = request["input"]
    turns = newest_first(items) if isinstance(items, PlainTurns) else reversed(input_items(request))
    return initiator_of(map(_turn, turns))


def _turn(item: Json) -> TurnKind | None:
    kind, role = item.get("type") or "message", item.get("role")
    if kind.endswith("_output"):
        return "results"
    if kind in _TOOL_LISTS or role in ("system", "developer"):
        return None
    is_user = kind == "message" and role == "user"
    return user_turn(item.get("content")) if is_user else "agent"


def count_images(request: ResponsesRequest) -> int:
    """Return the number of images in all items, including the outputs of calls."""
    items = request["input"]
    if isinstance(items, PlainTurns):
        return items.images
    return sum(part.get("type") in _IMAGES for part in _objects(items))


def _objects(value: Any) -> Iterator[Json]:
    """Yield the objects in `value`, at any depth of lists, `content` and `output`."""
    pending = [value]
    for one in pending:
        if isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            yield one
            for name in ("content", "output"):
                if name in one:
                    pending.append(one[name])
