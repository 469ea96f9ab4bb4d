"""Unpacks images from tool results that are JSON text.

Some agents convert a result with several parts to a single string. The model would not see its
images, and their base64 would cost hundreds of times as many tokens. Observed with Codex and with
results of MCP tools, 2026-07.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.formats.types import (
    ChatRequest,
    ClientRequest,
    Json,
    MessagesRequest,
    ResponsesRequest,
)

_MARK: Final = '"image'
"""Occurs in the JSON of every image."""
_OTHER_IMAGES: Final = ("image", "input_image", "resource")
_TEXTS: Final = ("text", "input_text", "output_text")
_BEGINNINGS: Final = ("[", " ", "\t", "\n", "\r")
"""The possible first characters of a list in JSON; little other text starts with them."""
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")


def unpack_results(api: str, request: ClientRequest) -> None:
    """Replace the stringified results in `request`, a newly decoded request of the client API
    `api`.

    On Chat Completions, which has no images in results, images in the format of another API or of
    MCP are converted as well. The other APIs refuse them.
    """
    results, name = _RESULTS[api](request)
    for result in results:
        if api == "chat_completions" and isinstance(parts := result.get(name), list):
            result[name] = [_chat_part(part) for part in parts]
        elif isinstance(text := result.get(name), str) and may_be_stringified(text):
            parts = unpacked(api, text)
            if parts is not None:
                result[name] = parts


def _chat_part(part: Any) -> Any:
    """Return a Chat Completions part for an image, and any other part unchanged."""
    if not isinstance(part, dict) or part.get("type") not in _OTHER_IMAGES:
        return part
    read = _read(part)
    return part if read is None else _PARTS["chat_completions"]["image"](read[1])


def any_stringified(api: str, texts: Iterable[str]) -> bool:
    """Return whether `unpack_results` would change any of these results."""
    return any(unpacked(api, text) is not None for text in texts if text[:1] in _BEGINNINGS)


def may_be_stringified(text: str) -> bool:
    """Return whether `text` starts like a stringified result, as little other text does."""
    return text[:1] in _BEGINNINGS


def unpacked(api: str, content: object) -> list[Json] | None:
    """Return the parts of a stringified result in the format of `api`, or None for any other text.

    A stringified result is a list of text and images, with at least one image as data.
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
    """Return ``("text", text)`` or ``("image", data_url)`` for a part, or None for any other
    part."""
    match part:
        case {"type": str(kind), "text": str(text)} if kind in _TEXTS:
            return "text", text
        case {"type": "image_url" | "input_image", "image_url": str(url)} | {
            "type": "image_url" | "input_image",
            "image_url": {"url": str(url)},
        }:
            pass
        case (
            {"type": "image", "source": {"media_type": str(media), "data": str(data)}}
            | {"type": "image", "mimeType": str(media), "data": str(data)}
            | {"type": "resource", "resource": {"mimeType": str(media), "blob": str(data)}}
        ) if media.startswith("image/"):
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


def _objects(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _chat_results(request: ChatRequest) -> tuple[list[Json], str]:
    messages = request.get("messages")
    if not isinstance(messages, list):
        return [], "content"
    return [
        one for one in messages if isinstance(one, dict) and one.get("role") == "tool"
    ], "content"


def _responses_results(request: ResponsesRequest) -> tuple[list[Json], str]:
    return [one for one in _objects(request.get("input")) if one.get("type") in _OUTPUTS], "output"


def _messages_results(request: MessagesRequest) -> tuple[list[Json], str]:
    messages = _objects(request.get("messages"))
    contents = [one["content"] for one in messages if isinstance(one.get("content"), list)]
    blocks = [block for content in contents for block in content if isinstance(block, dict)]
    return [one for one in blocks if one.get("type") == "tool_result"], "content"


_RESULTS: Final[Mapping[str, Callable[[Json], tuple[list[Json], str]]]] = {
    "chat_completions": _chat_results,
    "responses": _responses_results,
    "messages": _messages_results,
}
"""Client API -> a function that returns the objects with a result, and the name of the result's
field."""
