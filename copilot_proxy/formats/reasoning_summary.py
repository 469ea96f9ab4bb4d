"""Remembers whether a Responses client asked for a summary of the reasoning.

Chat Completions has no field for this, so a translated request uses a field that never leaves the
program.
"""

from typing import Final

from copilot_proxy.formats.types import ChatRequest, Json

REASONING_SUMMARY: Final = "reasoning_summary"
"""The name of the field. Its value is ``auto``, ``concise`` or ``detailed``, or ``none`` for a
client that does not want a summary."""


def summary_of(reasoning: Json) -> str:
    """Return the kind of summary that the ``reasoning`` of a Responses request asks for, or
    ``none``."""
    summary = reasoning.get("summary") or reasoning.get("generate_summary")
    return summary if isinstance(summary, str) else "none"


def wants_summary(chat: ChatRequest) -> bool:
    """Return whether the client asked for a summary."""
    return chat.get(REASONING_SUMMARY) not in (None, "none")
