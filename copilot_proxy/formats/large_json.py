"""Decodes and encodes large JSON bodies in many short steps.

A step that holds Python's global lock stops all other threads, and its duration grows with its
input. Therefore, the number of values is limited, and long strings are decoded and encoded in small
parts.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError

MAX_VALUES: Final = 200_000
"""Maximum number of values in a body, counted as commas and opening brackets outside of strings."""
LARGE: Final = 4 * 1024 * 1024
"""Minimum size, in bytes, of a body that is searched for long strings."""
_LONG: Final = 1024 * 1024
"""Minimum size, in bytes, of a string that is decoded and encoded in parts."""
_PIECE: Final = 256 * 1024
"""Size of a part in bytes; even, so that a part of only backslashes does not split an escape."""

_SEPARATORS: Final = b",[{"
_IN_STRING: Final = re.compile(rb'(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+', re.DOTALL)
_LOW_SURROGATE: Final = re.compile(rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_ESCAPE_LENGTH: Final = 6

Decode = Callable[[bytes], Any]


def check_value_count(body: bytes, limit: int) -> None:
    """Raise `RequestError` (413) if a body has more than `limit` values."""
    pieces = (body[i : i + _PIECE] for i in range(0, len(body), _PIECE))
    if sum(len(piece) - len(piece.translate(None, _SEPARATORS)) for piece in pieces) <= limit:
        return  # the limit is not exceeded, even if all separators are outside of strings
    if _value_count(body, limit) > limit:
        raise RequestError(
            f"The body has more than {limit:,} values (messages, parts, fields, numbers).",
            status=413,
            code="request_too_large",
            hint="Send a shorter conversation, or several requests.",
        )


def _value_count(body: bytes, limit: int) -> int:
    """Return the number of separators outside of strings; counting stops above `limit`."""
    count = position = 0
    is_inside = 0
    while position < len(body) and count <= limit:
        chunk = body[position : position + _PIECE]
        if len(chunk) == _PIECE:
            # Backslashes at the end belong to the character that they escape.
            chunk = chunk.rstrip(b"\\") or chunk
        position += len(chunk)
        parts = chunk.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[is_inside::2])
        count += len(outside) - len(outside.translate(None, _SEPARATORS))
        is_inside ^= (len(parts) - 1) & 1
    return count


def decode_large(body: bytes, decode: Decode) -> Any:
    """Return the result of ``decode(body)``, decoding long strings in parts.

    `decode` decodes JSON. Its exceptions are propagated, including those for invalid JSON.
    """
    strings = list(_long_strings(body))
    if not strings:
        return decode(body)
    name = secrets.token_hex(8)
    parts: list[bytes] = []
    texts: dict[str, str] = {}
    position = 0
    for number, ends in enumerate(strings):
        placeholder = f"{name}{number}"
        parts += [body[position : ends[0]], placeholder.encode()]
        pieces = pairwise(ends)
        texts[placeholder] = "".join([decode(b'"%b"' % body[a:b]) for a, b in pieces])
        position = ends[-1]
    return _replaced(decode(b"".join([*parts, body[position:]])), texts)


def _long_strings(body: bytes) -> Iterator[list[int]]:
    """For each long string, yield the start of each part and the end of the last part."""
    position = body.find(b'"') + 1
    while position:
        ends = [position]
        while (end := _piece_end(body, ends[-1])) > ends[-1]:
            ends.append(end)
        if body[ends[-1] : ends[-1] + 1] != b'"':
            return  # not JSON
        if ends[-1] - ends[0] >= _LONG:
            yield ends
        position = body.find(b'"', ends[-1] + 1) + 1


def _piece_end(body: bytes, start: int) -> int:
    """Return the end of a part of a string, without splitting a character or an escape."""
    match = _IN_STRING.match(body, start, start + _PIECE)
    end = match.end() if match else start
    while end > start and body[end : end + 1] and body[end] & 0xC0 == 0x80:
        end -= 1
    if end > start and _LOW_SURROGATE.match(body, end):
        end += _ESCAPE_LENGTH
    return end


def _replaced(value: Any, texts: dict[str, str]) -> Any:
    """Return decoded JSON in which each placeholder is replaced with its text in `texts`."""
    if isinstance(value, str):
        return texts.get(value, value)
    if isinstance(value, list):
        return [_replaced(item, texts) for item in value]
    if isinstance(value, dict):
        return {texts.get(name, name): _replaced(item, texts) for name, item in value.items()}
    return value


def encode_json(value: Any, size: int) -> bytes:
    """Return `value` as JSON; `size` is the expected number of bytes.

    Long strings in a large value are encoded in parts.
    """
    return msgspec.json.encode(encode_strings(value) if size >= LARGE else value)


def encode_request(body: dict[str, Any], size: int) -> bytes:
    """Return a request body as JSON; `size` is the expected number of bytes.

    Raises `RequestError` if the body is nested too deeply.
    """
    try:
        return encode_json(body, size)
    except RecursionError:
        raise RequestError("The body is nested too deeply.") from None


def encode_strings(value: Any) -> Any:
    """Return `value` with its long strings already encoded, as `msgspec.Raw`."""
    if isinstance(value, str) and len(value) >= _LONG // 4:  # characters take up to four bytes
        starts = range(0, len(value), _PIECE // 4)
        pieces = [msgspec.json.encode(value[i : i + _PIECE // 4])[1:-1] for i in starts]
        return msgspec.Raw(b"".join([b'"', *pieces, b'"']))
    if isinstance(value, list):
        return [encode_strings(item) for item in value]
    if isinstance(value, dict):
        return {name: encode_strings(item) for name, item in value.items()}
    return value
