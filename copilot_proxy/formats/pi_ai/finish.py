"""Determines how a pi-ai response ended: its finish reason, its usage, or its error.

pi-ai reports its own reason, or an error message. Copilot's event with the actual reason (``last``)
takes precedence: pi-ai treats Claude's refusals as failures, and does not expect incomplete
responses.
"""

import re
from typing import Any, Final

from copilot_proxy.errors import BrokenResponse, UpstreamError
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.chat_completions.finish_reasons import FINISH_REASONS, openai_reason
from copilot_proxy.formats.chat_completions.refusals import explanation
from copilot_proxy.formats.chat_completions.usage import count_of, repair_usage
from copilot_proxy.formats.responses.usage import usage_to_chat
from copilot_proxy.formats.types import ChatUsage, CopilotUsage, Json, PiAiEvent
from copilot_proxy.formats.upstream_errors import parse_error_event
from copilot_proxy.masking import mask

_INCOMPLETE: Final = "response.incomplete"
_INVALID_JSON: Final = re.compile(r"\bin JSON\b|\bJSON input\b|^Could not parse .* SSE event")
_CUT: Final = re.compile(r"\bstream ended (?:before|without)\b", re.IGNORECASE)
_MAX_REASON: Final = 500
"""The number of characters of pi-ai's message to quote in an error."""


def finish_reason(event: PiAiEvent) -> str | None:
    """Return Copilot's finish reason in the format of Chat Completions, or ``error`` if the model
    failed.

    Returns None if Copilot sent no finish reason.
    """
    last = _last(event)
    if event.get("type") == "error":
        # If the reason is missing, pi-ai may have given up before it read the last event.
        reason = _object(event.get("error")).get("rawStopReason")
        if not isinstance(reason, str) or event.get("broke"):
            return None
        if not last and reason.lower() in FINISH_REASONS:
            last = {"choices": [{"finish_reason": reason}]}
    if last.get("type") == _INCOMPLETE:
        details = _object(_object(last.get("response")).get("incomplete_details"))
        return "content_filter" if details.get("reason") == "content_filter" else "length"
    reason = _object(last.get("delta")).get("stop_reason")
    for choice in _choices(last):
        reason = choice.get("finish_reason") or reason
    return openai_reason(reason) if isinstance(reason, str) else None


def refusal_of(event: PiAiEvent) -> str:
    """Return the model's explanation of its refusal, or "" if there is none."""
    last = _last(event)
    return unread(event, "refusal") or explanation(
        _object(last.get("delta")), *_choices(last), last
    )


def unread(event: PiAiEvent, name: str) -> str:
    """Return the text of the field `name`, which pi-ai does not read, or "" if there is none."""
    text = _object(event.get("unread")).get(name)
    return text if isinstance(text, str) else ""


def copilot_usage_of(event: PiAiEvent) -> CopilotUsage | None:
    """Return the charge that GitHub reported, or None if unknown."""
    return _object(_object(event.get("unread")).get("copilot_usage")) or None


def usage_of(event: PiAiEvent) -> ChatUsage | None:
    """Return the usage in the format of Chat Completions, or None if there is none.

    For Chat Completions and for incomplete responses, the usage is taken from Copilot's events.
    """
    if usage := _object(_object(event.get("unread")).get("usage")):
        return repair_usage(usage)
    last = _last(event)
    if last.get("type") == _INCOMPLETE:
        return usage_to_chat(_object(last.get("response")).get("usage"))
    usage = _object((_object(event.get("message")) or _object(event.get("error"))).get("usage"))
    read, written = count_of(usage, "cacheRead"), count_of(usage, "cacheWrite")
    prompt, completion = count_of(usage, "input") + read + written, count_of(usage, "output")
    if not prompt and not completion:
        return None
    return repair_usage(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": count_of(usage, "totalTokens"),
            "prompt_tokens_details": {
                "cached_tokens": read,
                "cache_creation_input_tokens": written,
            },
            "completion_tokens_details": {"reasoning_tokens": count_of(usage, "reasoning")},
        }
    )


def error_of(event: PiAiEvent) -> UpstreamError:
    """Return the error for an ``error`` event.

    The event's ``broke`` is ``silent``, ``cut`` or ``garbled`` if the connection to Copilot failed.
    """
    last = _last(event)
    if last.get("type") == "response.failed":
        return parse_error_event({"error": _object(_object(last.get("response")).get("error"))})
    if last.get("error"):
        return parse_error_event(last)
    if last.get("type") == "error":
        return parse_error_event({"error": last})
    if event.get("broke") == "silent":
        return broken_responses.timed_out()
    if event.get("broke") == "cut":
        return broken_responses.connection_lost()
    text = _text(event)
    if event.get("broke") == "garbled" or _INVALID_JSON.search(text):
        return broken_responses.not_an_object()
    if _CUT.search(text):
        return broken_responses.ended_early()
    reason = mask(text)[:_MAX_REASON].rstrip(".") or "no reason given"
    return BrokenResponse(f"pi-ai could not read Copilot's answer: {reason}.")


def _last(event: PiAiEvent) -> Json:
    return _object(event.get("last"))


def _choices(last: Json) -> list[Json]:
    choices = last.get("choices")
    return [_object(choice) for choice in choices] if isinstance(choices, list) else []


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _text(event: PiAiEvent) -> str:
    """Return pi-ai's message for a failure."""
    text = _object(event.get("error")).get("errorMessage")
    return text.strip() if isinstance(text, str) else ""
