"""Parses and validates a client's request, finds its initiator, and counts its images.

A request to ``/api/generate`` is converted to a request to ``/api/chat`` when it is parsed, and
marked so that its answer is in the format of ``/api/generate``.
"""

from collections.abc import Iterator
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.efforts import EFFORTS
from copilot_proxy.formats.initiator import TurnKind, initiator_of, user_turn
from copilot_proxy.formats.ollama.schema import (
    OllamaChatRequest,
    OllamaGenerateRequest,
    OllamaShowRequest,
)
from copilot_proxy.formats.request_fields import refuse_fields
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.tool_checks import check_tool_count
from copilot_proxy.formats.types import ClientRequest, Json
from copilot_proxy.headers import Initiator

_GENERATE: Final = "ollama_generate"
"""Marks a request to ``/api/generate``; never leaves the program."""
_PROMPT_FIELDS: Final = ("prompt", "system", "images")
"""The fields of ``/api/generate`` that become messages."""
_LEVELS: Final = ("low", "medium", "high")
"""The levels of ``think`` that Ollama documents; more are accepted."""


def parse_chat(body: bytes) -> ClientRequest:
    """Return the decoded and validated request to ``/api/chat``. Raises `RequestError`.

    `messages` is empty if the client only wants to load the model.
    """
    request = parse_object(body)
    request.pop(_GENERATE, None)
    messages = request.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and isinstance(message.get("role"), str):
            message["role"] = message["role"].lower()
    _check(request, OllamaChatRequest)
    request["messages"] = messages or []
    return request


def parse_generate(body: bytes) -> ClientRequest:
    """Return the decoded and validated request to ``/api/generate``, converted to ``/api/chat``.

    Raises `RequestError`. `messages` is empty if the client only wants to load the model.
    """
    request = parse_object(body)
    if request.pop("tools", None):
        raise RequestError(
            "/api/generate does not support tools.",
            param="tools",
            hint="Send the request to /api/chat.",
        )
    _check(request, OllamaGenerateRequest)
    question: Json = {"role": "user", "content": request.get("prompt") or ""}
    if request.get("images"):
        question["images"] = request["images"]
    messages = [{"role": "system", "content": request["system"]}] if request.get("system") else []
    messages.append(question)
    chat = {name: value for name, value in request.items() if name not in _PROMPT_FIELDS}
    has_prompt = bool(question["content"] or question.get("images"))
    return {**chat, "messages": messages if has_prompt else [], _GENERATE: True}


def parse_show(body: bytes) -> str:
    """Return the model name in a request to ``/api/show``. Raises `RequestError`."""
    request = parse_object(body)
    check_shape(request, OllamaShowRequest)
    name = request.get("model") or request.get("name")
    if not name:
        raise RequestError(
            "Missing required parameter: 'model'.",
            param="model",
            code="missing_required_parameter",
        )
    return str(name)


def is_generate(request: ClientRequest) -> bool:
    """Return whether the client called ``/api/generate``."""
    return request.get(_GENERATE) is True


def without_mark(request: ClientRequest) -> ClientRequest:
    """Return the request without the mark that `parse_generate` added."""
    return {name: value for name, value in request.items() if name != _GENERATE}


def initiator(request: ClientRequest) -> Initiator:
    """Return who caused the request; see `formats.initiator`."""
    return initiator_of(map(_turn, reversed(request["messages"])))


def _turn(message: Json) -> TurnKind | None:
    match message["role"]:
        case "system":
            return None
        case "user" if message.get("images"):
            return "user"
        case "user":
            return user_turn(message.get("content") or "")
        case "tool":
            return "results"
    return "agent"


def images_of(request: ClientRequest) -> Iterator[str]:
    """Yield all images of the conversation, as base64."""
    for message in request["messages"]:
        yield from message.get("images") or ()


def thinks(request: ClientRequest) -> bool:
    """Return whether the client asks the model to think."""
    return request.get("think") not in (None, False, "", "false", "none")


def _check(request: ClientRequest, schema: Any) -> None:
    """Validate a new request, and set the default of ``stream``. Raises `RequestError`."""
    refuse_fields("ollama", request)
    check_shape(request, schema)
    if not request["model"]:
        raise RequestError("The model name is empty.", param="model")
    check_tool_count(len(request.get("tools") or ()))
    output_format = request.get("format")
    if isinstance(output_format, str) and output_format not in ("", "json"):
        raise RequestError(
            f"Invalid 'format': {output_format[:100]!r} is neither 'json' nor a JSON schema.",
            param="format",
            code="invalid_value",
        )
    think = request.get("think")
    if isinstance(think, str) and think not in ("", "true", "false", *EFFORTS):
        raise RequestError(
            f"Invalid 'think': {think[:100]!r} is not true, false or one of {', '.join(_LEVELS)}.",
            param="think",
            code="invalid_value",
        )
    request["stream"] = request.get("stream") is not False
