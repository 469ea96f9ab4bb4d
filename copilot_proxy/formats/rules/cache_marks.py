"""Sets prompt cache marks for Claude if the client sets none, and limits the client's own.

GPT and Gemini cache prompts without marks.
"""

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def mark_stable(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Mark the prefix that the next request is likely to repeat: cached input costs a tenth."""
    outgoing.mark_stable()


def reduce_marks(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Keep only marks of the form and number that Copilot accepts."""
    if profile.cache_marks is not None:
        outgoing.reduce_marks(profile.cache_marks, notes, one_hour=profile.one_hour_cache)
