"""Token counts: Anthropic's to OpenAI's and back.

Anthropic's `input_tokens` leave out what was read from the cache or written to it; OpenAI's
`prompt_tokens` are all of them.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.chat_completions.usage import count, repair_usage
from copilot_proxy.formats.messages.schema import Json

COUNTS: Final = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)


def add_usage(known: Json, usage: object) -> Json:
    """`known` with what an event's usage adds: counts are totals, and a zero is no news."""
    if not isinstance(usage, dict):
        return known
    known = {**known, **{name: usage[name] for name in COUNTS if count(usage, name)}}
    if isinstance(usage.get("output_tokens_details"), dict):
        known["output_tokens_details"] = usage["output_tokens_details"]
    return known


def to_openai(usage: Mapping[str, Any]) -> Json:
    """OpenAI's usage, made of Anthropic's."""
    counts = {name: count(dict(usage), name) for name in COUNTS}
    cached, created = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
    details = usage.get("output_tokens_details")
    thought = count(details, "thinking_tokens") if isinstance(details, dict) else 0
    repaired = repair_usage(
        {
            "prompt_tokens": counts["input_tokens"] + cached + created,
            "completion_tokens": counts["output_tokens"],
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_creation_input_tokens": created,
            },
            "completion_tokens_details": {"reasoning_tokens": thought},
        }
    )
    return repaired or {}


def to_anthropic(usage: Mapping[str, Any] | None) -> Json:
    """Anthropic's usage, made of OpenAI's; zeros when there is none."""
    usage = dict(usage or {})
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    cached = count(details, "cached_tokens")
    created = count(details, "cache_creation_input_tokens")
    return {
        "input_tokens": max(0, count(usage, "prompt_tokens") - cached - created),
        "cache_creation_input_tokens": created,
        "cache_read_input_tokens": cached,
        "output_tokens": count(usage, "completion_tokens"),
    }
