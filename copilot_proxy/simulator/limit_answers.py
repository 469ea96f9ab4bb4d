"""Refusals due to a quota or a limit: names, descriptions and responses."""

from __future__ import annotations

from typing import Any

from .fault_makers import WEEKLY_TEXT, FaultAnswer, Value, error, limited, text
from .refusal import Refusal, copilot

FREE_PLAN = "You have exceeded your free tier quota. Please upgrade to Copilot Pro."


def _nested(value: Value) -> Refusal:
    inner = (
        '{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).",'
        '"status":"RESOURCE_EXHAUSTED"}}'
    )
    return Refusal(429, {"error": {"message": inner}})


def _session(value: Value) -> Refusal:
    """Return the refusal for the session limit. It states a wait of `value` seconds in its text,
    without a Retry-After header."""
    wait = f"Please retry after {value or 840} seconds."
    return copilot(429, f"You have hit your session limit. {wait}", "user_global_rate_limited:pro")


def _spent(description: str, code: str, message: str, status: int = 402) -> FaultAnswer:
    """Return the fault for a quota that is used up."""
    return FaultAnswer(f"{status}: {description}", error(status, message, code))


def _limit(description: str, code: str, *more: Any) -> FaultAnswer:
    """Return the fault for a rate limit; `more` is passed to `limited`."""
    return FaultAnswer(f"429: {description}", limited(code, *more))


LIMITS: dict[str, FaultAnswer] = {
    "quota_exceeded": FaultAnswer(
        "402: the plan's quota is used up; the value is another code",
        lambda value: copilot(402, "You have no quota", str(value or "quota_exceeded")),
    ),
    "free_quota_exceeded": _spent(
        "the free plan's quota is used up", "free_quota_exceeded", FREE_PLAN
    ),
    "overage_limit_reached": _spent(
        "the budget for usage beyond the plan is used up",
        "overage_limit_reached",
        "Your overage limit has been reached",
    ),
    "billing_not_configured": _spent(
        "usage beyond the plan requires a payment method",
        "billing_not_configured",
        "Billing is not configured",
    ),
    "quota_exceeded_text": FaultAnswer(
        "402: the plan's quota is used up, plain text", text(402, "quota exceeded\n")
    ),
    "quota_exceeded_403": _spent(
        "an exhausted quota that is reported as forbidden", "free_quota_exceeded", FREE_PLAN, 403
    ),
    "additional_spend_limit_reached": _spent(
        "the limit for additional spending is reached",
        "additional_spend_limit_reached",
        "Additional spend limit reached",
    ),
    "custom_billing_not_configured": _spent(
        "the user's own provider has no billing",
        "custom_billing_not_configured",
        "Custom billing is not configured",
    ),
    "session_quota_exceeded": _spent(
        "the quota of this session is used up",
        "session_quota_exceeded",
        "Session quota exceeded",
    ),
    "rate_limited": _limit("a short-term limit; the value is Retry-After", "rate_limited"),
    "user_global_rate_limited": _limit(
        "a limit on all models; the value is Retry-After", "user_global_rate_limited:pro"
    ),
    "user_model_rate_limited": _limit(
        "a limit on this model; the value is Retry-After",
        "user_model_rate_limited:claude-sonnet-4.5",
    ),
    "user_weekly_rate_limited": _limit(
        "the weekly limit, with a wait of days; the value is Retry-After",
        "user_weekly_rate_limited",
        "183600",
        WEEKLY_TEXT,
    ),
    "integration_rate_limited": _limit("a limit on the integration", "integration_rate_limited"),
    "agent_mode_limit_exceeded": _limit("a limit on agents", "agent_mode_limit_exceeded"),
    "model_overloaded": _limit("the model is overloaded", "model_overloaded"),
    "upstream_provider_rate_limit": _limit(
        "the model's vendor rate-limits GitHub", "upstream_provider_rate_limit"
    ),
    "extension_blocked": FaultAnswer(
        "429: one extension is blocked",
        error(429, "extension blocked", "extension_blocked", type="rate_limit_error"),
    ),
    "rate_limited_body": FaultAnswer(
        "429: the retry delay is only in the body; the value is in seconds",
        lambda value: copilot(
            429, "Rate limit exceeded", "rate_limited", retry_after=int(value or 30)
        ),
    ),
    "resource_exhausted": FaultAnswer(
        "429: from Gemini's backend, with a numeric code",
        error(429, "RESOURCE_EXHAUSTED: Resource has been exhausted (e.g. check quota).", 429),
    ),
    "nested_json_429": FaultAnswer("429: JSON inside the message string", _nested),
    "session_limit": FaultAnswer(
        "429: the session limit, whose wait is only in the text; the value is in seconds",
        _session,
    ),
}
"""Name of a fault -> its description and response."""
