"""Failures as Anthropic's error object, in an answer or in a stream.

Source: Anthropic's error reference, https://platform.claude.com/docs/en/api/errors
"""

import re
from collections.abc import Mapping
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.messages.schema import Json
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
_NAMES: Final = frozenset(_TYPES.values())
_TOO_LONG: Final = "prompt is too long"
_COUNTED: Final = re.compile(r"prompt token count of (\d+) exceeds the limit of (\d+)")


def error_body(error: CopilotProxyError, request_id: str) -> Json:
    """``{"type": "error", "error": {...}, "request_id": "req_..."}``."""
    body: Json = {"type": _type(error), "message": mask(_message(error))}
    if error.code and error.code not in _NAMES:
        body["code"] = error.code
    if error.hint:
        body["hint"] = mask(error.hint)
    for name, value in error.extra.items():
        body.setdefault(name, value)
    return {"type": "error", "error": body, "request_id": request_id_of(request_id)}


def error_event(error: CopilotProxyError, request_id: str) -> Json:
    """The ``error`` event that ends a stream; it has the shape of `error_body`."""
    return error_body(error, request_id)


def request_id_of(request_id: str) -> str:
    """Our id of a request, as Anthropic's clients expect ids to look."""
    return request_id if request_id.startswith("req_") else f"req_{request_id}"


def _type(error: CopilotProxyError) -> str:
    # Claude's own word, when the failure came as one of its events, says more than a status.
    if error.code in _NAMES:
        return error.code
    default = "invalid_request_error" if error.status < 500 else "api_error"
    return _TYPES.get(error.status, default)


def _message(error: CopilotProxyError) -> str:
    """The message; that of a prompt beyond the limit in the words on which clients compact it."""
    if error.code != "context_length_exceeded" or _TOO_LONG in error.message:
        return error.message
    if found := _COUNTED.search(error.message):
        return f"{_TOO_LONG}: {found[1]} tokens > {found[2]} maximum"
    return f"{_TOO_LONG}: {error.message}"
