"""Parses and validates a client's request, finds its initiator, and counts its images.

A `RequestError` names the field the way OpenAI does: ``input[0].content``.
"""

from collections.abc import Iterator
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.empty_values import drop_empty
from copilot_proxy.formats.initiator import TurnKind, initiator_of, user_turn
from copilot_proxy.formats.plain_turns import PlainTurns, newest_first
from copilot_proxy.formats.request_fields import refuse_fields
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.responses import schema
from copilot_proxy.formats.responses.item_checks import check_items, missing
from copilot_proxy.formats.responses.plain_items import PLAIN
from copilot_proxy.formats.responses.tools import ADDITIONAL, HOSTED, item_list, tools_of
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.stringified_results import unpack_results
from copilot_proxy.formats.tool_checks import FORCED, no_tools
from copilot_proxy.formats.types import Json, ResponsesRequest
from copilot_proxy.formats.wrong_api import read_request
from copilot_proxy.headers import Initiator

_IMAGES: Final = ("input_image", "computer_screenshot")
IMAGE_CALL: Final = "image_generation_call"
"""The type of an item with an image that OpenAI's servers generated, in ``result``."""
COMPACTION_TRIGGER: Final = "compaction_trigger"
"""The type of the last item in a request to compact the conversation."""
_TOOL_LISTS: Final = (ADDITIONAL, "mcp_list_tools")
"""The item types that list tools."""


def parse_request(body: bytes, *, may_be_empty: bool = False) -> ResponsesRequest:
    """Return the decoded request with all its fields. Raises `RequestError` if it is invalid.

    At least one input item is required, unless `may_be_empty` is True or the request continues an
    earlier response.
    """
    request = parse_object(body, read_plain=PLAIN.request)
    drop_empty("responses", request)
    read_request("responses", request)
    if not isinstance(request.get("input"), PlainTurns):
        unpack_results("responses", request)
    may_be_empty = may_be_empty or request.get("previous_response_id") is not None
    if may_be_empty and request.get("input") is None:
        request["input"] = []
    check_request(request, may_be_empty=may_be_empty)
    return request


def parse_count_request(body: bytes) -> ResponsesRequest:
    """Return the decoded request for counting tokens; the model and the input may be missing.

    Raises `RequestError` if the request is invalid.
    """
    request = parse_object(body)
    drop_empty("responses", request)
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
        raise _invalid("input", "At least one input item is required.")
    _check_tools(request)
    if isinstance(request["input"], list) and not is_plain:
        check_items(request["input"])
        for i, item in enumerate(request["input"][:-1]):
            if item.get("type") == COMPACTION_TRIGGER:
                raise _invalid(
                    f"input[{i}]",
                    f"A {COMPACTION_TRIGGER} must be the last item.",
                    code="invalid_value",
                )


def _check_unsupported(request: ResponsesRequest) -> None:
    """Reject fields that depend on data or features that only OpenAI's servers have."""
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
            hint="Omit `background`; stream the response if it takes a long time.",
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
    listing = [one for one in item_list(request) if "tools" in one or one.get("type") == ADDITIONAL]
    for item in listing:
        _check_listed(item, f"input[{request['input'].index(item)}]")
    choice = request.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if isinstance(kind, str) and kind in HOSTED:
        raise _not_run("tool_choice", kind)
    has_tools = request.get("tools") or any(item.get("tools") for item in listing)
    if kind in FORCED and not has_tools:
        raise no_tools("tool_choice")


def _check_listed(item: Json, path: str) -> None:
    """Check the tools that a conversation item adds."""
    if item.get("type") == ADDITIONAL and item.get("tools") is None:
        raise missing(f"{path}.tools")
    if item.get("type") in (ADDITIONAL, "tool_search_output"):
        check_shape(item.get("tools") or [], list[schema.ResponsesTool], f"{path}.tools")
    for i, tool in enumerate(tools_of(item)):
        _check_tool(tool, f"{path}.tools[{i}]")


def _check_tool(tool: Json, path: str) -> None:
    kind = tool.get("type")
    if kind == "namespace":
        if not tool.get("tools"):
            raise missing(f"{path}.tools")
        check_shape(tool["tools"], list[schema.ResponsesTool], f"{path}.tools")
    if kind in ("function", "custom", "namespace") and not tool.get("name"):
        raise missing(f"{path}.name")
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
        hint="Replace it with a function that the client runs.",
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
    """Return the input as a list of items; a string becomes a single user message."""
    value = request["input"]
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return value.decoded() if isinstance(value, PlainTurns) else list(value)


def initiator(request: ResponsesRequest) -> Initiator:
    """Return who caused the request; see `formats.initiator`."""
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
    return sum(map(_is_image, _objects(items)))


def _is_image(value: Json) -> bool:
    kind = value.get("type")
    return kind in _IMAGES or (kind == IMAGE_CALL and bool(value.get("result")))


def _objects(value: Any) -> Iterator[Json]:
    """Yield the objects in `value`, including those nested in lists, `content` and `output`."""
    pending = [value]
    for one in pending:
        if isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            yield one
            for name in ("content", "output"):
                if name in one:
                    pending.append(one[name])
