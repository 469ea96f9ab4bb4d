"""What a refusal by Copilot applies to: an API of a model, the whole model, or the account."""

from typing import Final, NamedTuple

from copilot_proxy.errors import CopilotProxyError, UpstreamRefusal, code_of

_ACCOUNT_WIDE: Final = frozenset(
    {
        "user_global_rate_limited",
        "user_weekly_rate_limited",
        "integration_rate_limited",
        "agent_mode_limit_exceeded",
        "extension_blocked",
    }
)
"""Codes of refusals that apply to all models of the account."""


class Target(NamedTuple):
    """What a breaker applies to: one API of a model, a whole model, or the whole account."""

    model: str | None = None
    api: str | None = None


ACCOUNT: Final = Target()


def targets_of(model: str, api: str) -> tuple[Target, ...]:
    """Return the targets whose breakers apply to a request."""
    return (ACCOUNT, Target(model), Target(model, api))


def target_of(error: BaseException, model: str, api: str) -> Target | None:
    """Return the target that `error` applies to, or None if it affects no other requests."""
    if isinstance(error, CopilotProxyError) and error.code == "caller_token_refused":
        return ACCOUNT
    if not isinstance(error, UpstreamRefusal):
        return None
    if error.code in ("rate_limit_exceeded", "insufficient_quota"):
        return ACCOUNT if short_code(error) in _ACCOUNT_WIDE else Target(model)
    if error.code == "github_unavailable":
        return None  # the token exchange failed, so Copilot was not asked
    if error.upstream_status == 503 and "retry-after" in error.headers:
        return Target(model)
    # Each of these refusals has also cost a token exchange.
    if error.upstream_status == 421 or (error.upstream_status == error.status == 401):
        return ACCOUNT
    if error.upstream_status == 403 and error.upstream_code in (None, "forbidden"):
        # Other APIs of the model may still work: for example, only token counting may be refused.
        return Target(model, api)
    return None


def short_code(error: CopilotProxyError) -> str:
    """Return Copilot's code without its suffix, or our own code if Copilot sent none."""
    # Codes can have a suffix: user_model_rate_limited:gpt-5.6
    named = error.upstream_code if isinstance(error, UpstreamRefusal) else None
    return (named or code_of(error)).partition(":")[0]
