"""Parses Copilot's error responses, in all their forms, into `UpstreamRefusal`.

The status, code and hint for the client come from `error_table`.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import ceil
from time import time
from typing import Any, Final

import msgspec

from copilot_proxy.errors import CooldownRefusal, CopilotProxyError, UpstreamRefusal, join_sentences
from copilot_proxy.formats.error_statuses import implied_status
from copilot_proxy.formats.error_table import (
    BUSY_PROVIDER,
    WAIT_PLACEHOLDER,
    ErrorMapping,
    default_hint,
    find_mapping,
)
from copilot_proxy.formats.types import CopilotUsage, Json
from copilot_proxy.masking import mask

_MAX_MESSAGE: Final = 2000
_MAX_CODE: Final = 200
_LIMITED: Final = 429
_MAX_WAIT: Final = 31 * 24 * 3600
"""Maximum seconds to wait; after a month, every quota has been reset."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN: Final = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?) ?"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])",
    re.I,
)
_WAIT: Final = re.compile(
    r"\b(?:retry|try again|wait)(?: after| in| for)?(?: about)? "
    rf"(?P<time>{_SPAN.pattern}(?:,? ?(?:and )?{_SPAN.pattern}){{0,3}})",
    re.I,
)
_AUTHORIZATION_REQUIRED: Final = "Copilot requires a separate authorization"
_LONG_WAIT: Final = 60
"""If Retry-After is more than this many seconds, ``x-should-retry: false`` is sent, because some
SDKs would sleep for days."""


def parse_error_response(
    status: int, headers: Mapping[str, str], body: bytes, *, names_model: bool = True
) -> UpstreamRefusal:
    """Return the error for a response with `status` >= 400 and lowercase header names.

    `names_model` is False if the request was not for a particular model.
    """
    message, code, param, wait = _parse_body(body)
    if wait is not None:
        headers = {"retry-after": wait, **headers}
    mapping = find_mapping(status, code, message)
    if mapping is BUSY_PROVIDER and not names_model:
        mapping = ErrorMapping()
    if message.startswith(_AUTHORIZATION_REQUIRED):
        mapping = mapping._replace(hint="Open the page in a browser and try again.")
    if _LIMITED in (status, mapping.status) and seconds_to_wait(headers.get("retry-after")) is None:
        headers = {**headers, **_wait_in(message)}
    client_status = mapping.status or (status if 400 <= status < 600 else 502)
    client_headers = _retry_headers(headers, mapping)
    upstream: dict[str, object] = {"status": status, "code": code}
    if github_id := headers.get("x-github-request-id"):
        upstream["request_id"] = mask(github_id)
    refusal = UpstreamRefusal(
        message or f"Copilot answered with status {status} and no message.",
        upstream_status=status,
        upstream_code=code,
        hint=_with_wait(
            mapping.hint or default_hint(client_status), client_headers.get("retry-after")
        ),
        code=mapping.code or code,
        param=mapping.param or param,
        status=client_status,
        type=mapping.type or ("invalid_request_error" if client_status < 500 else "server_error"),
        headers=client_headers,
        extra={"upstream": upstream},
    )
    refusal.copilot_usage = _charge(body)
    return refusal


def repeat_refusal(error: CopilotProxyError, remaining: int) -> CooldownRefusal:
    """Return the cached refusal `error` for a new request during a cooldown, which ends in
    `remaining` seconds."""
    message = error.message
    if isinstance(error, UpstreamRefusal):
        # The message may mention a waiting time, part of which has already passed.
        message = f"Copilot's earlier response: {message}"
        status, code = error.upstream_status, error.upstream_code
        # An error event has no status of its own.
        mapping = find_mapping(error.status if status == 200 else status, code, error.message)
    else:
        status, code, mapping = error.status, None, ErrorMapping(hint=error.hint, retry=False)
    headers = _retry_headers({**error.headers, "retry-after": str(remaining)}, mapping)
    note = "The request was not sent: Copilot's refusal still applies"
    if mapping.retry is False:
        # Waiting does not help unless the user changes something.
        note, hint = (
            f"{note}; Copilot will be asked again in {_span(remaining)}.",
            _with_wait(mapping.hint, None),
        )
    else:
        note, hint = f"{note}.", _with_wait(mapping.hint, str(remaining))
    return CooldownRefusal(
        message,
        upstream_status=status,
        upstream_code=code,
        # The mapping's hint comes last, because it may end with a command.
        hint=join_sentences(note, hint),
        code=error.code,
        param=error.param,
        status=error.status,
        type=error.type,
        headers=headers,
        extra=error.extra,
    )


def _with_wait(hint: str | None, wait: str | None) -> str | None:
    """Return `hint` with the seconds from Retry-After, for users who do not see the header."""
    if wait is None or int(wait) == 0:
        return hint and hint.replace(WAIT_PLACEHOLDER, "a while")
    span = _span(int(wait))
    if hint and WAIT_PLACEHOLDER in hint:
        return hint.replace(WAIT_PLACEHOLDER, span)
    return join_sentences(f"Wait {span}.", hint)


