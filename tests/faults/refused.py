"""The part of the table in which Copilot refuses the request, with every known status and body.

Pure data; `cause` is the name of the simulator's fault. A refusal comes before the answer, so it is
the same for streams and whole answers, and is not tested again with the models of other APIs.
"""

from typing import Any, Final

from tests.faults.table import Error, Row

BAD: Final = Error(400, None, "invalid_request_error", "invalid_request_error")
MISSING: Final = Error(404, None, "invalid_request_error", "not_found_error")
FINAL: Final = BAD._replace(retry=False)
TOO_LONG: Final = BAD._replace(code="context_length_exceeded")
FILTERED: Final = BAD._replace(code="content_filter", retry=False, anthropic_status=424)
SIGN_IN: Final = Error(401, None, "authentication_error", "authentication_error", retry=False)
QUOTA: Final = Error(
    400,
    "insufficient_quota",
    "insufficient_quota",
    "billing_error",
    retry=False,
    anthropic_status=402,
)
FORBIDDEN: Final = Error(403, None, "permission_error", "permission_error", retry=False)
LARGE: Final = Error(413, None, "invalid_request_error", "request_too_large", retry=False)
LIMIT: Final = Error(429, "rate_limit_exceeded", "rate_limit_error", "rate_limit_error")
OURS: Final = Error(502, None, "server_error", "api_error", retry=False)
FAILED: Final = Error(502, None, "server_error", "api_error")


def _row(name: str, cause: str, error: Error | None, **more: Any) -> Row:
    return Row(name, cause, error, error, translated=False, **{"own": True, **more})


def _coded(error: Error, *codes: str) -> list[Row]:
    return [_row(f"{error.status} `{code}`", code, error._replace(code=code)) for code in codes]


REQUEST: Final = (
    _row("400 `model_not_supported`", "model_not_supported",
         MISSING._replace(code="model_not_found")),
    _row("400 `unsupported_api_for_model`, always", "unsupported_api_for_model",
         BAD._replace(code="unsupported_api_for_model"), calls=2,
         embeddings=False),
    _row("400 wrong API, only as text", "unsupported_api_in_words",
         BAD._replace(code="unsupported_api_for_model"), calls=2,
         embeddings=False),
    _row("400 `model_max_prompt_tokens_exceeded`", "prompt_too_long", TOO_LONG),
    _row("400 a long prompt, without a code", "prompt_too_long_old", TOO_LONG),
    _row("400 a long prompt, in Claude's wording", "prompt_too_long_anthropic", TOO_LONG),
    _row("400 `context_length_exceeded`", "context_length_exceeded", TOO_LONG),
    *_coded(BAD, "invalid_request_body", "previous_response_not_found", "off_topic"),
    *_coded(BAD._replace(anthropic_status=424), "cyber_policy"),
    *_coded(BAD._replace(retry=False), "invalid_reasoning_effort", "invalid_encrypted_content"),
    _row("400 missing vision header", "missing_vision_header", BAD),
    _row("400 missing Editor-Version", "missing_editor_version", FINAL),
    _row("400 Authorization badly formatted", "authorization_badly_formatted", SIGN_IN),
    _row("400 item id of another connection", "foreign_item_id", BAD._replace(retry=False)),
    _row(
        "401 item id of another connection",
        "foreign_item_id",
        BAD._replace(retry=False),
        value="401",
    ),
    _row("400 `rate_limited`", "rate_limited_400", LIMIT),
    _row("400 `Bad Request`", "bad_request", BAD),
    _row("400 FAILED_PRECONDITION", "failed_precondition", BAD),
    _row("404 `not_found`", "not_found", MISSING._replace(code="not_found")),
    _row("404 page not found", "page_not_found", MISSING),
    _row("404 invalid apiVersion", "invalid_api_version_404", FINAL),
    _row("408 `user_request_timeout`", "timeout_408",
         Error(408, "user_request_timeout", "server_error", "timeout_error")),
    _row("413", "too_large_413", LARGE),
    _row("413 in JSON", "too_large_413_json", LARGE),
    _row("415 filtered", "filtered_415", FILTERED),
    _row("422 filtered", "filtered_422", FILTERED),
    _row("424", "agent_failed_424", FINAL),
    _row("466 API version too old", "api_version_466", FINAL),
)  # fmt: skip
"""Refusals because of the request."""

