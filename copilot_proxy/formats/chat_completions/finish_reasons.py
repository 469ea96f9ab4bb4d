"""Maps the finish reasons of Copilot's models, in all APIs, to OpenAI's."""

from collections.abc import Mapping
from typing import Final

PAUSED: Final = "pause_turn"
FINISH_REASONS: Final[Mapping[str, str]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "stop",
    # Claude's reasons, which Copilot sometimes passes through in Chat Completions.
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    PAUSED: "length",  # the answer is incomplete; Claude continues if it is sent back
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    # Gemini's reasons.
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
    "malformed_function_call": "error",
    "error": "error",
}


def openai_reason(reason: str) -> str:
    """Return OpenAI's finish reason: ``error`` if the model failed, ``stop`` if `reason` is
    unknown."""
    return FINISH_REASONS.get(reason.lower(), "stop")
