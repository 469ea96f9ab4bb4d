"""Parses and validates a client's request, finds its initiator, and counts its images.

The path names the model, and says whether to stream the answer; `parse_call` adds both to the
request, as ``model`` and ``stream``. A `RequestError` names the invalid field:
``contents[0].parts[1].text``.
"""

from collections.abc import Iterator
from typing import Any, Final

from copilot_proxy.catalogue import MAX_NAME_LENGTH
from copilot_proxy.errors import RequestError
from copilot_proxy.formats import documents, images
from copilot_proxy.formats.gemini import schema
from copilot_proxy.formats.gemini.field_names import with_google_names
from copilot_proxy.formats.gemini.parts import check_place
from copilot_proxy.formats.gemini.tools import check_tools, functions
from copilot_proxy.formats.images import image_hint
from copilot_proxy.formats.initiator import TurnKind, initiator_of, user_turn
from copilot_proxy.formats.request_fields import refuse_fields
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.tool_checks import check_tool_count
from copilot_proxy.formats.types import ClientRequest, Json
from copilot_proxy.formats.wrong_api import refuse_foreign_fields
from copilot_proxy.headers import Initiator

GeminiRequest = ClientRequest
"""A Gemini request: `schema.GenerateContentRequest`, with ``model`` and ``stream``."""

MODEL_ROLE: Final = "model"
_ROLES: Final = ("user", MODEL_ROLE, "", "function", "tool")
"""An empty role means the user. Older clients use the last two roles for results."""
_PREFIX: Final = "models/"
JSON_ARRAY: Final = "jsonArray"
"""The field that marks a request whose stream should be an array instead of server-sent events."""
_OTHER_MEDIA: Final = ("audio/", "video/")


def model_name(name: object) -> str:
    """Return a model's name without Google's prefix.

    Raises `RequestError` if the name is empty or too long.
    """
    name = name.removeprefix(_PREFIX) if isinstance(name, str) else ""
    if len(name) > MAX_NAME_LENGTH:
        raise RequestError(
            f"The model name has {len(name)} characters; the maximum is {MAX_NAME_LENGTH}.",
            param="model",
            code="string_above_max_length",
            hint="Use one of the names that GET /v1beta/models lists.",
        )
    if not name:
        raise RequestError("The model name is empty.", param="model")
    return name


def parse_call(
    body: bytes, model: str, *, stream: bool = False, as_array: bool = False
) -> GeminiRequest:
    """Decode and check the body of a request to generate content with `model`.

    With `as_array`, the stream is an array. Raises `RequestError`.
    """
    request = with_google_names(parse_object(body))
    request["model"] = model_name(model)
    request["stream"] = stream
    if stream and as_array:
        request[JSON_ARRAY] = True
    check_request(request)
    return request


def parse_count(body: bytes, model: str) -> GeminiRequest:
    """Decode and validate a request to count tokens. Raises `RequestError`.

    The body has either ``contents`` or a whole request in ``generateContentRequest``.
    """
    request = with_google_names(parse_object(body))
    check_shape(request, schema.GeminiCountTokensRequest)
    inner = request.get("generateContentRequest")
    if inner is not None:
        if request.get("contents"):
            raise RequestError(
                "`contents` and `generateContentRequest` cannot both be set.", param="contents"
            )
        request = inner
    request["model"], request["stream"] = model_name(model), False
    check_request(request, counting=True)
    return request


def check_request(request: GeminiRequest, *, counting: bool = False) -> None:
    """Validate a request whose names have been normalized. Raises `RequestError`."""
    refuse_foreign_fields("gemini", request)
    refuse_fields("gemini", request, counting=counting)
    check_shape(request, schema.GenerateContentRequest)
    if not request["contents"]:
        raise RequestError("`contents` is empty: at least one entry is required.", param="contents")
    for i, content in enumerate(request["contents"]):
        role = content.get("role") or ""
        if role not in _ROLES:
            raise RequestError(
                f"The role {role[:50]!r} is not valid: use `user` or `model`.",
                param=f"contents[{i}].role",
                code="invalid_value",
            )
        place = MODEL_ROLE if role == MODEL_ROLE else "user"
        _check_parts(content, place, f"contents[{i}]")
    if request.get("systemInstruction"):
        _check_parts(request["systemInstruction"], "system", "systemInstruction")
    check_tools(request)
    check_tool_count(len(functions(request)))


def _check_parts(content: Json, place: str, path: str) -> None:
    for j, part in enumerate(content.get("parts") or ()):
        at = f"{path}.parts[{j}]"
        check_place(part, place, at)
        _check_part(part, at)
        result = part.get("functionResponse")
        for k, inner in enumerate((result or {}).get("parts") or ()):
            _check_part(inner, f"{at}.functionResponse.parts[{k}]")


def _check_part(part: Json, path: str) -> None:
    if (file := part.get("fileData")) is not None:
        raise RequestError(
            "Copilot does not fetch files from URIs or from Google's Files API.",
            param=f"{path}.fileData",
            code="unsupported_value",
            hint=image_hint("Send the data itself, in inlineData", file.get("fileUri")),
        )
    blob = part.get("inlineData")
    if blob is None:
        return
    media_type = blob["mimeType"].strip().lower()
    if media_type.startswith(_OTHER_MEDIA):
        raise RequestError(
            "Copilot's models accept text, images and documents, but neither audio nor video.",
            param=f"{path}.inlineData",
            code="unsupported_value",
            hint="Send a transcript or individual images instead.",
        )
    is_pdf = media_type == documents.PDF
    if media_type.startswith("image/") or (not is_pdf and images.is_image(blob["data"])):
        images.check_blob(blob, f"{path}.inlineData")
    else:
        documents.check_blob(blob, f"{path}.inlineData")


def is_image(part: Json) -> bool:
    """Return whether a part of a request is an image."""
    blob = part.get("inlineData")
    return isinstance(blob, dict) and str(blob.get("mimeType")).lower().startswith("image/")


def all_parts(request: GeminiRequest) -> Iterator[Json]:
    """Yield all parts of a validated request, including those in function results."""
    for content in (request.get("systemInstruction") or {}, *request["contents"]):
        for part in content.get("parts") or ():
            yield part
            yield from (part.get("functionResponse") or {}).get("parts") or ()


def count_images(request: GeminiRequest) -> int:
    """Return the number of images in a validated request."""
    return sum(map(is_image, all_parts(request)))


def initiator(request: GeminiRequest) -> Initiator:
    """Return who caused a validated request; see `formats.initiator`."""
    return initiator_of(map(_turn, reversed(request["contents"])))


def _turn(content: Json) -> TurnKind | None:
    parts = content.get("parts") or []
    if content.get("role") == MODEL_ROLE:
        return "agent"
    has_result = any(part.get("functionResponse") is not None for part in parts)
    words: list[dict[str, Any]] = [
        {"type": "text", "text": part["text"]}
        if part.get("text") is not None
        else {"type": "inlineData"}
        for part in parts
        # Next to a function's result, parts other than text belong to the result.
        if not has_result or part.get("text")
    ]
    if has_result:
        return "user" if user_turn(words) == "user" else "results"
    return user_turn(words) if words else None
