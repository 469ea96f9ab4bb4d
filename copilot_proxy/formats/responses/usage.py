"""Translates token counts between the Responses API and Chat Completions."""

from copilot_proxy.formats.chat_completions.usage import count_of, repair_usage
from copilot_proxy.formats.types import ChatUsage, Json


def usage_to_chat(usage: object) -> ChatUsage | None:
    """Return Responses usage in the format of Chat Completions, or None if it is missing."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("input_tokens_details")
    if isinstance(details, dict) and (written := count_of(details, "cache_write_tokens")):
        details = {**details, "cache_creation_input_tokens": written}
    return repair_usage(
        {
            "prompt_tokens": count_of(usage, "input_tokens"),
            "completion_tokens": count_of(usage, "output_tokens"),
            "total_tokens": count_of(usage, "total_tokens"),
            "prompt_tokens_details": details,
            "completion_tokens_details": usage.get("output_tokens_details"),
        }
    )


def complete_usage(usage: Json) -> Json:
    """Return the `usage` of the Responses API with the details that OpenAI's schema requires."""
    details = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    input_details, output_details = (one if isinstance(one, dict) else {} for one in details)
    return {
        **usage,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, **input_details},
        "output_tokens_details": {"reasoning_tokens": 0, **output_details},
    }


def usage_from_chat(usage: ChatUsage) -> Json:
    """Return Chat Completions usage in the format of the Responses API."""
    prompt_details = usage["prompt_tokens_details"]
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {
            "cached_tokens": prompt_details["cached_tokens"],
            "cache_write_tokens": count_of(prompt_details, "cache_creation_input_tokens"),
        },
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {
            "reasoning_tokens": usage["completion_tokens_details"]["reasoning_tokens"]
        },
        "total_tokens": usage["total_tokens"],
    }
