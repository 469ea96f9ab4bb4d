"""Collects the text that counts as tokens in a Messages request; see `formats.token_estimate`."""

from typing import Any, Final

from copilot_proxy.formats.token_estimate import (
    DOCUMENT_TOKENS,
    IMAGE_TOKENS,
    CountedFields,
    request_tokens,
    texts,
)
from copilot_proxy.formats.types import MessagesRequest

_SECTIONS: Final = ("system", "tools", "messages")
_FIELDS: Final = CountedFields(
    text=("text", "thinking", "name", "title", "context", "description"),
    json=("input", "input_schema"),
    nested=("content", "source"),
)


def text_of(request: MessagesRequest) -> str:
    """Return all text of the system prompt, tools and messages, joined by newlines."""
    return "\n".join(text for section in _SECTIONS for text in texts(request.get(section), _FIELDS))


def estimated_tokens(request: MessagesRequest) -> int:
    """Return a rough estimate of the number of tokens in the prompt.

    For a better estimate, count the tokens of the text that `text_of` returns.
    """
    return request_tokens({name: request.get(name) for name in _SECTIONS})


def media_tokens(request: MessagesRequest) -> int:
    """Return the estimated number of tokens in images and documents."""
    return sum(_media(request.get(section)) for section in ("system", "messages"))


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
