"""Maps Copilot's errors to the status, code and hint that a client receives.

The error code takes precedence over the message, and both over the status, because Copilot reports
some errors with more than one status.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from copilot_proxy.catalogue import ENABLE_URL
from copilot_proxy.formats.error_statuses import STATUSES

_INVALID_REASONING: Final = "invalid_encrypted_content"
_NOT_VERIFIED: Final = re.compile(
    r"[Ii]nvalid .?signature.? in"
    # These have meaningless codes, such as bad_request and invalid_request_body.
    r"|[Ee]ncrypted (function output )?content .*could not be (verified|decrypted)"
    # Ids are never sent, but encrypted content is bound to its connection or backend as well.
    r"|input item ID does not belong"
)
WRONG_API_CODE: Final = "unsupported_api_for_model"
WAIT_PLACEHOLDER: Final = "as long as Retry-After says"
"""The part of a hint that is replaced by the waiting time, if known."""
_USAGE_URL: Final = "https://github.com/settings/copilot"
_UPLOAD_HINT: Final = "The upload to Copilot stalled. Try again."
_BUSY_HINT: Final = "The model is busy. Wait a moment, or use another model."


class ErrorMapping(NamedTuple):
    """The error that the client receives. If a value is None, Copilot's own is kept."""

    status: int | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    hint: str | None = None
    retry: bool | None = None


_QUOTA = ErrorMapping(
    # Many clients retry a 429 for hours, but none retries a 402. See `ClientApi.error_status`.
    status=402,
    type="insufficient_quota",
    code="insufficient_quota",
    hint=f"The plan's quota is used up. Wait for the next reset; see {_USAGE_URL}. "
    "Models included in the plan may still work.",
    retry=False,
)
_BILLING = _QUOTA._replace(
    hint="No billing is set up for this request. Set up billing at "
    "https://github.com/settings/billing, or ask your organization's administrator to do so.",
)
_TOO_LONG = ErrorMapping(
    status=400,
    type="invalid_request_error",
    code="context_length_exceeded",
    param="messages",
    hint="Shorten the conversation, or use a model with a larger prompt limit. To list models, "
    "run: copilot-proxy models",
)
_TOO_MANY_BYTES = ErrorMapping(
    status=413,
    type="invalid_request_error",
    hint="The request is too large. Send smaller or fewer images and files, or shorten the "
    "conversation.",
    retry=False,
)
_RATE = ErrorMapping(
    status=429,
    type="rate_limit_error",
    code="rate_limit_exceeded",
    hint=f"Wait {WAIT_PLACEHOLDER}; this limit is separate from the plan's quota.",
)
_NOT_SUPPORTED = ErrorMapping(
    status=404,
    type="invalid_request_error",
    code="model_not_found",
    param="model",
    hint=f"You or your organization may have to enable the model at {ENABLE_URL}. To list the "
    "account's models, run: copilot-proxy models",
)
_FOREIGN_REASONING = ErrorMapping(
    status=400,
    type="invalid_request_error",
    hint="The conversation contains reasoning from another model or account. Start a new "
    "conversation, or remove the earlier reasoning.",
    retry=False,
)

# Clients retry a 502 (the Copilot CLI five times), but not a 400.
_OLD_VERSION = ErrorMapping(
    status=400,
    hint="GitHub no longer accepts the version that copilot-proxy sends. Upgrade copilot-proxy, or "
    "set COPILOT_PROXY_EDITOR_VERSION and COPILOT_PROXY_API_VERSION to newer versions.",
    retry=False,
)

_NO_SUCH_PATH = ErrorMapping(
    type="invalid_request_error",
    hint="The host does not have this path. If COPILOT_PROXY_COPILOT_API_URL is set, check it. "
    "Otherwise, upgrade copilot-proxy.",
)

BUSY_PROVIDER: Final = ErrorMapping(
    hint="The model's provider is busy. Wait a moment, or use another model."
)

_FILTERED = ErrorMapping(
    status=400,
    type="invalid_request_error",
    code="content_filter",
    hint="GitHub's content filter blocked the request. Rephrase it.",
    retry=False,
)

