"""Encodes events as JSON that every client reads as a single line.

Some clients, such as Ollama's Python SDK, also end a line at three characters that JSON does not
require to be escaped.
"""

from typing import Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode
_ESCAPES: Final = {
    character.encode(): f"\\u{ord(character):04x}".encode() for character in "\u0085\u2028\u2029"
}


def encode_line(event: object) -> bytes:
    """Return `event` as JSON without characters that may end a line."""
    data = _encode(event)
    if data.isascii():
        return data
    for character, escape in _ESCAPES.items():
        data = data.replace(character, escape)
    return data
