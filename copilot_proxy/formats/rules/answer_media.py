"""Moves images and documents out of the model's own messages.

Models generate images, and users edit conversations, but Copilot's models accept images and
documents only from users.
"""

from typing import Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json

_MEDIA: Final = frozenset({"image_url", "image", "input_image", "file", "document", "input_file"})
_LABEL: Final = "In the assistant's answer:"


def move_to_user(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Move the images and documents of each answer to a user message.

    The message follows the answer or, if the answer calls tools, the results of the calls.
    """
    if not (outgoing.kinds.has_images or outgoing.kinds.has_files):
        return
    turns: list[Json] = []
    waiting: list[Json] = []
    before, has_changed = "", False
    for turn in outgoing.turns:
        role = outgoing.role(turn)
        if waiting and (role in ("user", "system") or (before, role) == ("tool", "assistant")):
            turns.append(_message(outgoing, waiting))
            waiting = []
        before = role
        media = _media(turn) if role == "assistant" else []
        if not media:
            turns.append(turn)
            continue
        has_changed = True
        waiting += media
        others = [part for part in turn["content"] if part not in media]
        if others or turn.get("tool_calls"):
            turns.append({**turn, "content": others or None})
    if waiting:
        turns.append(_message(outgoing, waiting))
    if has_changed:
        outgoing.turns = turns
        notes.append("moved images or files from an assistant message to a user message")


def _media(turn: Json) -> list[Json]:
    content = turn.get("content")
    parts = content if isinstance(content, list) else ()
    return [part for part in parts if isinstance(kind := part.get("type"), str) and kind in _MEDIA]


def _message(outgoing: OutgoingBody, media: list[Json]) -> Json:
    message = outgoing.user(_LABEL)
    label = message["content"]
    parts = [{"type": "text", "text": label}] if isinstance(label, str) else label
    return {**message, "content": [*parts, *media]}
