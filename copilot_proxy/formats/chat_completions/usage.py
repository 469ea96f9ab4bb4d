"""Converts the token counts of all Copilot models to OpenAI's format."""

from typing import Final

from copilot_proxy.formats.types import ChatUsage, Json

ONE_HOUR_WRITES: Final = "cache_creation_1h_input_tokens"
"""The field for the part of `cache_creation_input_tokens` that stays in the cache for an hour."""
_NUMBERS: Final = (int, float)


def one_hour_writes(usage: Json) -> Json:
    """Return a field with the tokens that Anthropic's `usage` says were cached for an hour, if any.

    They cost more than other writes.
    """
    created = usage.get("cache_creation")
    count = count_of(created, "ephemeral_1h_input_tokens") if isinstance(created, dict) else 0
    return {ONE_HOUR_WRITES: count} if count else {}


def repair_usage(usage: object) -> ChatUsage | None:
    """Return `usage` with all of OpenAI's fields, or None if it is not an object.

    Gemini sends reasoning tokens outside the details. It includes them in the total, but not in the
    completion tokens. They are added to the completion tokens, so that prompt and completion tokens
    sum to the total.
    """
    if not isinstance(usage, dict):
        return None
    counts = _counts(usage)
    of_prompt = _counts(usage.get("prompt_tokens_details"))
    of_completion = _counts(usage.get("completion_tokens_details"))
    prompt, completion = counts.get("prompt_tokens", 0), counts.get("completion_tokens", 0)
    separate = counts.get("reasoning_tokens", 0)
    total = counts.get("total_tokens", 0)
    if separate and total == prompt + completion + separate:
        completion += separate
    details: Json = {
        "cached_tokens": of_prompt.get("cached_tokens", 0),
        "audio_tokens": of_prompt.get("audio_tokens", 0),
    }
    if created := of_prompt.get("cache_creation_input_tokens"):
        details["cache_creation_input_tokens"] = created
    if for_an_hour := of_prompt.get(ONE_HOUR_WRITES):
        details[ONE_HOUR_WRITES] = for_an_hour
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total or prompt + completion,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": of_completion.get("reasoning_tokens", separate),
            "audio_tokens": of_completion.get("audio_tokens", 0),
            "accepted_prediction_tokens": of_completion.get("accepted_prediction_tokens", 0),
            "rejected_prediction_tokens": of_completion.get("rejected_prediction_tokens", 0),
        },
    }


def _counts(values: object) -> dict[str, int]:
    """Return the positive numbers in `values`, by name."""
    if not isinstance(values, dict):
        return {}
    return {
        name: int(value)
        for name, value in values.items()
        if isinstance(value, _NUMBERS) and value > 0
    }


def count_of(usage: ChatUsage, name: str) -> int:
    """Return the number under `name`, or 0 if it is missing."""
    value = usage.get(name)
    if type(value) is int:  # the usual case
        return value if value > 0 else 0
    return int(value) if isinstance(value, _NUMBERS) and value > 0 else 0
