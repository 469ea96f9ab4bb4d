"""What of a request counts as tokens, for an estimate made without asking Copilot.

Pure: how texts become tokens is the caller's part. Images count `IMAGE_TOKENS` each: Claude's own
rule is width times height by 750 and 1600 at the most, and clients send screenshots, which come
near that. A document that is no text, such as a PDF, counts `DOCUMENT_TOKENS`: a page or two, as
its length is not known without reading it. The sum is an estimate on the high side for images.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from copilot_proxy.formats.messages.schema import Json

IMAGE_TOKENS: Final = 1600
DOCUMENT_TOKENS: Final = 3000

_WORDS: Final = ("text", "thinking", "name", "title", "context", "description")
_JSON: Final = ("input", "input_schema")
_NESTED: Final = ("content", "source")


def text_of(request: Json) -> str:
    """All texts of a request whose tokens count, a line each."""
    return "\n".join(texts_of(request))


def texts_of(request: Json) -> Iterator[str]:
    """The texts of the system prompt, the tools and the messages, in that order."""
    for section in ("system", "tools", "messages"):
        yield from _texts(request.get(section))


def media_tokens(request: Json) -> int:
    """The tokens that images and documents add."""
    return sum(_media(request.get(section)) for section in ("system", "messages"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name in _WORDS:
            if isinstance(value.get(name), str):
                yield value[name]
        if value.get("type") == "text" and isinstance(value.get("data"), str):
            yield value["data"]  # the source of a document
        for name in _JSON:
            if name in value:
                yield msgspec.json.encode(value[name]).decode()
        for name in _NESTED:
            yield from _texts(value.get(name))


def _media(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_media, value))
    if not isinstance(value, dict):
        return 0
    kind, source = value.get("type"), value.get("source")
    if kind == "image":
        return IMAGE_TOKENS
    if kind == "document" and isinstance(source, dict) and source.get("type") == "base64":
        return DOCUMENT_TOKENS
    return _media(value.get("content")) + _media(source)
