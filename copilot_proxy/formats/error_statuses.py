"""The HTTP statuses of Copilot's error codes, for errors that arrive without a status of their own.

Copilot may accept a request with status 200 and report an error in the stream. The client gets the
same status as if Copilot had refused the request at once, so that it does not mistake an invalid
request for an outage.
"""

from collections.abc import Mapping
from typing import Final

_OUTAGE: Final = 502

STATUSES: Final[Mapping[str, int]] = {
    "bad_request": 400,
    "cyber_policy": 400,
    "invalid_prompt": 400,
    "invalid_reasoning_effort": 400,
    "invalid_request": 400,
    "invalid_request_body": 400,
    "invalid_request_error": 400,
    "off_topic": 400,
    "previous_response_not_found": 400,
    "authentication_error": 401,
    "unauthorized": 401,
    "forbidden": 403,
    "permission_error": 403,
    "not_found": 404,
    "not_found_error": 404,
    "user_request_timeout": 408,
    "rate_limit_error": 429,
    "api_error": _OUTAGE,
    "internal_error": _OUTAGE,
    "server_error": _OUTAGE,
    "service_unavailable": 503,
    "timeout_error": 504,
}
"""Codes -> statuses, unless `error_table` has a status for the code."""


def implied_status(code: str | None) -> int:
    """Return the status of an error without one; that of an outage if its code is unknown."""
    return STATUSES.get((code or "").partition(":")[0], _OUTAGE)
