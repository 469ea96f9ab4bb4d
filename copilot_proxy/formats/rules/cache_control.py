"""Sets prompt cache marks for Claude if the client sets none, and limits the client's own.

GPT and Gemini cache prompts without marks. Newer GPT models also accept marks, called breakpoints.
"""

from typing import Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

BREAKPOINT: Final = "prompt_cache_breakpoint"
"""The field of a part in OpenAI's APIs that marks the end of a cacheable prefix."""
_CONTENTS: Final = ("content", "output")


def mark_stable_prefix(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Mark the prefix that the next request is likely to repeat; cached input is 90% cheaper."""
    outgoing.mark_stable_prefix()


def limit_marks(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Keep only as many marks as Copilot accepts, and only in a form that it accepts."""
    if profile.max_cache_marks is not None:
        outgoing.limit_marks(profile.max_cache_marks, notes, one_hour=profile.one_hour_cache)


def drop_breakpoints(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop OpenAI's marks from the parts of messages and results."""
    if BREAKPOINT not in outgoing.kinds.fields:
        return
    is_marked = False
    for turn in outgoing.turns:
        for field in _CONTENTS:
            parts = turn.get(field)
            if isinstance(parts, list) and any(BREAKPOINT in part for part in parts):
                turn[field] = [{k: v for k, v in one.items() if k != BREAKPOINT} for one in parts]
                is_marked = True
    if is_marked:
        notes.append(f"dropped {BREAKPOINT}: the model does not support it")
