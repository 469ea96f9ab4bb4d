"""Translates Ollama's messages to chat messages.

Ollama clients may leave out the ids of tool calls. A call without an id receives one based on its
position, which is the same in every request. A result without an id belongs to the first open call
that it matches.
"""

import base64
import binascii
from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.base64_data import is_data_url, standard_base64
from copilot_proxy.formats.images import checked_url, media_type
from copilot_proxy.formats.reasoning_cache import POSITION_ID_PREFIX
from copilot_proxy.formats.tool_arguments import arguments_text
from copilot_proxy.formats.types import Json

_HEAD: Final = 32
"""The number of base64 characters that contain an image's first bytes, which reveal its type."""
_WITH_IMAGES: Final = ("user", "tool")
_NO_CALL: Final = f"{POSITION_ID_PREFIX}nowhere"
"""The id for a result without a call."""


def translate_messages(messages: list[Json]) -> list[Json]:
    """Return the chat messages. Raises `RequestError` for images that are not base64."""
    calls = _OpenCalls()
    translated = []
    for i, message in enumerate(messages):
        content = message.get("content") or ""
        if message.get("images") and message["role"] not in _WITH_IMAGES:
            raise RequestError(
                f"A message with the role '{message['role']}' cannot have images.",
                param=f"messages[{i}].images",
                hint="Send the images in a message with the role 'user'.",
            )
        match message["role"]:
            case "assistant":
                translated.append(_assistant(message, content, calls))
            case "tool":
                id = calls.close(message.get("tool_call_id"), message.get("tool_name"))
                parts = _with_images(message, content, f"messages[{i}].images")
                translated.append({"role": "tool", "tool_call_id": id, "content": parts})
            case "system":
                translated.append({"role": "system", "content": content})
            case role:
                parts = _with_images(message, content, f"messages[{i}].images")
                translated.append({"role": role, "content": parts})
    return translated


class _OpenCalls:
    """The calls in a conversation that have no result yet, in order."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._count = 0

    def open(self, id: str | None, name: str) -> str:
        """Add a call to the tool `name`, and return its id."""
        id = id or f"{POSITION_ID_PREFIX}{self._count}"
        self._count += 1
        self._open[id] = name
        return id

    def close(self, id: str | None, name: str | None) -> str:
        """Return the id of the call that a result with this id or tool name belongs to."""
        if id is None or id not in self._open:
            named = (one for one, tool in self._open.items() if name is None or tool == name)
            id = next(named, next(iter(self._open), _NO_CALL))
        self._open.pop(id, None)
        return id


def _assistant(message: Json, content: str, calls: _OpenCalls) -> Json:
    translated: Json = {"role": "assistant", "content": content or None}
    if message.get("thinking"):
        translated["reasoning_content"] = message["thinking"]
    if message.get("tool_calls"):
        translated["tool_calls"] = [_call(call, calls) for call in message["tool_calls"]]
    elif not content:
        translated["content"] = ""
    return translated


def _call(call: Json, calls: _OpenCalls) -> Json:
    function = call["function"]
    arguments = arguments_text(function.get("arguments"))
    return {
        "id": calls.open(call.get("id"), function["name"]),
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


def _with_images(message: Json, content: str, path: str) -> str | list[Json]:
    """Return the content as text, or as parts if there are images."""
    images = message.get("images") or ()
    if not images:
        return content
    parts = [
        {"type": "image_url", "image_url": {"url": _data_url(image, f"{path}[{i}]")}}
        for i, image in enumerate(images)
    ]
    return [{"type": "text", "text": content}, *parts] if content else parts


def _data_url(image: str, path: str) -> str:
    if is_data_url(image):
        return checked_url(image, path)
    image = standard_base64(image)
    try:
        kind = media_type(base64.b64decode(image[:_HEAD], validate=True))
    except (binascii.Error, ValueError):
        kind = None
    if kind is None:
        raise RequestError(
            "The image is not a base64-encoded PNG, JPEG, GIF or WebP file.",
            param=path,
            code="invalid_image",
            hint="Send the file itself as base64, not a path or a URL.",
        )
    return f"data:{kind};base64,{image}"
