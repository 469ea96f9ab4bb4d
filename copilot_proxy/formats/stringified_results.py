"""Unpacks images from tool results that are JSON texts.

Some agents turn a result of several parts into one text. The model would not see its images, and
their base64 would cost hundreds of times as many tokens. Observed with Codex and with results of
MCP tools, 2026-07.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.formats.types import Json

_MARK: Final = '"image'
"""In the type of every image, as JSON."""
_TEXTS: Final = ("text", "input_text", "output_text")
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")


def unpack_results(api: str, request: Json) -> None:
    """Replace the stringified results in `request`, a new object of the client API named `api`."""
    for holder, name in _RESULTS[api](request):
        parts = unpacked(api, holder.get(name))
        if parts is not None:
            holder[name] = parts


def unpacked(api: str, content: object) -> list[Json] | None:
    """Return the parts of a stringified result, in the notation of `api`; None if it is any other
    text.

    A stringified result is a list of texts and images, with at least one image as data.
    """
    if not isinstance(content, str) or not content.lstrip().startswith("["):
        return None
    if _MARK not in content and '"input_image' not in content:
        return None
    try:
        decoded: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return None
    read = [_read(part) for part in decoded] if isinstance(decoded, list) else []
    if None in read or all(one and one[0] == "text" for one in read):
        return None
    return [_PARTS[api][kind](value) for kind, value in filter(None, read)]


def _read(part: Any) -> tuple[str, str] | None:
    """Return a part as its kind and its text or data: URL; None if it is neither text nor image."""
    match part:
        case {"type": str(kind), "text": str(text)} if kind in _TEXTS:
            return "text", text
        case {"type": "image_url" | "input_image", "image_url": str(url)} | {
            "type": "image_url" | "input_image",
            "image_url": {"url": str(url)},
        }:
            pass
        case {"type": "image", "source": {"media_type": str(media), "data": str(data)}} | {
            "type": "image",
            "mimeType": str(media),
            "data": str(data),
        }:
            url = f"data:{media};base64,{data}"
        case _:
            return None
    return ("image", url) if url.startswith("data:") and ";base64," in url else None


def _block(url: str) -> Json:
    media, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


_PARTS: Final[Mapping[str, Mapping[str, Callable[[str], Json]]]] = {
    "chat_completions": {
        "text": lambda text: {"type": "text", "text": text},
        "image": lambda url: {"type": "image_url", "image_url": {"url": url}},
    },
    "responses": {
        "text": lambda text: {"type": "input_text", "text": text},
        "image": lambda url: {"type": "input_image", "image_url": url},
    },
    "messages": {"text": lambda text: {"type": "text", "text": text}, "image": _block},
}


def _objects(value: Any) -> Iterator[Json]:
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))


def _chat_results(request: Json) -> Iterator[tuple[Json, str]]:
    for message in _objects(request.get("messages")):
        if message.get("role") == "tool":
            yield message, "content"


def _responses_results(request: Json) -> Iterator[tuple[Json, str]]:
    for item in _objects(request.get("input")):
        if item.get("type") in _OUTPUTS:
            yield item, "output"


def _messages_results(request: Json) -> Iterator[tuple[Json, str]]:
    for message in _objects(request.get("messages")):
        for block in _objects(message.get("content")):
            if block.get("type") == "tool_result":
                yield block, "content"


_RESULTS: Final[Mapping[str, Callable[[Json], Iterator[tuple[Json, str]]]]] = {
    "chat_completions": _chat_results,
    "responses": _responses_results,
    "messages": _messages_results,
}
"""How to find the results of a request: the objects that hold one, and the name of its field."""
