"""Copilot's error answers, in all their shapes, as one `Refused` each, with a hint.

Pure. What each code means to a client is data, in the tables; the code decides before the status,
since Copilot says some things with several statuses.
"""

import html
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import ceil
from time import time
from typing import Any, Final, NamedTuple

import msgspec

from copilot_proxy.catalogue import ENABLE_URL
from copilot_proxy.errors import CopilotProxyError, Refused, Resting
from copilot_proxy.masking import mask

_USAGE_URL: Final = "https://github.com/settings/copilot"
_MOST_TEXT: Final = 2000
_MOST_WORD: Final = 200
_LONG_WAIT: Final = 60
"""Seconds of Retry-After beyond which an SDK must not wait by itself: some would sleep for days."""


class Meaning(NamedTuple):
    """How a refusal reads to an OpenAI client; None keeps what upstream said."""

    status: int | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    hint: str | None = None
    message: str | None = None
    retry: bool | None = None


_QUOTA = Meaning(
    status=429,
    type="insufficient_quota",
    code="insufficient_quota",
    hint=f"The plan's quota is used up until it is reset; see {_USAGE_URL}. "
    "Models that cost nothing may still answer.",
    retry=False,
)
_TOO_LONG = Meaning(
    status=400,
    type="invalid_request_error",
    code="context_length_exceeded",
    param="messages",
    hint="Shorten the conversation, or take a model with a larger prompt limit "
    "(copilot-proxy models).",
)
_RATE = Meaning(
    status=429,
    type="rate_limit_error",
    code="rate_limit_exceeded",
    hint="Wait as long as Retry-After says; this limit is apart from the plan's quota.",
)
_NOT_SUPPORTED = Meaning(
    status=404,
    type="invalid_request_error",
    code="model_not_found",
    param="model",
    hint=f"The model may have to be enabled at {ENABLE_URL}, by you or your organisation. "
    "copilot-proxy models shows what the account has.",
)

_FOREIGN_SEAL = Meaning(
    status=400,
    type="invalid_request_error",
    hint="Reasoning of another model or account is in the conversation: start a new one, or leave "
    "the earlier reasoning out.",
    retry=False,
)

_BY_CODE: Final[Mapping[str, Meaning]] = {
    "quota_exceeded": _QUOTA,
    "free_quota_exceeded": _QUOTA,
    "overage_limit_reached": _QUOTA,
    "billing_not_configured": _QUOTA,
    "rate_limited": _RATE,
    "rate_limit_exceeded": _RATE,
    "invalid_encrypted_content": _FOREIGN_SEAL,
    "user_global_rate_limited": _RATE,
    "user_model_rate_limited": _RATE._replace(
        hint="This limit is on the model: wait as long as Retry-After says, or take another one."
    ),
    "user_weekly_rate_limited": _RATE._replace(
        hint="This is GitHub's weekly limit: wait as long as Retry-After says."
    ),
    "integration_rate_limited": _RATE,
    "agent_mode_limit_exceeded": _RATE,
    "model_overloaded": _RATE._replace(hint="The model is busy: wait a little, or take another."),
    "upstream_provider_rate_limit": _RATE,
    "extension_blocked": _RATE._replace(retry=False),
    "model_not_supported": _NOT_SUPPORTED,
    "model_max_prompt_tokens_exceeded": _TOO_LONG,
    "context_length_exceeded": _TOO_LONG,
    "unsupported_api_for_model": Meaning(
        status=400,
        type="invalid_request_error",
        param="model",
        hint="Take another model; copilot-proxy models lists what the account has.",
    ),
    "invalid_reasoning_effort": Meaning(
        type="invalid_request_error", param="reasoning_effort", retry=False
    ),
    "user_request_timeout": Meaning(hint="The upload to Copilot stalled; try again."),
    "RESOURCE_EXHAUSTED": _RATE,
    "content_filter": Meaning(
        status=400, type="invalid_request_error", code="content_filter", retry=False
    ),
}

_BY_TEXT: Final = (
    # Of the older answers, which have no code.
    (re.compile(r"is not accessible via the|does not support Responses API"), None),
    (re.compile(r"prompt token count of \d+ exceeds|prompt is too long"), _TOO_LONG),
    (re.compile(r"exceeds the context window|too large for model context window"), _TOO_LONG),
    (re.compile(r"^quota exceeded\W*$", re.IGNORECASE), _QUOTA),
    (re.compile(r"input item ID does not belong|[Ii]nvalid .?signature.? in"), _FOREIGN_SEAL),
    (
        re.compile(r"missing required Copilot-Vision-Request header"),
        Meaning(
            status=400,
            type="invalid_request_error",
            hint="Copilot does not take this image; the organisation may have switched vision off.",
        ),
    ),
    (
        re.compile(r"API version is no longer supported|client not supported"),
        Meaning(
            status=502,
            hint="GitHub no longer takes the version that copilot-proxy names. Upgrade it, or set "
            "COPILOT_PROXY_EDITOR_VERSION and COPILOT_PROXY_API_VERSION to newer ones.",
            retry=False,
        ),
    ),
    (
        re.compile(r"Editor-Version header for IDE auth"),
        Meaning(
            status=502,
            hint="Set COPILOT_PROXY_EDITOR_VERSION, such as vscode/1.137.0.",
            retry=False,
        ),
    ),
    (
        re.compile(r"Authorization header is badly formatted"),
        Meaning(
            status=401,
            type="authentication_error",
            hint="The token is of the wrong kind. Sign in with: copilot-proxy login",
            retry=False,
        ),
    ),
)

