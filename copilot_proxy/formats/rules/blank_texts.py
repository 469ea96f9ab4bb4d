"""Drops blank text: Claude refuses text that is only whitespace, and Gemini refuses empty text."""

from typing import Any, Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json

_TEXT_TYPES: Final = ("text", "input_text", "output_text")
"""The types of text parts in all APIs."""


def drop_blanks(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop blank text, and the messages that have no other content."""
    has_text_parts = not outgoing.kinds.types.isdisjoint(_TEXT_TYPES)
    for holder in outgoing.contents():
        content = holder.get("content")
        if isinstance(content, str):
            if content.isspace():
                holder["content"] = ""
        elif content and has_text_parts:
            holder["content"] = without_blanks(content)
    outgoing.drop_empty(notes)


def without_blanks(content: Any) -> Any:
    """Return a string or list of parts without blank text.

    If there is no blank text, the same object is returned.
    """
    if isinstance(content, str):
        return "" if content.isspace() else content
    if isinstance(content, list):
        kept = [part for part in content if part["type"] not in _TEXT_TYPES or not _is_blank(part)]
        return kept if len(kept) < len(content) else content
    return content


def _is_blank(part: Json) -> bool:
    text = part.get("text")
    return not text or bool(text.isspace())
