"""Token counts in OpenAI's shape, from whichever shape a model of Copilot's gave them."""

from copilot_proxy.formats.chat_completions.schema import Json


def repair_usage(usage: object) -> Json | None:
    """All fields of OpenAI's usage, or None when there is none.

    Gemini's reasoning tokens stand beside the details, and its total counts them while its
    completion tokens do not; they are added, so that prompt and completion make the total.
    """
    if not isinstance(usage, dict):
        return None
    prompt = count(usage, "prompt_tokens")
    completion = count(usage, "completion_tokens")
    prompt_details = _details(usage, "prompt_tokens_details")
    completion_details = _details(usage, "completion_tokens_details")
    apart = count(usage, "reasoning_tokens")
    total = count(usage, "total_tokens")
    if apart and total == prompt + completion + apart:
        completion += apart
    details: Json = {
        "cached_tokens": count(prompt_details, "cached_tokens"),
        "audio_tokens": count(prompt_details, "audio_tokens"),
    }
    if created := count(prompt_details, "cache_creation_input_tokens"):
        details["cache_creation_input_tokens"] = created
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total or prompt + completion,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": count(completion_details, "reasoning_tokens") or apart,
            "audio_tokens": count(completion_details, "audio_tokens"),
            "accepted_prediction_tokens": count(completion_details, "accepted_prediction_tokens"),
            "rejected_prediction_tokens": count(completion_details, "rejected_prediction_tokens"),
        },
    }


def _details(usage: Json, name: str) -> Json:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def count(usage: Json, name: str) -> int:
    """The number under `name`; 0 when there is none."""
    value = usage.get(name)
    return int(value) if isinstance(value, int | float) and value > 0 else 0
