"""Errors in Google's format, as a response body or as an event of a stream.

Source: Google's error model, https://google.aip.dev/193, and the gRPC codes that its APIs use.
"""

import re
from collections.abc import Mapping
from typing import Final

from copilot_proxy.errors import CopilotProxyError, code_of, join_sentences
from copilot_proxy.formats.permanent_errors import is_permanent, permanent_fields
from copilot_proxy.formats.types import ErrorBody, Json
from copilot_proxy.masking import mask

_STATUSES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    # Not RESOURCE_EXHAUSTED: clients would mistake it for a rate limit, and retry.
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE: Final = "type.googleapis.com/google.rpc."
_DOMAIN: Final = "copilot-proxy"
_TOKEN_COUNTS: Final = re.compile(
    r"prompt (?:token count of|is too long:) (\d+) (?:exceeds the limit of|tokens >) (\d+)"
)
"""The numbers in the messages of Copilot and of Claude's API."""
_NOT_A_REASON: Final = re.compile(r"[^A-Za-z0-9]+")


def error_status(error: CopilotProxyError) -> int:
    """Return the status of an error response."""
    return error.status


def error_body(error: CopilotProxyError, request_id: str) -> ErrorBody:
    """Return the body of an error response.

    ``{"error": {"code", "message", "status", "details": [...]}}``. The details are Google's
    ``ErrorInfo``, ``BadRequest`` with the field, ``RetryInfo``, and ``RequestInfo`` with the
    request id. In ``ErrorInfo``, the ``reason`` is the code in uppercase, and the ``metadata``
    contains the hint. The message ends with the hint, since clients show only the message.
    """
    default = "INVALID_ARGUMENT" if error.status < 500 else "UNAVAILABLE"
    fields: Json = {
        "message": mask(_message(error)),
        "status": _STATUSES.get(error.status, default),
        "details": _details(error),
    }
    if is_permanent(error):
        fields = permanent_fields(fields)
    fields["details"].append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    return {"error": {"code": error.status, **fields}}


def _details(error: CopilotProxyError) -> list[Json]:
    info: Json = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": _NOT_A_REASON.sub("_", code_of(error)).strip("_").upper(),
        "domain": _DOMAIN,
    }
    metadata = {"hint": mask(error.hint)} if error.hint else {}
    metadata |= _flat("", error.extra)
    if metadata:
        info["metadata"] = metadata
    details = [info]
    if error.param:
        violation = {"field": error.param, "description": mask(error.message)}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if (seconds := error.headers.get("retry-after", "")).isdecimal():
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{seconds}s"})
    return details


def _flat(prefix: str, values: Mapping[str, object]) -> dict[str, str]:
    """Return nested values as strings under dotted names, as Google's metadata requires."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(f"{prefix}{name}.", value)
        elif value is not None:
            flat[f"{prefix}{name}"] = mask(str(value))
    return flat


def _message(error: CopilotProxyError) -> str:
    """Return the message with the hint, using Google's wording for a prompt that is too long."""
    message = error.message
    if error.code == "context_length_exceeded" and (match := _TOKEN_COUNTS.search(message)):
        message = (
            f"The input token count ({match[1]}) exceeds the maximum number of tokens allowed "
            f"({match[2]})."
        )
    return join_sentences(message, error.hint)
