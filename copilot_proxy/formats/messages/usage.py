"""Converts token counts between the formats of Anthropic and Chat Completions.

Anthropic's `input_tokens` excludes the tokens that were read from the cache or written to it; the
`prompt_tokens` of Chat Completions includes them.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.chat_completions.usage import count_of, one_hour_writes, repair_usage
from copilot_proxy.formats.types import ChatUsage, Json

COUNTS: Final = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)


def add_usage(known: Json, usage: object) -> Json:
    """Return the counts `known`, updated with the usage of a later event.

    Counts are totals, not increments. A zero does not replace a known count. All other fields, such
    as `output_tokens_details`, are kept as they are.
    """
    if not isinstance(usage, dict):
        return known
    later = {
        name: value
        for name, value in usage.items()
        if (count_of(usage, name) if name in COUNTS else value is not None)
    }
    return {**known, **later}


def usage_to_chat(usage: Mapping[str, Any]) -> ChatUsage:
    """Return Anthropic's usage in the format of Chat Completions."""
    counts = {name: count_of(dict(usage), name) for name in COUNTS}
    cached, created = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
    details = usage.get("output_tokens_details")
    reasoning = count_of(details, "thinking_tokens") if isinstance(details, dict) else 0
    repaired = repair_usage(
        {
            "prompt_tokens": counts["input_tokens"] + cached + created,
            "completion_tokens": counts["output_tokens"],
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_creation_input_tokens": created,
                **one_hour_writes(dict(usage)),
            },
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )
    return repaired or {}


def usage_from_chat(usage: ChatUsage | None) -> Json:
    """Return Chat Completions usage in Anthropic's format, or zeros if it is missing."""
    usage = usage or {}
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    cached = count_of(details, "cached_tokens")
    created = count_of(details, "cache_creation_input_tokens")
    counts: Json = {
        "input_tokens": max(0, count_of(usage, "prompt_tokens") - cached - created),
        "cache_creation_input_tokens": created,
        "cache_read_input_tokens": cached,
        "output_tokens": count_of(usage, "completion_tokens"),
    }
    details = usage.get("completion_tokens_details")
    if isinstance(details, dict) and (thinking := count_of(details, "reasoning_tokens")):
        counts["output_tokens_details"] = {"thinking_tokens": thinking}
    return counts
