"""What each of Copilot's refusals means to a client, as data: status, code and what to do next.

Pure. The code decides before the words, and both before the status, since Copilot says some things
with several statuses.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from copilot_proxy.catalogue import ENABLE_URL

WRONG_API_CODE: Final = "unsupported_api_for_model"
AS_LONG: Final = "as long as Retry-After says"
"""Words of a hint that stand for the time, where that is known."""
_USAGE_URL: Final = "https://github.com/settings/copilot"


class ErrorMapping(NamedTuple):
    """How a refusal reads to an OpenAI client; None keeps what upstream said."""

    status: int | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    hint: str | None = None
    message: str | None = None
    retry: bool | None = None


_QUOTA = ErrorMapping(
    status=429,
    type="insufficient_quota",
    code="insufficient_quota",
    hint=f"The plan's quota is used up until it is reset; see {_USAGE_URL}. "
    "Models that cost nothing may still answer.",
    retry=False,
)
_TOO_LONG = ErrorMapping(
    status=400,
    type="invalid_request_error",
    code="context_length_exceeded",
    param="messages",
    hint="Shorten the conversation, or take a model with a larger prompt limit "
    "(copilot-proxy models).",
)
_RATE = ErrorMapping(
    status=429,
    type="rate_limit_error",
    code="rate_limit_exceeded",
    hint=f"Wait {AS_LONG}; this limit is apart from the plan's quota.",
)
_NOT_SUPPORTED = ErrorMapping(
    status=404,
    type="invalid_request_error",
    code="model_not_found",
    param="model",
    hint=f"The model may have to be enabled at {ENABLE_URL}, by you or your organisation. "
    "copilot-proxy models shows what the account has.",
)

_FOREIGN_SEAL = ErrorMapping(
    status=400,
    type="invalid_request_error",
    hint="Reasoning of another model or account is in the conversation: start a new one, or leave "
    "the earlier reasoning out.",
    retry=False,
)

_FILTERED = ErrorMapping(
    status=400,
    type="invalid_request_error",
    code="content_filter",
    hint="GitHub's content filter refused the request.",
    retry=False,
)

_BY_CODE: Final[Mapping[str, ErrorMapping]] = {
    "quota_exceeded": _QUOTA,
    "free_quota_exceeded": _QUOTA,
    "overage_limit_reached": _QUOTA,
    "billing_not_configured": _QUOTA,
    "rate_limited": _RATE,
    "rate_limit_exceeded": _RATE,
    "invalid_encrypted_content": _FOREIGN_SEAL,
    "user_global_rate_limited": _RATE,
    "user_model_rate_limited": _RATE._replace(
        hint=f"This limit is on the model: wait {AS_LONG}, or take another one."
    ),
    "user_weekly_rate_limited": _RATE._replace(
        hint=f"This is GitHub's weekly limit: wait {AS_LONG}."
    ),
    "integration_rate_limited": _RATE,
    "agent_mode_limit_exceeded": _RATE,
    "model_overloaded": _RATE._replace(hint="The model is busy: wait a little, or take another."),
    "upstream_provider_rate_limit": _RATE,
    "extension_blocked": _RATE._replace(retry=False),
    "model_not_supported": _NOT_SUPPORTED,
    "model_max_prompt_tokens_exceeded": _TOO_LONG,
    "context_length_exceeded": _TOO_LONG,
    WRONG_API_CODE: ErrorMapping(
        status=400,
        type="invalid_request_error",
        code=WRONG_API_CODE,
        param="model",
        hint="Take another model; copilot-proxy models lists what the account has.",
    ),
    "invalid_reasoning_effort": ErrorMapping(
        type="invalid_request_error",
        param="reasoning_effort",
        hint="Ask for an effort that the model offers.",
        retry=False,
    ),
    "previous_response_not_found": ErrorMapping(
        type="invalid_request_error",
        hint="Copilot stores no answers: send the whole conversation.",
    ),
    "cyber_policy": ErrorMapping(
        type="invalid_request_error",
        hint="GitHub's check for misuse stopped it, which may be a false alarm: say it in other "
        "words, or take another model.",
    ),
    "user_request_timeout": ErrorMapping(
        type="server_error", hint="The upload to Copilot stalled; try again."
    ),
    "overloaded_error": ErrorMapping(hint="The model is busy: wait a little, or take another."),
    "RESOURCE_EXHAUSTED": _RATE,
    "content_filter": _FILTERED,
}

WRONG_API: Final = re.compile(r"is not accessible via the|does not support Responses API")
_BY_TEXT: Final = (
    # Of the older answers, which have no code.
    (re.compile(r"prompt token count of \d+ exceeds|prompt is too long"), _TOO_LONG),
    (re.compile(r"exceeds the context window|too large for model context window"), _TOO_LONG),
    (re.compile(r"^quota exceeded\W*$", re.IGNORECASE), _QUOTA),
    (re.compile(r"input item ID does not belong|[Ii]nvalid .?signature.? in"), _FOREIGN_SEAL),
    (
        re.compile(r"missing required Copilot-Vision-Request header"),
        ErrorMapping(
            status=400,
            type="invalid_request_error",
            hint="Copilot does not take this image; the organisation may have switched vision off.",
        ),
    ),
    (
        re.compile(r"API version is no longer supported|client not supported"),
        ErrorMapping(
            status=502,
            hint="GitHub no longer takes the version that copilot-proxy names. Upgrade it, or set "
            "COPILOT_PROXY_EDITOR_VERSION and COPILOT_PROXY_API_VERSION to newer ones.",
            retry=False,
        ),
    ),
    (
        re.compile(r"Editor-Version header for IDE auth"),
        ErrorMapping(
            status=502,
            hint="Set COPILOT_PROXY_EDITOR_VERSION, such as vscode/1.137.0.",
            retry=False,
        ),
    ),
    (
        re.compile(r"Authorization header is badly formatted"),
        ErrorMapping(
            status=401,
            type="authentication_error",
            hint="The token is of the wrong kind. Sign in with: copilot-proxy login",
            retry=False,
        ),
    ),
)

_BY_STATUS: Final[Mapping[int, ErrorMapping]] = {
    400: ErrorMapping(type="invalid_request_error"),
    401: ErrorMapping(
        type="authentication_error",
        hint="Copilot refuses the sign-in. Sign in again with: copilot-proxy login",
        retry=False,
    ),
    402: _QUOTA,
    403: ErrorMapping(
        type="permission_error",
        hint="The account, its organisation or its plan does not allow this. copilot-proxy status "
        f"shows the account; its settings are at {_USAGE_URL}.",
        retry=False,
    ),
    404: ErrorMapping(type="invalid_request_error"),
    408: ErrorMapping(type="server_error", hint="The upload to Copilot stalled; try again."),
    413: ErrorMapping(
        type="invalid_request_error",
        hint="Copilot counts bytes here: send smaller or fewer images, or a shorter conversation.",
        retry=False,
    ),
    415: _FILTERED,
    421: ErrorMapping(
        status=502,
        hint="Copilot has moved the account to another host. Try again; if it stays so, "
        "copilot-proxy status shows the host that GitHub names.",
        retry=False,
    ),
    422: _FILTERED,
    424: ErrorMapping(status=502, retry=False),
    429: _RATE,
    466: ErrorMapping(
        status=502,
        hint="GitHub no longer takes the version that copilot-proxy names. Upgrade it, or set "
        "COPILOT_PROXY_EDITOR_VERSION and COPILOT_PROXY_API_VERSION to newer ones.",
        retry=False,
    ),
    499: ErrorMapping(status=502, retry=False),
    503: ErrorMapping(hint="The model's provider is busy: wait a little, or take another model."),
}


def mapping_for(status: int, code: str | None, message: str) -> ErrorMapping:
    """What a refusal means; the code decides before the words, and both before the status."""
    if code == WRONG_API_CODE or WRONG_API.search(message):
        return _BY_CODE[WRONG_API_CODE]
    # Codes can have a suffix: user_model_rate_limited:gpt-5.6
    known = _BY_CODE.get((code or "").partition(":")[0])
    if known is not None:
        return known
    for pattern, meaning in _BY_TEXT:
        if pattern.search(message):
            return meaning
    if status == 403 and "Terms of Service" in message:
        return _BY_STATUS[403]._replace(
            hint="GitHub has blocked this access. Stop, and read the mail GitHub may have sent you "
            "before you use Copilot again."
        )
    return _BY_STATUS.get(status, ErrorMapping())


def otherwise(status: int) -> str:
    """What to do about a refusal of which nothing more is known than our `status`."""
    if status == 404:
        return "The model may be gone; copilot-proxy models lists what the account has."
    if status < 500:
        return "Copilot does not take the request as it is: change what the message names."
    return "Try again; https://www.githubstatus.com tells when GitHub itself is in trouble."
