"""Adapts images to the model: their type, detail, and number.

Programs guess the type of an image from its file name, or always declare the same type. Codex
requests the detail ``original`` for its screenshots. Agents that take a screenshot at every step
soon have more images in the conversation than the model accepts.
"""

import binascii
from collections.abc import Iterator
from typing import Any, Final

from copilot_proxy.formats.images import media_type
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json


def ask_high_detail(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Request the detail ``high`` where the client requests ``original``."""
    if not outgoing.kinds.has_images:
        return
    has_changed = False
    for holder in outgoing.contents():
        content = holder.get("content")
        if isinstance(content, list) and any(map(_wants_original, content)):
            holder["content"] = [_with_high_detail(part) for part in content]
            has_changed = True
    if has_changed:
        notes.append("changed the detail of images from original to high, which the model supports")


def correct_types(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Declare each image with the type that its first bytes indicate."""
    if not outgoing.kinds.has_images:
        return
    corrected: dict[tuple[str, str], None] = {}
    for holder, key in outgoing.part_lists():
        content = holder[key]
        wrong = {at: types for at, part in enumerate(content) if (types := wrong_type(part))}
        if wrong:
            holder[key] = [
                _with_type(part, wrong[at][1]) if at in wrong else part
                for at, part in enumerate(content)
            ]
            corrected |= dict.fromkeys(wrong.values())
    notes += [
        f"changed the type of images from {declared} to {actual}, their actual type"
        for declared, actual in corrected
    ]


_REMOVED: Final = "[An earlier image was removed: the model accepts only a limited number of them.]"


def replace_oldest(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Replace the oldest images with text if there are too many.

    The images of the last message are kept; if that message alone has too many, Copilot reports an
    error. Other images are replaced in batches of half the limit. The cached start of the prompt
    therefore stays the same for several turns.
    """
    limit = profile.max_images
    if limit is None or not outgoing.kinds.has_images:
        return
    turns = outgoing.turns
    found = [(index, parts, at) for index, turn in enumerate(turns) for parts, at in _images(turn)]
    surplus = len(found) - limit
    if surplus <= 0:
        return
    last = len(turns) - 1
    earlier = [(parts, at) for index, parts, at in found if index < last]
    step = max(limit // 2, 1)
    removed = earlier[: -(-surplus // step) * step]
    for parts, at in removed:
        parts[at] = {"type": "text", "text": _REMOVED}
    if removed:
        images = "an earlier image" if len(removed) == 1 else f"{len(removed)} earlier images"
        notes.append(f"replaced {images} with text: the model accepts at most {limit} in a request")


def _images(turn: Json) -> Iterator[tuple[list[Json], int]]:
    """Yield the list and index of each image in a message, including those in tool results.

    The lists of parts are copies, so they may be changed.
    """
    content = turn.get("content")
    if not isinstance(content, list):
        return
    parts = turn["content"] = list(content)
    for at, part in enumerate(parts):
        if part.get("type") in ("image_url", "image"):
            yield parts, at
        elif part.get("type") == "tool_result":
            yield from _images(part)


def _wants_original(part: Any) -> bool:
    image = part.get("image_url") if isinstance(part, dict) else None
    return isinstance(image, dict) and image.get("detail") == "original"


def _with_high_detail(part: Json) -> Json:
    if not _wants_original(part):
        return part
    return {**part, "image_url": {**part["image_url"], "detail": "high"}}


_SAMPLE: Final = 24
"""The number of base64 characters that reveal the type of an image."""


def wrong_type(part: Json) -> tuple[str, str] | None:
    """Return the declared and the actual type of a base64 image if they are known to differ."""
    match part:
        case {"type": "image", "source": {"media_type": str(declared), "data": str(data)}}:
            sample = data[:_SAMPLE]
        case {"type": "image_url", "image_url": {"url": str(url)}} | {
            "type": "input_image",
            "image_url": str(url),
        } if url.startswith("data:"):
            comma = url.find(",")
            declared = url[5:comma].partition(";")[0]
            sample = url[comma + 1 : comma + 1 + _SAMPLE]
        case _:
            return None
    if not declared.startswith("image/"):
        return None
    try:
        actual = media_type(binascii.a2b_base64(sample))
    except (binascii.Error, ValueError):  # Copilot will report what is wrong with it
        return None
    return (declared, actual) if actual and actual != declared else None


def _with_type(part: Json, actual: str) -> Json:
    if part["type"] == "image":
        return {**part, "source": {**part["source"], "media_type": actual}}
    image = part["image_url"]
    if isinstance(image, str):
        return {**part, "image_url": f"data:{actual};base64,{image.partition(',')[2]}"}
    url = f"data:{actual};base64,{image['url'].partition(',')[2]}"
    named = {"media_type": actual} if "media_type" in image else {}
    return {**part, "image_url": {**image, **named, "url": url}}
