"""Marks for Claude's prompt cache: set for clients that cannot, and no more than are taken.

GPT and Gemini keep such a cache by themselves.
"""

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def mark_stable(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Marks what the next request is likely to begin with: reading it back costs a tenth."""
    if profile.cache_marks is not None:
        outgoing.mark_stable()


def reduce_marks(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Keeps marks in the one form, and the number, that Copilot takes."""
    if profile.cache_marks is not None:
        outgoing.reduce_marks(profile.cache_marks, notes)
