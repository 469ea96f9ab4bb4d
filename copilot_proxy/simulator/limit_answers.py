"""The refusals because of a quota or a limit: names, descriptions and responses."""

from __future__ import annotations

from .fault_makers import WEEKLY_TEXT, Answer, Value, error, limited, text
from .refusal import Refusal, copilot


def _nested(value: Value) -> Refusal:
    inner = (
        '{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).",'
        '"status":"RESOURCE_EXHAUSTED"}}'
    )
    return Refusal(429, {"error": {"message": inner}})


def _session(value: Value) -> Refusal:
    """Return the session limit, whose wait stands only in the text; the value is its seconds."""
    wait = f"Please retry after {value or 840} seconds."
    return copilot(429, f"You have hit your session limit. {wait}", "user_global_rate_limited:pro")


LIMITS: dict[str, Answer] = {
    "quota_exceeded": Answer(
        "402: the plan's quota is used up; the value is another code",
        lambda value: copilot(402, "You have no quota", str(value or "quota_exceeded")),
    ),
    "free_quota_exceeded": Answer(
        "402: the free plan's quota is used up",
        error(
            402,
            "You have exceeded your free tier quota. Please upgrade to Copilot Pro.",
            "free_quota_exceeded",
        ),
    ),
    "overage_limit_reached": Answer(
        "402: the budget for usage beyond the plan is used up",
        error(402, "Your overage limit has been reached", "overage_limit_reached"),
    ),
    "billing_not_configured": Answer(
        "402: usage beyond the plan requires a payment method",
        error(402, "Billing is not configured", "billing_not_configured"),
    ),
    "quota_exceeded_text": Answer("402: the same in plain text", text(402, "quota exceeded\n")),
    "quota_exceeded_403": Answer(
        "403: an exhausted quota that is reported as forbidden",
        error(
            403,
            "You have exceeded your free tier quota. Please upgrade to Copilot Pro.",
            "free_quota_exceeded",
        ),
    ),
    "additional_spend_limit_reached": Answer(
        "402: the limit for additional spending is reached",
        error(402, "Additional spend limit reached", "additional_spend_limit_reached"),
    ),
    "custom_billing_not_configured": Answer(
        "402: an own provider has no billing",
        error(402, "Custom billing is not configured", "custom_billing_not_configured"),
    ),
    "session_quota_exceeded": Answer(
        "402: the quota of this session is used up",
        error(402, "Session quota exceeded", "session_quota_exceeded"),
    ),
    "rate_limited": Answer(
        "429: a short-term limit; the value is Retry-After", limited("rate_limited")
    ),
    "user_global_rate_limited": Answer(
        "429: a limit on all models; the value is Retry-After",
        limited("user_global_rate_limited:pro"),
    ),
    "user_model_rate_limited": Answer(
        "429: a limit on this model; the value is Retry-After",
        limited("user_model_rate_limited:claude-sonnet-4.5"),
    ),
    "user_weekly_rate_limited": Answer(
        "429: the weekly limit, with a wait of days; the value is Retry-After",
        limited("user_weekly_rate_limited", "183600", WEEKLY_TEXT),
    ),
    "integration_rate_limited": Answer(
        "429: a limit on the integration", limited("integration_rate_limited")
    ),
    "agent_mode_limit_exceeded": Answer(
        "429: a limit on agents", limited("agent_mode_limit_exceeded")
    ),
    "model_overloaded": Answer("429: the model is overloaded", limited("model_overloaded")),
    "upstream_provider_rate_limit": Answer(
        "429: the model's vendor limits GitHub", limited("upstream_provider_rate_limit")
    ),
    "extension_blocked": Answer(
        "429: one extension is blocked",
        error(429, "extension blocked", "extension_blocked", type="rate_limit_error"),
    ),
    "rate_limited_body": Answer(
        "429: the retry delay is only in the body; the value is its seconds",
        lambda value: copilot(
            429, "Rate limit exceeded", "rate_limited", retry_after=int(value or 30)
        ),
    ),
    "resource_exhausted": Answer(
        "429: from Gemini's backend, with a numeric code",
        error(429, "RESOURCE_EXHAUSTED: Resource has been exhausted (e.g. check quota).", 429),
    ),
    "nested_json_429": Answer("429: JSON inside the message string", _nested),
    "session_limit": Answer(
        "429: the session limit, whose wait is only in the text; the value is its seconds",
        _session,
    ),
}
"""Name of a fault -> its description and response."""
