"""For some of Copilot's APIs and models: the only request fields that they accept.

Observed in Copilot's errors, 2026-11: "Extra inputs are not permitted".
"""

from typing import Final

STRICT_CHAT_FIELDS: Final = frozenset({
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
    "temperature", "top_p", "stop", "tools", "tool_choice", "parallel_tool_calls",
    "response_format", "reasoning_effort", "thinking_budget",
})  # fmt: skip
RESPONSES_FIELDS: Final = frozenset({
    "model", "input", "instructions", "stream", "store", "tools", "tool_choice",
    "parallel_tool_calls", "max_output_tokens", "temperature", "top_p", "reasoning", "text",
    "include", "truncation", "prompt_cache_key", "context_management", "user",
})  # fmt: skip
MESSAGES_FIELDS: Final = frozenset({
    "model", "messages", "max_tokens", "system", "stream", "stop_sequences", "temperature",
    "top_p", "top_k", "tools", "tool_choice", "thinking", "output_config", "metadata",
    "context_management",
})  # fmt: skip
