"""Errors in Anthropic's format, as a response body or as an event of a stream.

Source: Anthropic's error reference, https://platform.claude.com/docs/en/api/errors
"""

import re
from collections.abc import Mapping
from typing import Final

from copilot_proxy.errors import CopilotProxyError, join_sentences
from copilot_proxy.formats.permanent_errors import is_permanent, permanent_fields
from copilot_proxy.formats.types import ErrorBody, Json, MessagesEvent
from copilot_proxy.masking import mask

_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_TYPE_NAMES: Final = frozenset(_TYPES.values())
_TOO_LONG: Final = "prompt is too long"
_TOKEN_COUNTS: Final = re.compile(r"prompt token count of (\d+) exceeds the limit of (\d+)")


_FILTERS: Final = ("content_filter", "cyber_policy")
"""The codes with which GitHub refuses the content of a conversation."""


def error_status(error: CopilotProxyError) -> int:
    """Return the status of an error response.

    Claude Code retries any 400 five times within a second, to find out which field is refused.
    Content that GitHub's filters refuse must not be sent that often. Such a refusal gets a status
    that makes clients stop and show the message.
    """
    return 424 if error.status == 400 and error.code in _FILTERS else error.status


def error_body(error: CopilotProxyError, request_id: str) -> ErrorBody:
    """Return the body of an error response.

    ``{"type": "error", "error": {"type", "message", "code", "hint", …}, "request_id": "req_…"}``,
    where ``code`` and ``hint`` are optional, and the fields of `error.extra` are added.
    """
    details: Json = {"type": _type(error), "message": mask(_message(error))}
    if error.code and error.code not in _TYPE_NAMES:
        details["code"] = error.code
    if error.hint:
        details["hint"] = mask(error.hint)
    for name, value in error.extra.items():
        details.setdefault(name, value)
    if is_permanent(error):
        details = permanent_fields(details)
    return {"type": "error", "error": details, "request_id": prefixed_request_id(request_id)}


def error_event(error: CopilotProxyError, request_id: str) -> MessagesEvent:
    """Return the ``error`` event that ends a stream, in the format of `error_body`."""
    return error_body(error, request_id)


def without_hint(event: MessagesEvent) -> MessagesEvent:
    """Return our own `error_event` without the hint in its message, so that parsing it gives the
    original message."""
    details = event["error"]
    message = str(details["message"]).removesuffix(str(details.get("hint") or "")).rstrip()
    return {**event, "error": {**details, "message": message}}


def prefixed_request_id(request_id: str) -> str:
    """Return our request id with the prefix ``req_`` that Anthropic's ids have."""
    return request_id if request_id.startswith("req_") else f"req_{request_id}"


def _type(error: CopilotProxyError) -> str:
    # If Claude reported the error in an event, the type in that event says more than the status.
    if error.code in _TYPE_NAMES:
        return error.code
    default = "invalid_request_error" if error.status < 500 else "api_error"
    return _TYPES.get(error.status, default)


def _message(error: CopilotProxyError) -> str:
    """Return the message with the hint, since clients such as Claude Code show only the message.

    For a prompt that is too long, the wording makes clients compact the conversation.
    """
    if error.code != "context_length_exceeded":
        return join_sentences(error.message, error.hint)
    if _TOO_LONG in error.message:
        return error.message
    if match := _TOKEN_COUNTS.search(error.message):
        return f"{_TOO_LONG}: {match[1]} tokens > {match[2]} maximum"
    return f"{_TOO_LONG}: {error.message}"
