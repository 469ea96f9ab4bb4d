"""Copilot's error answers, in all their shapes, as one `UpstreamRefusal` each, with a hint.

Pure. What each refusal means to a client is data, in `meanings`.
"""

import html
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import ceil
from time import time
from typing import Any, Final

import msgspec

from copilot_proxy.errors import CooldownRefusal, CopilotProxyError, UpstreamRefusal, joined
from copilot_proxy.formats.error_table import AS_LONG, ErrorMapping, mapping_for, otherwise
from copilot_proxy.masking import mask

_MOST_TEXT: Final = 2000
_MOST_WORD: Final = 200
_LONG_WAIT: Final = 60
"""Seconds of Retry-After beyond which an SDK must not wait by itself: some would sleep for days."""


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamRefusal:
    """The error for an answer of `status` (400 or above); header names in lower case."""
    message, code, param, wait = _read(body)
    if wait is not None:
        headers = {"retry-after": wait, **headers}
    meaning = mapping_for(status, code, message)
    ours = meaning.status or (status if 400 <= status < 600 else 502)
    out = _retry_headers(headers, meaning)
    upstream: dict[str, object] = {"status": status, "code": code}
    if github_id := headers.get("x-github-request-id"):
        upstream["request_id"] = mask(github_id)
    return UpstreamRefusal(
        message or f"Copilot answered with status {status} and said nothing more.",
        upstream_status=status,
        upstream_code=code,
        hint=_timed(meaning.hint or otherwise(ours), out.get("retry-after")),
        code=meaning.code or code,
        param=meaning.param or param,
        status=ours,
        type=meaning.type or ("invalid_request_error" if ours < 500 else "server_error"),
        headers=out,
        extra={"upstream": upstream},
    )


def again(error: CopilotProxyError, left: int) -> CooldownRefusal:
    """The refusal `error` for one more client, who waits `left` seconds, without asking anew."""
    message = error.message
    if isinstance(error, UpstreamRefusal):
        # It may name a time of its own, of which a part has passed.
        message = f"Copilot's earlier answer: {message}"
        status, code = error.upstream_status, error.upstream_code
        meaning = mapping_for(status, code, error.message)
    else:
        status, code, meaning = error.status, None, ErrorMapping(hint=error.hint, retry=False)
    out = _retry_headers({**error.headers, "retry-after": str(left)}, meaning)
    hint = _timed(meaning.hint, str(left))
    return CooldownRefusal(
        message,
        upstream_status=status,
        upstream_code=code,
        # The hint may end in a command.
        hint=joined("Copilot was not asked this time: its refusal still stands.", hint),
        code=error.code,
        param=error.param,
        status=error.status,
        type=error.type,
        headers=out,
        extra=error.extra,
    )


def _timed(hint: str | None, wait: str | None) -> str | None:
    """`hint` with the time that Retry-After gives, for whoever does not see the header."""
    if wait is None:
        return hint and hint.replace(AS_LONG, "a while")
    seconds = int(wait)
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    told = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else ""
    span = f"{seconds} s{f' ({told})' if told else ''}"
    if hint and AS_LONG in hint:
        return hint.replace(AS_LONG, span)
    return joined(f"Wait {span}.", hint)


def event_refusal(data: Mapping[str, Any]) -> UpstreamRefusal:
    """The error for an event that holds one, in the middle of an answer with status 200."""
    error = refusal(502, {}, msgspec.json.encode(data))
    # The call was accepted, so it may be billed: no client is to repeat it by itself.
    error.headers["x-should-retry"] = "false"
    return error


def _read(body: bytes) -> tuple[str, str | None, str | None, str | None]:
    """Message, code, param and seconds to wait of an error body, whichever of the known shapes.

    Its Content-Type is not asked: Copilot sends JSON as text/plain.
    """
    text = body.decode("utf-8", "replace").strip()
    code: str | None = None
    param: str | None = None
    wait: str | None = None
    for _ in range(4):  # JSON in a string in JSON is seen, and is never deep
        error = _error_object(text)
        if error is None:
            break
        code = _word(error, "code") or _word(error, "status") or code or _word(error, "type")
        param = _word(error, "param") or param
        wait = _number(error, "retry_after") or wait
        text = _word(error, "message") or ""
    if text[:200].lstrip().lower().startswith(("<!doctype", "<html")):
        text = _of_page(text)
    return mask(text)[:_MOST_TEXT], _short(code), _short(param), wait


def _short(word: str | None) -> str | None:
    return mask(word)[:_MOST_WORD] if word else None


def _word(error: Mapping[str, Any], name: str) -> str | None:
    """A field's text. Gemini's backend gives numbers, which say no more than the status."""
    value = error.get(name)
    return value.strip() if isinstance(value, str) and not value.strip().isdigit() else None


def _number(error: Mapping[str, Any], name: str) -> str | None:
    value = error.get(name)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _error_object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        data: dict[str, Any] = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    error = data.get("error", data)
    if isinstance(error, str):
        return {"message": error, "code": data.get("code")}
    return error if isinstance(error, dict) else data


def _of_page(page: str) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    name = " ".join(html.unescape(title[1]).split()) if title else ""
    return f"A web page came instead of an answer{f' ({name})' if name else ''}."


def _retry_headers(headers: Mapping[str, str], meaning: ErrorMapping) -> dict[str, str]:
    out: dict[str, str] = {}
    wait = seconds_to_wait(headers.get("retry-after"))
    if wait is not None:
        out["retry-after"] = str(wait)
    if "x-ratelimit-exceeded" in headers:
        out["x-ratelimit-exceeded"] = mask(headers["x-ratelimit-exceeded"])
    if meaning.retry is False or (wait is not None and wait > _LONG_WAIT):
        out["x-should-retry"] = "false"
    return out


def seconds_to_wait(value: str | None) -> int | None:
    """Retry-After in seconds, from either of its two forms (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    try:
        return max(0, ceil(float(value)))
    except (ValueError, OverflowError):
        pass
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0, ceil(date.timestamp() - time()))
