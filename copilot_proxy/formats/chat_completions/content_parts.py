"""Reads the files in chat messages, and moves content parts to where Copilot accepts them."""

from typing import Final

from copilot_proxy.formats.documents import file_part
from copilot_proxy.formats.types import Json

_MOVED: Final = "moved images from a tool result to a user message, where every model accepts them"
_PLACEHOLDER: Final = "(an image, shown in the next message)"


def read_files(messages: list[Json]) -> list[Json]:
    """Return the messages with the text of files inserted, and with each PDF as a ``data:`` URL."""
    parted = [message for message in messages if isinstance(message.get("content"), list)]
    if not any(map(_has_files, parted)):
        return messages
    read = []
    for i, message in enumerate(messages):
        if _has_files(message):
            path = f"messages[{i}].content"
            parts = [_read(part, f"{path}[{j}]") for j, part in enumerate(message["content"])]
            message = {**message, "content": parts}
        read.append(message)
    return read


def _has_files(message: Json) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(part["type"] == "file" for part in content)


def _read(part: Json, path: str) -> Json:
    if part["type"] != "file":
        return part
    file = part["file"]
    extra = {name: value for name, value in part.items() if name != "file"}
    return {
        **extra,
        **file_part(file["file_data"], file.get("filename"), f"{path}.file.file_data"),
    }


def move_images(messages: list[Json], notes: list[str]) -> list[Json]:
    """Return the messages with the images of tool results moved to a user message after the
    results.

    Chat Completions accepts images only in user messages. Text before each result's images gives
    the number of that result.
    """
    parted = [message for message in messages if isinstance(message.get("content"), list)]
    if not any(map(_has_images, parted)):
        return messages
    moved: list[Json] = []
    images: list[Json] = []
    results = 0
    for message in messages:
        results = results + 1 if message["role"] == "tool" else 0
        if not results:
            _add_images(images, moved)
        elif _has_images(message):
            content = message["content"]
            images.append({"type": "text", "text": f"From tool result {results}:"})
            images += [part for part in content if part["type"] == "image_url"]
            others = [part for part in content if part["type"] != "image_url"]
            message = {**message, "content": others or _PLACEHOLDER}
            notes.append(_MOVED)
        moved.append(message)
    _add_images(images, moved)
    return moved


def _has_images(message: Json) -> bool:
    if message["role"] != "tool" or not isinstance(message["content"], list):
        return False
    return any(part["type"] == "image_url" for part in message["content"])


def _add_images(images: list[Json], messages: list[Json]) -> None:
    if images:
        messages.append({"role": "user", "content": images.copy()})
        images.clear()
