"""Texts of nothing but blanks, which Claude refuses."""

from typing import Any, Final

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import Json, OutgoingBody

_TEXTS: Final = ("text", "input_text", "output_text")
"""The kinds of parts that are texts, on all APIs."""


def drop_blanks(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops blank texts, and the messages that say nothing else."""
    if profile.blank_texts:
        return
    for holder, key in outgoing.texts():
        content = holder.get(key)
        kept = _without_blanks(content)
        if kept is not content:
            holder[key] = kept
    outgoing.drop_empty(notes)


def _without_blanks(content: Any) -> Any:
    if isinstance(content, str):
        return "" if content.isspace() else content
    if isinstance(content, list) and any(map(_is_blank, content)):
        return [part for part in content if not _is_blank(part)]
    return content


def _is_blank(part: Json) -> bool:
    if part["type"] not in _TEXTS:
        return False
    text = part.get("text")
    return not text or bool(text.isspace())
