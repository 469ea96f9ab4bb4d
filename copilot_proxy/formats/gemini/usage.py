"""Converts Chat Completions token counts to Google's."""

from copilot_proxy.formats.chat_completions.usage import count_of
from copilot_proxy.formats.types import ChatUsage, Json


def usage_from_chat(usage: ChatUsage | None) -> Json | None:
    """Return the counts as `schema.GeminiUsage`, or None if `usage` is missing or empty.

    Google counts the tokens of thoughts and of the answer separately; Chat Completions adds them
    up.
    """
    if not usage:
        return None
    prompt, completion = count_of(usage, "prompt_tokens"), count_of(usage, "completion_tokens")
    thoughts = count_of(usage.get("completion_tokens_details") or {}, "reasoning_tokens")
    cached = count_of(usage.get("prompt_tokens_details") or {}, "cached_tokens")
    counts: Json = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": max(0, completion - thoughts),
        "totalTokenCount": prompt + completion,
    }
    if thoughts:
        counts["thoughtsTokenCount"] = min(thoughts, completion)
    if cached:
        counts["cachedContentTokenCount"] = cached
    return counts
