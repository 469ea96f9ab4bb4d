"""Collects the text that counts as tokens in a Responses request; see `formats.token_estimate`.

Encrypted reasoning is not counted, because its length says little about the number of tokens.
"""

from typing import Any, Final

from copilot_proxy.formats.token_estimate import (
    DOCUMENT_TOKENS,
    IMAGE_TOKENS,
    CountedFields,
    texts,
)
from copilot_proxy.formats.types import ResponsesRequest

_FIELDS: Final = CountedFields(
    text=("text", "refusal", "name", "description", "arguments", "input"),
    json=("parameters", "schema"),
    nested=("content", "output", "summary", "tools", "format"),
)
_SECTIONS: Final = ("instructions", "tools", "text", "input")
_IMAGES: Final = ("input_image", "computer_screenshot")


def text_of(request: ResponsesRequest) -> str:
    """Return all text of the instructions, tools, output format and items, joined by newlines."""
    return "\n".join(text for section in _SECTIONS for text in texts(request.get(section), _FIELDS))


def media_tokens(request: ResponsesRequest) -> int:
    """Return the estimated number of tokens in images and documents."""
    return _media(request.get("input"))


def _media(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_media, value))
    if not isinstance(value, dict):
        return 0
    if value.get("type") in _IMAGES:
        return IMAGE_TOKENS
    if value.get("type") == "input_file":
        return DOCUMENT_TOKENS
    return _media(value.get("content")) + _media(value.get("output"))