ACCOUNT: Final = (
    _row("401 token expired, once", "token_expired", None, calls=2, times=1, own=False,
         setup="renewed"),
    _row("401 token expired, always", "token_expired", SIGN_IN, calls=2, own=False,
         setup="renewed"),
    _row("401 authentication failed, always", "authentication_failed", SIGN_IN, calls=2,
         own=False,
         setup="renewed"),
    _row("401 `authorize_url`", "authorize_url", SIGN_IN, own=False,
         setup="renewed"),
    _row("421, once", "misdirected_421", None, calls=2, times=1, own=False,
         setup="renewed"),
    _row("421, always", "misdirected_421", FINAL, calls=2, own=False,
         setup="renewed"),
    _row("402 `quota_exceeded`", "quota_exceeded", QUOTA),
    _row("402 `free_quota_exceeded`", "free_quota_exceeded", QUOTA),
    _row("402 `overage_limit_reached`", "overage_limit_reached", QUOTA),
    _row("402 `billing_not_configured`", "billing_not_configured", QUOTA),
    _row("402 `additional_spend_limit_reached`", "additional_spend_limit_reached", QUOTA),
    _row("402 `custom_billing_not_configured`", "custom_billing_not_configured", QUOTA),
    _row("402 `session_quota_exceeded`", "session_quota_exceeded", QUOTA),
    _row("402 `quota exceeded` as text", "quota_exceeded_text", QUOTA),
    _row("402 with a body that never ends", "script:refusal_without_end", QUOTA),
    _row("403 `free_quota_exceeded`", "quota_exceeded_403", QUOTA),
    _row("403 forbidden", "forbidden", FORBIDDEN),
    _row("403 Terms of Service", "terms_of_service", FORBIDDEN),
    _row("403 feature not authorized", "feature_not_authorized", FORBIDDEN),
)  # fmt: skip
"""Refusals because of the account."""

LIMITS: Final = (
    *(
        _row(f"429 `{fault}`", fault, LIMIT._replace(wait=30))
        for fault in (
            "rate_limited",
            "user_global_rate_limited",
            "user_model_rate_limited",
            "integration_rate_limited",
            "agent_mode_limit_exceeded",
            "model_overloaded",
            "upstream_provider_rate_limit",
        )
    ),
    _row("429 `rate_limited`, without a time", "rate_limited", LIMIT, value="none"),
    _row("429 `user_weekly_rate_limited`", "user_weekly_rate_limited",
         LIMIT._replace(wait=183600, retry=False)),
    _row("429 `extension_blocked`", "extension_blocked", LIMIT._replace(retry=False)),
    _row("429 with the time to wait in the body", "rate_limited_body", LIMIT._replace(wait=30)),
    _row("429 with the time to wait in its text", "session_limit",
         LIMIT._replace(wait=840, retry=False)),
    _row("429 RESOURCE_EXHAUSTED", "resource_exhausted", LIMIT),
    _row("429 JSON within a string", "nested_json_429", LIMIT),
)  # fmt: skip
"""Rate limits."""

SERVER: Final = (
    _row("499", "cancelled_499", OURS),
    _row("500", "server_error_500", FAILED._replace(status=500)),
    _row("500 `internal_error`", "server_error_500_json",
         FAILED._replace(status=500, code="internal_error")),
    _row("500 with a body that is cut off", "script:refusal_cut", FAILED._replace(status=500)),
    _row("502", "bad_gateway", FAILED),
    _row("502 with an empty body", "bad_gateway_empty", FAILED),
    _row("502 web page", "bad_gateway_html", FAILED),
    _row("503", "unavailable_503", FAILED._replace(status=503, anthropic="overloaded_error")),
    _row("504 web page", "gateway_timeout_504",
         FAILED._replace(status=504, anthropic="timeout_error")),
    _row("529 `overloaded_error`", "overloaded_529",
         Error(529, "overloaded_error", "server_error", "overloaded_error")),
    _row("677", "script:odd_status", FAILED),
)  # fmt: skip
"""Failures of GitHub itself."""
