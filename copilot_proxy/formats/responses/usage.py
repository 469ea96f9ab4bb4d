"""Token counts, from the words of the Responses API to those of chat completions and back."""

from copilot_proxy.formats.chat_completions.schema import Json
from copilot_proxy.formats.chat_completions.usage import count, repair_usage


def chat_usage(usage: object) -> Json | None:
    """The hub's usage, or None when there is none."""
    if not isinstance(usage, dict):
        return None
    return repair_usage(
        {
            "prompt_tokens": count(usage, "input_tokens"),
            "completion_tokens": count(usage, "output_tokens"),
            "total_tokens": count(usage, "total_tokens"),
            "prompt_tokens_details": usage.get("input_tokens_details"),
            "completion_tokens_details": usage.get("output_tokens_details"),
        }
    )


def complete_usage(usage: Json) -> Json:
    """Upstream's usage with the details that OpenAI's schema requires."""
    given = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    inside, outside = (details if isinstance(details, dict) else {} for details in given)
    return {
        **usage,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, **inside},
        "output_tokens_details": {"reasoning_tokens": 0, **outside},
    }


def responses_usage(usage: Json) -> Json:
    """The Responses API's usage, from the hub's."""
    prompt_details = usage["prompt_tokens_details"]
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {
            "cached_tokens": prompt_details["cached_tokens"],
            "cache_write_tokens": count(prompt_details, "cache_creation_input_tokens"),
        },
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {
            "reasoning_tokens": usage["completion_tokens_details"]["reasoning_tokens"]
        },
        "total_tokens": usage["total_tokens"],
    }
