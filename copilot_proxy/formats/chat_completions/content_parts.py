"""Moves parts of messages that Copilot's chat API does not take where they stand."""

from typing import Final

from copilot_proxy.formats.chat_completions.schema import Json

_SHOWN: Final = "The images of the tool results:"
_SEE_BELOW: Final = "(an image, shown in the next message)"


def move_images(messages: list[Json], notes: list[str]) -> list[Json]:
    """The messages with the images of tool results in a user message after the results.

    Chat completions have images in user messages only.
    """
    out: list[Json] = []
    images: list[Json] = []
    for message in messages:
        if message["role"] != "tool":
            _show(images, out)
        elif isinstance(message["content"], list):
            found = [part for part in message["content"] if part["type"] == "image_url"]
            if found:
                texts = [part for part in message["content"] if part["type"] != "image_url"]
                message = {**message, "content": texts or _SEE_BELOW}
                images += found
                notes.append("moved images of a tool result to a user message")
        out.append(message)
    _show(images, out)
    return out


def _show(images: list[Json], out: list[Json]) -> None:
    if images:
        out.append({"role": "user", "content": [{"type": "text", "text": _SHOWN}, *images]})
        images.clear()
