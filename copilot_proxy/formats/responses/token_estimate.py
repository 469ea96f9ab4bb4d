"""Collects what counts as tokens in a Responses request, for an estimate without a model.

Images and documents count as in `messages.token_estimate`. Encrypted reasoning does not count,
since its length says little about the model's tokens.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from copilot_proxy.formats.messages.token_estimate import DOCUMENT_TOKENS, IMAGE_TOKENS
from copilot_proxy.formats.types import ResponsesRequest

_TEXT_FIELDS: Final = ("text", "refusal", "name", "description", "arguments", "input")
_NESTED_FIELDS: Final = ("content", "output", "summary", "tools", "format")
_JSON_FIELDS: Final = ("parameters", "schema")
_SECTIONS: Final = ("instructions", "tools", "text", "input")
_IMAGES: Final = ("input_image", "computer_screenshot")


def text_of(request: ResponsesRequest) -> str:
    """Return all texts of the instructions, the tools, the output format and the items, in this
    order, joined by newlines."""
    return "\n".join(text for section in _SECTIONS for text in _texts(request.get(section)))


def media_tokens(request: ResponsesRequest) -> int:
    """Return the estimated tokens of images and documents."""
    return _media(request.get("input"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name in _TEXT_FIELDS:
            if isinstance(value.get(name), str):
                yield value[name]
        for name in _JSON_FIELDS:
            if value.get(name) is not None:
                yield msgspec.json.encode(value[name]).decode()
        for name in _NESTED_FIELDS:
            yield from _texts(value.get(name))


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
