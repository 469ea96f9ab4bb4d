"""Converts the token counts of all Copilot models to OpenAI's format."""

from typing import Final

from copilot_proxy.formats.types import ChatUsage, Json

_NUMBERS: Final = (int, float)


def repair_usage(usage: object) -> ChatUsage | None:
    """Return all fields of OpenAI's usage, or None if `usage` is not an object.

    Gemini sends reasoning tokens outside the details, and includes them in the total but not in
    the completion tokens. They are added there, so that prompt and completion sum to the total.
    """
    if not isinstance(usage, dict):
        return None
    prompt = count_of(usage, "prompt_tokens")
    completion = count_of(usage, "completion_tokens")
    prompt_details = _details(usage, "prompt_tokens_details")
    completion_details = _details(usage, "completion_tokens_details")
    separate = count_of(usage, "reasoning_tokens")
    total = count_of(usage, "total_tokens")
    if separate and total == prompt + completion + separate:
        completion += separate
    details: Json = {
        "cached_tokens": count_of(prompt_details, "cached_tokens"),
        "audio_tokens": count_of(prompt_details, "audio_tokens"),
    }
    if created := count_of(prompt_details, "cache_creation_input_tokens"):
        details["cache_creation_input_tokens"] = created
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total or prompt + completion,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": count_of(completion_details, "reasoning_tokens") or separate,
            "audio_tokens": count_of(completion_details, "audio_tokens"),
            "accepted_prediction_tokens": count_of(
                completion_details, "accepted_prediction_tokens"
            ),
            "rejected_prediction_tokens": count_of(
                completion_details, "rejected_prediction_tokens"
            ),
        },
    }


def _details(usage: ChatUsage, name: str) -> Json:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def count_of(usage: ChatUsage, name: str) -> int:
    """Return the number under `name`; 0 if there is none."""
    value = usage.get(name)
    if type(value) is int:  # almost always
        return value if value > 0 else 0
    return int(value) if isinstance(value, _NUMBERS) and value > 0 else 0
