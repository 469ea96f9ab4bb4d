"""Changes the detail of images, for models that do not know OpenAI's newest value.

Codex asks for the detail ``original`` for its screenshots.
"""

from typing import Any

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json


def fit_detail(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Ask for high detail where the client wants the original."""
    has_changed = False
    for holder in outgoing.contents():
        content = holder.get("content")
        if isinstance(content, list) and any(map(_wants_original, content)):
            holder["content"] = [_with_high_detail(part) for part in content]
            has_changed = True
    if has_changed:
        notes.append("changed the detail of images from original to high, which the model has")


def _wants_original(part: Any) -> bool:
    image = part.get("image_url") if isinstance(part, dict) else None
    return isinstance(image, dict) and image.get("detail") == "original"


def _with_high_detail(part: Json) -> Json:
    if not _wants_original(part):
        return part
    return {**part, "image_url": {**part["image_url"], "detail": "high"}}