def _span(seconds: int) -> str:
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    rounded = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else ""
    return f"{seconds} s{f' ({rounded})' if rounded else ''}"


def parse_error_event(data: Mapping[str, Any]) -> UpstreamRefusal:
    """Return the error for an error event in a response with status 200."""
    body = msgspec.json.encode(data)
    _, code, _, _ = _parse_body(body)
    error = parse_error_response(implied_status(code), {}, body)
    error.upstream_status = 200
    error.extra["upstream"] = {"status": 200, "code": error.upstream_code}
    # The request was accepted and may be billed, so clients must not retry it automatically.
    error.headers["x-should-retry"] = "false"
    return error


def _parse_body(body: bytes) -> tuple[str, str | None, str | None, str | None]:
    """Return the message, code, param and waiting time from an error body in any known form.

    The time is in seconds. The Content-Type is ignored because Copilot sends JSON as text/plain.
    """
    text = body.decode("utf-8", "replace").strip()
    code: str | None = None
    param: str | None = None
    wait: str | None = None
    for _ in range(4):  # the message may itself be JSON, a few levels deep
        error = _error_object(text)
        if error is None:
            break
        code = _text(error, "code") or _text(error, "status") or code or _kind(error)
        param = _text(error, "param") or param
        wait = _number(error, "retry_after") or wait
        text = _text(error, "message") or _authorization_message(error)
    if text[:200].lstrip().lower().startswith(("<!doctype", "<html")):
        text = _page_message(text)
    return mask(text)[:_MAX_MESSAGE], _truncated(code), _truncated(param), wait


def _charge(body: bytes) -> CopilotUsage | None:
    """Return the ``copilot_usage`` in an error's body or event, or None if there is none."""
    if b'"copilot_usage"' not in body:
        return None
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    for holder in (data, data.get("error") if isinstance(data, dict) else None):
        found = holder.get("copilot_usage") if isinstance(holder, dict) else None
        if isinstance(found, dict):
            return found
    return None


def _wait_in(message: str) -> dict[str, str]:
    """Return ``retry-after`` in seconds if the message about a rate limit says how long to wait.

    Examples: "Please retry after 840 seconds" and "try again in 1 hour and 5 minutes".
    """
    match = _WAIT.search(message)
    if match is None:
        return {}
    parts = _SPAN.findall(match["time"])
    seconds = sum(float(number) * _UNITS[unit[0].lower()] for number, unit in parts)
    return {"retry-after": str(ceil(seconds))}


def _truncated(text: str | None) -> str | None:
    return mask(text)[:_MAX_CODE] if text else None


def _text(error: Mapping[str, Any], name: str) -> str | None:
    """Return a field's text, or None if it is a number: Gemini's codes only repeat the status."""
    value = error.get(name)
    return value.strip() if isinstance(value, str) and not value.strip().isdigit() else None


def _kind(error: Mapping[str, Any]) -> str | None:
    """Return an error's type, unless it only says that this is an error, as in Responses."""
    kind = _text(error, "type")
    return None if kind == "error" else kind


def _number(error: Mapping[str, Any], name: str) -> str | None:
    value = error.get(name)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _error_object(text: str) -> Json | None:
    if not text.startswith("{"):
        return None
    try:
        data: Json = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    error = data.get("error", data)
    if isinstance(error, str):
        return {"message": error, "code": data.get("code")}
    return error if isinstance(error, dict) else data


def _authorization_message(error: Json) -> str:
    """Return the message for an error that only contains the URL of a page on GitHub."""
    page = _text(error, "authorize_url")
    return f"{_AUTHORIZATION_REQUIRED}: {page}" if page else ""


def _page_message(page: str) -> str:
    import html  # large, and rarely needed

    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    name = " ".join(html.unescape(title[1]).split()) if title else ""
    return f"A web page was sent instead of a response{f' ({name})' if name else ''}."


def _retry_headers(headers: Mapping[str, str], mapping: ErrorMapping) -> dict[str, str]:
    """Return the retry headers for the client, based on `headers` from Copilot."""
    kept: dict[str, str] = {}
    wait = seconds_to_wait(headers.get("retry-after"))
    if wait is not None:
        kept["retry-after"] = str(wait)
    if "x-ratelimit-exceeded" in headers:
        kept["x-ratelimit-exceeded"] = mask(headers["x-ratelimit-exceeded"])
    if mapping.retry is False or (wait is not None and wait > _LONG_WAIT):
        kept["x-should-retry"] = "false"
    return kept


def seconds_to_wait(value: str | None) -> int | None:
    """Parse Retry-After, a number of seconds or a date (RFC 9110, section 10.2.3).

    Returns at most `_MAX_WAIT`, after which every quota has been reset.
    """
    if value is None:
        return None
    try:
        return min(max(0, ceil(float(value))), _MAX_WAIT)
    except (ValueError, OverflowError):
        pass
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0, ceil(date.timestamp() - time())), _MAX_WAIT)
