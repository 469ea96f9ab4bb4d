"""Helpers for the cooldown tests: refusals by keyword, and requests that receive them."""

from copilot_proxy.errors import (
    BrokenResponse,
    CooldownRefusal,
    CopilotProxyError,
    RequestError,
    UpstreamUnreachable,
)
from copilot_proxy.formats.upstream_errors import parse_error_response
from copilot_proxy.upstreams.cooldowns import Cooldowns
from tests.auth.accounts import Time

MODEL, API = "gpt-5", "chat_completions"


def coded(status: int, code: str, wait: int | str | None = None) -> CopilotProxyError:
    headers = {} if wait is None else {"retry-after": str(wait)}
    return parse_error_response(
        status, headers, b'{"error":{"message":"No.","code":"%s"}}' % code.encode()
    )


def made(word: str) -> CopilotProxyError:
    """Return the failure for a keyword in the tables, such as ``global=30``."""
    name, _, wait = word.partition("=")
    retry_after = wait or None
    codes = {
        "limited": "rate_limited",
        "model": "user_model_rate_limited:gpt-5",
        "overloaded": "model_overloaded",
        "vendor": "upstream_provider_rate_limit",
        "global": "user_global_rate_limited:pro",
        "weekly": "user_weekly_rate_limited",
        "integration": "integration_rate_limited",
        "agents": "agent_mode_limit_exceeded",
        "extension": "extension_blocked",
    }
    if name in codes:
        return coded(429, codes[name], retry_after)
    return {
        "limited400": lambda: coded(400, "rate_limited", retry_after),
        "quota": lambda: coded(402, "quota_exceeded", retry_after),
        "quota403": lambda: coded(403, "free_quota_exceeded", retry_after),
        "busy": lambda: parse_error_response(503, {"retry-after": wait} if wait else {}, b"busy"),
        "401": lambda: parse_error_response(401, {}, b"unauthorized: token expired\n"),
        "given": lambda: RequestError("No.", code="caller_token_refused", status=401),
        "403": lambda: parse_error_response(403, {}, b"forbidden\n"),
        "terms": lambda: parse_error_response(
            403, {}, b"Please review our [Terms of Service](https://x)."
        ),
        "policy": lambda: coded(403, "some_policy"),
        "unknown": lambda: coded(400, "model_not_supported"),
        "bad": lambda: coded(400, "invalid_request_body"),
        "sealed": lambda: parse_error_response(
            401, {}, b"input item ID does not belong to this connection"
        ),
        "404": lambda: parse_error_response(404, {}, b"404 page not found\n"),
        "413": lambda: parse_error_response(413, {}, b"413 Request Entity Too Large\n"),
        "422": lambda: coded(422, "content_filter"),
        "466": lambda: parse_error_response(
            466, {}, b"bad request: API version is no longer supported"
        ),
        "500": lambda: parse_error_response(500, {}, b"Internal Server Error\n"),
        "cut": lambda: BrokenResponse("Cut."),
        "down": lambda: UpstreamUnreachable("Down.", sent=True),
    }[name]()


def ask(
    cooldowns: Cooldowns, outcome: str = "ok", model: str = MODEL, api: str = API
) -> CooldownRefusal | None:
    """Send a request that upstream answers with `outcome`; return any remembered refusal.

    An outcome such as ``200:limited`` is a refusal that arrives as an event.
    """
    at_once = "" if outcome.startswith("200:") else outcome
    try:
        with cooldowns.guard(api, model) as guard:
            if at_once not in ("", "ok"):
                raise made(outcome)
        if not at_once:
            guard.refused(made(outcome.removeprefix("200:")))
    except CooldownRefusal as refused:
        return refused
    except CopilotProxyError:
        pass
    return None


def left(cooldowns: Cooldowns, now: Time, events: str) -> int:
    """Return the remaining seconds of the cooldown after all `events`; 0 without a cooldown.

    Events are outcomes and pauses in seconds, such as ``+10``. A dash before an outcome means that
    upstream is not called.
    """
    for event in events.split():
        if event.startswith("+"):
            now.advance(float(event))
        else:
            refused = ask(cooldowns, event.lstrip("-"))
            assert event.startswith("-") == (refused is not None), event
    return max((one.retry_in for one in cooldowns.active()), default=0)
