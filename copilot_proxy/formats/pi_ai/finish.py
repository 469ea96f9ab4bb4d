"""How an answer of pi-ai's ended: its finish, its counts, or one of our errors.

pi-ai has a reason of its own or a text. Copilot's event that said why (``last``) is asked first,
whichever API it belongs to: pi-ai takes Claude's refusals for failures, and does not know that a
response may be incomplete.
"""

import re
from typing import Any, Final

from copilot_proxy.errors import BrokenResponse, UpstreamError
from copilot_proxy.formats.chat_completions.stream_repair import FINISH_REASONS
from copilot_proxy.formats.chat_completions.usage import count, repair_usage
from copilot_proxy.formats.responses.usage import chat_usage
from copilot_proxy.formats.upstream_errors import parse_error_event
from copilot_proxy.masking import mask

Json = dict[str, Any]

_FINISH: Final = re.compile(
    r"Provider finish_reason: (?P<reason>\w+)|Unhandled stop reason: \w+|An unknown error occurred"
    r"|\w+ stream ended before \w+"
)
"""How pi-ai puts an end that it takes for a failure."""
_INCOMPLETE: Final = "response.incomplete"
_NO_JSON: Final = re.compile(r"\bin JSON\b|\bJSON input\b|^Could not parse .* SSE event")
_LONGEST: Final = 500


def finish_of(event: Json) -> str | None:
    """The chat API's finish reason, or ``error``, as Copilot has told it; None if it has not."""
    last = _last(event)
    if event.get("type") == "error":
        # The words of others: pi-ai may have given up before the event that came last.
        told = _FINISH.fullmatch(_text(event))
        if not told:
            return None
        if not last and told["reason"]:
            last = {"choices": [{"finish_reason": told["reason"]}]}
    if last.get("type") == _INCOMPLETE:
        details = _object(_object(last.get("response")).get("incomplete_details"))
        return "content_filter" if details.get("reason") == "content_filter" else "length"
    reason = _object(last.get("delta")).get("stop_reason")
    choices = last.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        reason = _object(choice).get("finish_reason") or reason
    return FINISH_REASONS.get(reason.lower(), "stop") if isinstance(reason, str) else None


def counts_of(event: Json) -> Json | None:
    """The hub's usage; Copilot's own of a response that is incomplete: pi-ai has none of it."""
    last = _last(event)
    if last.get("type") == _INCOMPLETE:
        return chat_usage(_object(last.get("response")).get("usage"))
    usage = _object((_object(event.get("message")) or _object(event.get("error"))).get("usage"))
    read, written = count(usage, "cacheRead"), count(usage, "cacheWrite")
    prompt, completion = count(usage, "input") + read + written, count(usage, "output")
    if not prompt and not completion:
        return None
    return repair_usage(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": count(usage, "totalTokens"),
            "prompt_tokens_details": {
                "cached_tokens": read,
                "cache_creation_input_tokens": written,
            },
        }
    )


def failure_of(event: Json) -> UpstreamError:
    """The error of an ``error`` event; ``broke`` of it says that the connection did, and how."""
    last = _last(event)
    if last.get("type") == "response.failed":
        return parse_error_event({"error": _object(_object(last.get("response")).get("error"))})
    if last.get("error"):
        return parse_error_event(last)
    if last.get("type") == "error":
        return parse_error_event({"error": last})
    if event.get("broke") == "silent":
        return BrokenResponse(
            "Copilot fell silent in the middle of its answer.",
            hint="Try again; COPILOT_PROXY_READ_TIMEOUT sets how long is waited.",
        )
    if event.get("broke") == "cut":
        return BrokenResponse(
            "The connection to Copilot broke in the middle of its answer.",
            hint="What came so far may be incomplete. Try again.",
        )
    text = _text(event)
    if event.get("broke") == "garbled" or _NO_JSON.search(text):
        return BrokenResponse("Copilot sent an event that is not a JSON object.")
    if "stream ended before" in text:
        return BrokenResponse(
            "Copilot's answer broke off before it was complete.",
            hint="What came so far may be incomplete. Try again.",
        )
    reason = mask(text)[:_LONGEST].rstrip(".") or "it does not say why"
    return BrokenResponse(f"pi-ai could not read Copilot's answer: {reason}.")


def _last(event: Json) -> Json:
    return _object(event.get("last"))


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _text(event: Json) -> str:
    """pi-ai's own words for a failure."""
    text = _object(event.get("error")).get("errorMessage")
    return text.strip() if isinstance(text, str) else ""