_BY_STATUS: Final[Mapping[int, Meaning]] = {
    400: Meaning(type="invalid_request_error"),
    401: Meaning(
        type="authentication_error",
        hint="Copilot refuses the sign-in. Sign in again with: copilot-proxy login",
        retry=False,
    ),
    402: _QUOTA,
    403: Meaning(
        type="permission_error",
        hint="The account, its organisation or its plan does not allow this. copilot-proxy status "
        f"shows the account; its settings are at {_USAGE_URL}.",
        retry=False,
    ),
    404: Meaning(type="invalid_request_error"),
    408: Meaning(type="server_error", hint="The upload to Copilot stalled; try again."),
    413: Meaning(
        type="invalid_request_error",
        hint="Copilot counts bytes here: send smaller or fewer images, or a shorter conversation.",
        retry=False,
    ),
    415: Meaning(status=400, type="invalid_request_error", code="content_filter", retry=False),
    421: Meaning(
        status=502,
        hint="Copilot has moved the account to another host. Try again; if it stays so, "
        "copilot-proxy status shows the host that GitHub names.",
        retry=False,
    ),
    422: Meaning(
        status=400,
        type="invalid_request_error",
        code="content_filter",
        hint="GitHub's content filter refused the request.",
        retry=False,
    ),
    424: Meaning(status=502, retry=False),
    429: _RATE,
    466: Meaning(
        status=502,
        hint="GitHub no longer takes the version that copilot-proxy names. Upgrade it, or set "
        "COPILOT_PROXY_EDITOR_VERSION and COPILOT_PROXY_API_VERSION to newer ones.",
        retry=False,
    ),
    499: Meaning(status=502, retry=False),
    503: Meaning(hint="The model's provider is busy: wait a little, or take another model."),
}


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """The error for an answer of `status` (400 or above); header names in lower case."""
    message, code, param, wait = _read(body)
    if wait is not None:
        headers = {"retry-after": wait, **headers}
    meaning = _meaning(status, code, message)
    if code == "unsupported_api_for_model" or _BY_TEXT[0][0].search(message):
        code, meaning = "unsupported_api_for_model", _BY_CODE["unsupported_api_for_model"]

    ours = meaning.status or (status if 400 <= status < 600 else 502)
    out = _retry_headers(headers, meaning)
    upstream: dict[str, object] = {"status": status, "code": code}
    if github_id := headers.get("x-github-request-id"):
        upstream["request_id"] = github_id
    return Refused(
        message or f"Copilot answered with status {status} and said nothing more.",
        upstream_status=status,
        upstream_code=code,
        hint=_timed(meaning.hint, out.get("retry-after")),
        code=meaning.code or code,
        param=meaning.param or param,
        status=ours,
        type=meaning.type or ("invalid_request_error" if ours < 500 else "server_error"),
        headers=out,
        extra={"upstream": upstream},
    )


def again(error: CopilotProxyError, left: int) -> Resting:
    """The refusal `error` for one more client, who waits `left` seconds, without asking anew."""
    if isinstance(error, Refused):
        status, code = error.upstream_status, error.upstream_code
        meaning = _meaning(status, code, error.message)
    else:
        status, code, meaning = error.status, None, Meaning(hint=error.hint, retry=False)
    out = _retry_headers({**error.headers, "retry-after": str(left)}, meaning)
    hint = _timed(meaning.hint, str(left))
    return Resting(
        error.message,
        upstream_status=status,
        upstream_code=code,
        hint=f"{hint} Copilot was not asked this time, since it has just refused the same.",
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
        return hint
    seconds = int(wait)
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    told = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else ""
    return f"{hint or 'Wait.'} Retry-After: {seconds} s{f' ({told})' if told else ''}."


def event_refusal(data: Mapping[str, Any]) -> Refused:
    """The error for an event that holds one, in the middle of an answer with status 200."""
    error = refusal(502, {}, msgspec.json.encode(data))
    # The call was accepted, so it may be billed: no client is to repeat it by itself.
    error.headers["x-should-retry"] = "false"
    return error


def _meaning(status: int, code: str | None, message: str) -> Meaning:
    # Codes can have a suffix: user_model_rate_limited:gpt-5.6
    known = _BY_CODE.get((code or "").partition(":")[0])
    if known is not None:
        return known
    for pattern, meaning in _BY_TEXT:
        if meaning is not None and pattern.search(message):
            return meaning
    if status == 403 and "Terms of Service" in message:
        return _BY_STATUS[403]._replace(
            hint="GitHub has blocked this access. Stop, and read the mail GitHub may have sent you "
            "before you use Copilot again."
        )
    return _BY_STATUS.get(status, Meaning())


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


def _retry_headers(headers: Mapping[str, str], meaning: Meaning) -> dict[str, str]:
    out: dict[str, str] = {}
    wait = _seconds(headers.get("retry-after"))
    if wait is not None:
        out["retry-after"] = str(wait)
    if "x-ratelimit-exceeded" in headers:
        out["x-ratelimit-exceeded"] = headers["x-ratelimit-exceeded"]
    if meaning.retry is False or (wait is not None and wait > _LONG_WAIT):
        out["x-should-retry"] = "false"
    return out


def _seconds(value: str | None) -> int | None:
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
