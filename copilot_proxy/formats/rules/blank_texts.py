"""Drops texts that are only whitespace, which Claude refuses; Gemini refuses empty ones."""

from typing import Any, Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json

_TEXT_TYPES: Final = ("text", "input_text", "output_text")
"""The types of text parts on all APIs."""


def drop_blanks(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop blank texts, and the messages that have no other content."""
    for holder in outgoing.contents():
        content = holder.get("content")
        remaining = without_blanks(content)
        if remaining is not content:
            holder["content"] = remaining
    outgoing.drop_empty(notes)


def without_blanks(content: Any) -> Any:
    """Return a text or list of parts without blank texts; the same object if there are none."""
    if isinstance(content, str):
        return "" if content.isspace() else content
    if isinstance(content, list) and any(map(_is_blank, content)):
        return [part for part in content if not _is_blank(part)]
    return content


def _is_blank(part: Json) -> bool:
    if part["type"] not in _TEXT_TYPES:
        return False
    text = part.get("text")
    return not text or bool(text.isspace())
