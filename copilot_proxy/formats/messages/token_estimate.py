"""Collects what counts as tokens in a request, for an estimate without a call to Copilot.

The caller counts the tokens of the text. Each image counts as `IMAGE_TOKENS`, which errs on the
high side: Claude's own rule is width times height divided by 750, and at most 1600. Each document
that is not text, such as a PDF, counts as `DOCUMENT_TOKENS`, enough for one or two pages, since its
length is not known without reading it.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from copilot_proxy.formats.types import MessagesRequest

IMAGE_TOKENS: Final = 1600
DOCUMENT_TOKENS: Final = 3000

_TEXT_FIELDS: Final = ("text", "thinking", "name", "title", "context", "description")
_JSON_FIELDS: Final = ("input", "input_schema")
_NESTED_FIELDS: Final = ("content", "source")


def text_of(request: MessagesRequest) -> str:
    """Return all texts of the system prompt, the tools and the messages, in this order, joined by
    newlines."""
    sections = ("system", "tools", "messages")
    return "\n".join(text for section in sections for text in _texts(request.get(section)))


def media_tokens(request: MessagesRequest) -> int:
    """Return the estimated tokens of images and documents."""
    return sum(_media(request.get(section)) for section in ("system", "messages"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name in _TEXT_FIELDS:
            if isinstance(value.get(name), str):
                yield value[name]
        if value.get("type") == "text" and isinstance(value.get("data"), str):
            yield value["data"]  # the source of a document
        for name in _JSON_FIELDS:
            if name in value:
                yield msgspec.json.encode(value[name]).decode()
        for name in _NESTED_FIELDS:
            yield from _texts(value.get(name))


def _media(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_media, value))
    if not isinstance(value, dict):
        return 0
    block_type, source = value.get("type"), value.get("source")
    if block_type == "image":
        return IMAGE_TOKENS
    if block_type == "document" and isinstance(source, dict) and source.get("type") == "base64":
        return DOCUMENT_TOKENS
    return _media(value.get("content")) + _media(source)