_BY_CODE: Final[Mapping[str, ErrorMapping]] = {
    "quota_exceeded": _QUOTA,
    "free_quota_exceeded": _QUOTA,
    "overage_limit_reached": _QUOTA,
    "billing_not_configured": _BILLING,
    "custom_billing_not_configured": _BILLING,
    "additional_spend_limit_reached": _QUOTA._replace(
        hint="The limit for additional spending has been reached. Raise it at "
        "https://github.com/settings/billing, or wait for the next reset. Models included in the "
        "plan may still work.",
    ),
    "session_quota_exceeded": _QUOTA._replace(
        hint="GitHub's quota for this session is used up. Start a new conversation, or wait for "
        f"the next reset; see {_USAGE_URL}.",
    ),
    "rate_limited": _RATE,
    "rate_limit_exceeded": _RATE,
    _INVALID_REASONING: _FOREIGN_REASONING,
    "user_global_rate_limited": _RATE,
    "user_model_rate_limited": _RATE._replace(
        hint=f"This limit applies to the model: wait {WAIT_PLACEHOLDER}, or use another model."
    ),
    "user_weekly_rate_limited": _RATE._replace(
        hint=f"This is GitHub's weekly limit: wait {WAIT_PLACEHOLDER}."
    ),
    "integration_rate_limited": _RATE,
    "agent_mode_limit_exceeded": _RATE,
    "model_overloaded": _RATE._replace(hint=_BUSY_HINT),
    "upstream_provider_rate_limit": _RATE,
    "extension_blocked": _RATE._replace(retry=False),
    "model_not_supported": _NOT_SUPPORTED,
    "model_max_prompt_tokens_exceeded": _TOO_LONG,
    "context_length_exceeded": _TOO_LONG,
    "request_too_large": _TOO_MANY_BYTES,
    WRONG_API_CODE: ErrorMapping(
        status=400,
        type="invalid_request_error",
        code=WRONG_API_CODE,
        param="model",
        hint="Use another model. To list the account's models, run: copilot-proxy models",
    ),
    "invalid_reasoning_effort": ErrorMapping(
        type="invalid_request_error",
        param="reasoning_effort",
        hint="Use a reasoning effort that the model supports.",
        retry=False,
    ),
    "previous_response_not_found": ErrorMapping(
        type="invalid_request_error",
        hint="Copilot does not store responses. Send the whole conversation.",
    ),
    "off_topic": ErrorMapping(
        type="invalid_request_error", hint="GitHub considers the question off topic. Rephrase it."
    ),
    "cyber_policy": ErrorMapping(
        type="invalid_request_error",
        hint="GitHub's misuse detection blocked the request, possibly by mistake. Rephrase it, or "
        "use another model.",
    ),
    "user_request_timeout": ErrorMapping(type="server_error", hint=_UPLOAD_HINT),
    # Anthropic's own status, by which its SDKs choose the exception; events have no status.
    "overloaded_error": ErrorMapping(status=529, hint=_BUSY_HINT),
    "RESOURCE_EXHAUSTED": _RATE,
    "content_filter": _FILTERED,
}

