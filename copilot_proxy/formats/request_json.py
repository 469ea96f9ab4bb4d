"""Decodes the JSON of client requests for any API, within size limits."""

from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any

import msgspec

from copilot_proxy.catalogue import MAX_NAME_LENGTH
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.large_json import LARGE, MAX_VALUES, check_value_count, decode_large
from copilot_proxy.formats.lenient_json import decode_leniently
from copilot_proxy.formats.types import Json


def parse_json(body: bytes, max_values: int = MAX_VALUES) -> Any:
    """Decode a JSON body, which may start with a byte order mark. Raises `RequestError` if it is
    not JSON, or has more than `max_values` values."""
    body = body.removeprefix(BOM_UTF8)
    if len(body) > max_values:
        check_value_count(body, max_values)
    if not body.strip():
        raise RequestError("The request has no body; a JSON object is required.")
    try:
        return decode_large(body, _decoded) if len(body) >= LARGE else _decoded(body)
    except RecursionError:
        raise RequestError("The body is nested too deeply.") from None


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            return decode_leniently(body, strict=True)
        except ValueError:
            is_cut = str(error).startswith("Input data was truncated")
            hint = "Send the complete body; Content-Length counts bytes, not characters."
            message = f"The body is not valid JSON: {error}."
            raise RequestError(message, hint=hint if is_cut else None) from None


def parse_object(
    body: bytes,
    max_values: int = MAX_VALUES,
    read_plain: Callable[[bytes], Json | None] | None = None,
) -> Json:
    """Decode a body that must be a JSON object with at most `max_values` values.

    `read_plain` parses long requests with a plain conversation, and returns None for others. Raises
    `RequestError` if the body is not an object, or if ``model`` is longer than `MAX_NAME_LENGTH`.
    """
    body = body.removeprefix(BOM_UTF8)
    request = read_plain(body) if read_plain is not None else None
    if request is None:
        request = parse_json(body, max_values)
    if not isinstance(request, dict):
        raise RequestError("The body must be a JSON object.")
    _check_model_name(request.get("model"))
    return request


def _check_model_name(name: object) -> None:
    """Raise `RequestError` for a name that is too long to compare or log."""
    if isinstance(name, str) and len(name) > MAX_NAME_LENGTH:
        raise RequestError(
            f"The model name has {len(name)} characters; the maximum is {MAX_NAME_LENGTH}.",
            param="model",
            code="string_above_max_length",
            hint="Use one of the names that GET /v1/models lists.",
        )
