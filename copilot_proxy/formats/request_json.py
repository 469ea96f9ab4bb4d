"""Decodes the JSON of a client's request, whatever its API, within limits of size."""

from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any, Final

import msgspec

from copilot_proxy.catalogue import MAX_NAME_LENGTH
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.conversation import FIELDS
from copilot_proxy.formats.large_json import LARGE, MAX_VALUES, check_value_count, decode_large
from copilot_proxy.formats.lenient_json import decode_leniently
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.types import Json

_QUICK: Final = 1280 * 1024
"""Bytes of a body below which it can be decoded before its values are counted: that takes at most
25 ms, whatever it has. Counting takes almost as long as decoding a usual conversation."""


def parse_json(body: bytes, max_values: int = MAX_VALUES) -> Any:
    """Decode a JSON body, which may begin with a byte order mark; raises `RequestError` if it is
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
            raise RequestError(f"The body is not valid JSON: {error}.") from None


def parse_object(
    body: bytes,
    max_values: int = MAX_VALUES,
    read_plain: Callable[[bytes], Json | None] | None = None,
) -> Json:
    """Decode a body that must be a JSON object with at most `max_values` values.

    `read_plain` reads long requests with a plain conversation, and returns None for others. Raises
    `RequestError` if it is no object, or if ``model`` is longer than `MAX_NAME_LENGTH`.
    """
    body = body.removeprefix(BOM_UTF8)
    request = read_plain(body) if read_plain is not None and len(body) < _QUICK else None
    # At most two of three bytes outside of texts begin a value: "[],[],[]".
    if (len(body) - _text_size(request)) * 2 // 3 > max_values:
        check_value_count(body, max_values)
    if request is None and read_plain is not None and len(body) >= _QUICK:
        request = read_plain(body)
    if request is None:
        request = parse_json(body, len(body))
    if not isinstance(request, dict):
        raise RequestError("The body must be a JSON object.")
    _check_model_name(request.get("model"))
    return request


def _text_size(request: Json | None) -> int:
    """Return how many bytes of a plain request are surely texts, in which no values begin."""
    turns = [request[name] for name in FIELDS if name in request] if request is not None else []
    return sum(one.text_size for one in turns if isinstance(one, PlainTurns))


def _check_model_name(name: object) -> None:
    """Raise `RequestError` for a name that is too long to be compared or logged."""
    if isinstance(name, str) and len(name) > MAX_NAME_LENGTH:
        raise RequestError(
            f"The model name has {len(name)} characters; the maximum is {MAX_NAME_LENGTH}.",
            param="model",
            code="string_above_max_length",
            hint="Use one of the names that GET /v1/models lists.",
        )