WRONG_API: Final = re.compile(r"is not accessible via the|does not support Responses API")
_BY_TEXT: Final = (
    # Errors without a code.
    (re.compile(r"prompt token count of \d+ exceeds|prompt is too long"), _TOO_LONG),
    (re.compile(r"exceeds? (the )?context (window|limit)|too large for model context"), _TOO_LONG),
    (re.compile(r"maximum context length|token count \(\d+\) exceeds"), _TOO_LONG),
    (re.compile(r"^quota exceeded\W*$", re.IGNORECASE), _QUOTA),
    (re.compile(r"\boff_topic\b"), _BY_CODE["off_topic"]),
    (_NOT_VERIFIED, _FOREIGN_REASONING),
    (
        re.compile(r"image media type not supported"),
        ErrorMapping(
            status=400,
            type="invalid_request_error",
            hint="Send images as PNG, JPEG, GIF or WebP, or use another model.",
        ),
    ),
    (
        re.compile(r"missing required Copilot-Vision-Request header"),
        ErrorMapping(
            status=400,
            type="invalid_request_error",
            hint="Send the request without this image. If Copilot rejects every image, the "
            "organization may have disabled vision.",
        ),
    ),
    (re.compile(r"API version is no longer|client not supported|invalid apiVersion"), _OLD_VERSION),
    (re.compile(r"^404 page not found"), _NO_SUCH_PATH),
    (
        re.compile(r"Editor-Version header for IDE auth"),
        ErrorMapping(
            status=400,
            hint="Set COPILOT_PROXY_EDITOR_VERSION to a value such as vscode/1.137.0.",
            retry=False,
        ),
    ),
    (
        re.compile(r"Authorization header is badly formatted"),
        ErrorMapping(
            status=401,
            type="authentication_error",
            hint="The token has the wrong type. Sign in with: copilot-proxy login",
            retry=False,
        ),
    ),
)

_BY_STATUS: Final[Mapping[int, ErrorMapping]] = {
    400: ErrorMapping(type="invalid_request_error"),
    401: ErrorMapping(
        type="authentication_error",
        hint="Copilot rejected the sign-in. Sign in again with: copilot-proxy login",
        retry=False,
    ),
    402: _QUOTA,
    403: ErrorMapping(
        type="permission_error",
        hint="The account, its organization or its plan does not allow this. Check the settings at "
        f"{_USAGE_URL}, and the account with: copilot-proxy status",
        retry=False,
    ),
    404: ErrorMapping(type="invalid_request_error"),
    408: ErrorMapping(type="server_error", hint=_UPLOAD_HINT),
    413: _TOO_MANY_BYTES,
    415: _FILTERED,
    421: ErrorMapping(
        status=400,
        hint="Copilot has moved the account to another host. Try again. If the error persists, "
        "check the account's host with: copilot-proxy status",
        retry=False,
    ),
    422: _FILTERED,
    424: ErrorMapping(status=400, retry=False),
    429: _RATE,
    466: _OLD_VERSION,
    499: ErrorMapping(status=502, retry=False),
    503: BUSY_PROVIDER,
}


def find_mapping(status: int, code: str | None, message: str) -> ErrorMapping:
    """Return the mapping for an error, found by its code, its message or its status, in this
    order."""
    if code == WRONG_API_CODE or WRONG_API.search(message):
        return _BY_CODE[WRONG_API_CODE]
    # Codes can have a suffix: user_model_rate_limited:gpt-5.6
    mapping = _BY_CODE.get((code or "").partition(":")[0])
    if mapping is not None:
        return mapping
    for pattern, mapping in _BY_TEXT:
        if pattern.search(message):
            return mapping
    if status == 403 and "Terms of Service" in message:
        return _BY_STATUS[403]._replace(
            hint="GitHub has blocked access. Stop using Copilot until you have checked your email "
            "for a message from GitHub."
        )
    return _BY_STATUS.get(status, ErrorMapping())


def is_foreign_reasoning(code: str | None, message: str) -> bool:
    """Return whether the error is about reasoning, or other encrypted parts of the conversation,
    that the model cannot decrypt or verify.

    Such parts come from another model, or from the same model in another account.
    """
    return code == _INVALID_REASONING or _NOT_VERIFIED.search(message) is not None


def default_hint(status: int) -> str:
    """Return the default hint for an error, based on the `status` that the client receives."""
    if status == 404:
        return "The model may not exist. To list the account's models, run: copilot-proxy models"
    if status < 500:
        return "Copilot rejected the request. Correct the part that the message names."
    return "Try again. Check https://www.githubstatus.com for incidents."


def is_known_code(code: str) -> bool:
    """Return whether Copilot is known to send `code`.

    Returns True for all numbers, because they carry no meaning.
    """
    name = code.partition(":")[0]
    return name in _BY_CODE or name in STATUSES or name.isdecimal()
