"""Texts of nothing but blanks, which Claude refuses."""

from typing import Any, Final

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import Json, OutgoingBody

_TEXTS: Final = ("text", "input_text", "output_text")
"""The kinds of parts that are texts, on all APIs."""


def drop_blanks(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops blank texts, and the messages that say nothing else."""
    if profile.accepts_blank_texts:
        return
    for holder in outgoing.contents():
        content = holder.get("content")
        kept = without_blanks(content)
        if kept is not content:
            holder["content"] = kept
    outgoing.drop_empty(notes)


def without_blanks(content: Any) -> Any:
    """The content without texts of nothing but blanks; itself where it has none."""
    if isinstance(content, str):
        return "" if content.isspace() else content
    if isinstance(content, list):
        for part in content:
            if part["type"] in _TEXTS and _is_blank(part):
                return [one for one in content if one["type"] not in _TEXTS or not _is_blank(one)]
    return content


def _is_blank(part: Json) -> bool:
    text = part.get("text")
    return not text or bool(text.isspace())
