"""What GitHub's refusals mean: every known error body to one of our errors."""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import httpx

from copilot_proxy.auth.token_kinds import is_personal
from copilot_proxy.errors import (
    BrokenResponse,
    CopilotProxyError,
    LoginFailed,
    NoCopilotAccess,
    NotSignedIn,
    UpstreamRefusal,
)
from copilot_proxy.formats.upstream_errors import seconds_to_wait
from copilot_proxy.masking import Secret, mask

_LONGEST: Final = 500
"""Characters of somebody else's text that are passed on."""

_LOGIN_ERRORS: Final = {
    "expired_token": (
        "The code expired before it was entered.",
        "Start again with: copilot-proxy login",
    ),
    "access_denied": (
        "The sign-in was cancelled on GitHub's page.",
        "Start again with: copilot-proxy login",
    ),
    "device_flow_disabled": (
        "GitHub does not let this app sign in with a code.",
        "On a company host, ask its administrator to allow GitHub Copilot's plugins.",
    ),
}


def json_object(response: httpx.Response) -> dict[str, object]:
    """The JSON object in `response`, whatever its content type claims.

    Raises `BrokenResponse` if it holds none, since then it is not GitHub that answered.
    """
    answer = _json(response)
    if answer is None:
        raise not_github(response)
    return answer


def json_or_form(response: httpx.Response) -> dict[str, object]:
    """Like `json_object`, for the device flow, whose answers may be form-encoded."""
    answer = _json(response)
    if answer is None and _is_form(response):
        answer = dict(parse_qsl(response.text.strip()))
    if answer is None:
        raise not_github(response)
    return answer


def not_github(response: httpx.Response) -> CopilotProxyError:
    """GitHub is down, or something else answered in its place."""
    if response.status_code >= 500 or response.status_code == 429:
        return transient(response)
    host = response.url.netloc.decode("ascii")
    return BrokenResponse(
        f"Something that is not GitHub answered at {host} (HTTP {response.status_code}).",
        hint="A company proxy or the login page of a network may be in between: open "
        f"{response.url.scheme}://{host} in a browser, or check HTTPS_PROXY.",
        code="not_github",
    )


def transient(response: httpx.Response) -> UpstreamRefusal:
    """An error that may be over in a while; carries GitHub's Retry-After."""
    limited = response.status_code < 500
    wait = seconds_to_wait(response.headers.get("retry-after"))
    return UpstreamRefusal(
        "GitHub limits how often this account may ask; that passes by itself."
        if limited
        else f"GitHub has trouble (HTTP {response.status_code}); that passes by itself.",
        hint="Try again in a while. https://www.githubstatus.com shows known trouble.",
        upstream_status=response.status_code,
        code="rate_limited" if limited else "github_unavailable",
        status=429 if limited else 503,
        type="rate_limit_error" if limited else None,
        headers=None if wait is None else {"retry-after": str(wait)},
    )


def of_login(response: httpx.Response, answer: Mapping[str, object]) -> CopilotProxyError:
    """A step of the device flow that brought neither a token nor `pending`."""
    error = answer.get("error")
    if not isinstance(error, str) and response.status_code != 200:
        return _common(response, answer) or _unexpected(response, answer)
    if not isinstance(error, str):
        return BrokenResponse(
            "GitHub's answer has neither a token nor an error.", code="not_github"
        )
    if error in _LOGIN_ERRORS:
        message, hint = _LOGIN_ERRORS[error]
        return LoginFailed(message, hint=hint, code=error)
    said = clean(answer.get("error_description")) or clean(error)
    return LoginFailed(
        f"GitHub refused the sign-in: {said}",
        hint="Start again with: copilot-proxy login",
        code=clean(error),
    )


def of_exchange(response: httpx.Response, token: Secret) -> CopilotProxyError:
    """The token exchange refused."""
    answer = _json(response)
    if answer is None:
        return not_github(response)
    details = answer.get("error_details")
    if isinstance(details, Mapping) and response.status_code in (401, 403, 404):
        return _no_access(answer, details)
    if (common := _common(response, answer)) is not None:
        return common
    said = clean(answer.get("message"))
    if "personal access token" in said.lower() or is_personal(token):
        return NotSignedIn(
            "The GitHub token is a personal access token, which Copilot does not take.",
            code="personal_access_token",
        )
    if response.status_code == 404 and token.reveal().startswith("ghu_"):
        return NoCopilotAccess(
            "GitHub has no Copilot for this account.",
            hint="See your subscription at https://github.com/settings/copilot",
            code="no_copilot_access",
        )
    if response.status_code == 404:
        return NotSignedIn(
            "GitHub does not give Copilot to this token: another app made it.",
            code="wrong_app_token",
        )
    if response.status_code == 403:
        return NoCopilotAccess(
            f"GitHub does not let this account use Copilot: {said or 'forbidden'}",
            hint="See your subscription at https://github.com/settings/copilot",
            code="no_copilot_access",
        )
    return _unexpected(response, answer)


def of_account(response: httpx.Response) -> CopilotProxyError:
    """``/user`` or ``/copilot_internal/user`` refused."""
    answer = _json(response)
    if answer is None:
        return not_github(response)
    if (common := _common(response, answer)) is not None:
        return common
    if response.status_code in (403, 404):
        return NoCopilotAccess(
            "GitHub knows of no Copilot for this account.",
            hint="See your subscription at https://github.com/settings/copilot",
            code="no_copilot_access",
        )
    return _unexpected(response, answer)


def clean(text: object) -> str:
    """Somebody else's text, fit for one line of a terminal or a log."""
    if not isinstance(text, str):
        return ""
    line = " ".join(text.split())
    return mask("".join(char for char in line if char.isprintable()))[:_LONGEST]


def _no_access(answer: Mapping[str, object], details: Mapping[str, object]) -> CopilotProxyError:
    title, url = clean(details.get("title")), clean(details.get("url"))
    url = url.replace("{EDITOR}", "vscode")
    said = clean(details.get("message")) or clean(answer.get("message"))
    return NoCopilotAccess(
        said or "GitHub says that this account may not use Copilot.",
        hint=": ".join(part for part in (title, url) if part)
        or "See your subscription at https://github.com/settings/copilot",
        code=clean(details.get("notification_id")) or "no_copilot_access",
    )


def _common(response: httpx.Response, answer: Mapping[str, object]) -> CopilotProxyError | None:
    """Refusals that mean the same everywhere."""
    if response.status_code == 401:
        return NotSignedIn(
            "GitHub no longer accepts the token: it was revoked, or has expired.",
            code="github_token_refused",
        )
    if response.status_code >= 500:
        return transient(response)
    # A rate limit is a 403 here as often as a 429, and only its text or headers say so.
    limited = "rate limit" in clean(answer.get("message")).lower()
    spent = response.headers.get("x-ratelimit-remaining") == "0"
    limited = limited or spent or "retry-after" in response.headers
    if response.status_code == 429 or (response.status_code == 403 and limited):
        return transient(response)
    return None


def _unexpected(response: httpx.Response, answer: Mapping[str, object]) -> UpstreamRefusal:
    said = clean(answer.get("message")) or "no reason given"
    return UpstreamRefusal(
        f"GitHub refused (HTTP {response.status_code}): {said}",
        hint="copilot-proxy status shows how the account stands.",
        upstream_status=response.status_code,
        code="github_refused",
    )


def _json(response: httpx.Response) -> dict[str, object] | None:
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _is_form(response: httpx.Response) -> bool:
    text = response.text.strip()
    return "=" in text and not text.startswith("<") and not any(char.isspace() for char in text)
