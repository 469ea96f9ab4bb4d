"""Maps GitHub's error responses to `CopilotProxyError`."""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import httpx

from copilot_proxy.auth.token_kinds import is_classic, is_fine_grained
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

_MAX_TEXT: Final = 500
"""Maximum length in characters of text from a response."""

_NO_ACCESS: Final = "This account has no access to GitHub Copilot."
_SUBSCRIPTION_HINT: Final = "Check your subscription at https://github.com/settings/copilot"
_OUTAGE_HINT: Final = "Try again later. Check https://www.githubstatus.com for incidents."
_GITHUB_FAILED: Final = "server_error"
"""The only `notification_id` of a failed token exchange that says nothing about the account."""

_LOGIN_ERRORS: Final = {
    "expired_token": (
        "The code expired before it was entered.",
        "Start again with: copilot-proxy login",
    ),
    "access_denied": (
        "The sign-in was canceled on GitHub's page.",
        "Start again with: copilot-proxy login",
    ),
    "device_flow_disabled": (
        "GitHub does not allow this app to sign in with a code.",
        "On a company host, ask the administrator to allow GitHub Copilot's plugins.",
    ),
}


def json_object(response: httpx.Response) -> dict[str, object]:
    """Decode the JSON object in `response`, whatever the content type.

    Raises the error from `not_github_error` if the body is not a JSON object.
    """
    data = _json(response)
    if data is None:
        raise not_github_error(response)
    return data


def json_or_form(response: httpx.Response) -> dict[str, object]:
    """Decode a JSON object, as `json_object` does, or a form, which the device flow may return."""
    data = _json(response)
    if data is None and _is_form(response):
        data = dict(parse_qsl(response.text.strip()))
    if data is None:
        raise not_github_error(response)
    return data


def not_github_error(response: httpx.Response) -> CopilotProxyError:
    """Return the error for a response that is not JSON: either GitHub is down, or the response came
    from something else, such as a proxy."""
    if response.status_code >= 500 or response.status_code == 429:
        return transient_error(response)
    host = response.url.netloc.decode("ascii")
    return BrokenResponse(
        f"The response from {host} did not come from GitHub (HTTP {response.status_code}).",
        hint="A company proxy or a network's login page may be intercepting the connection. Open "
        f"{response.url.scheme}://{host} in a browser, or check HTTPS_PROXY.",
        code="not_github",
    )


def transient_error(response: httpx.Response) -> UpstreamRefusal:
    """Return the error for a rate limit or a server error, with GitHub's Retry-After."""
    limited = response.status_code < 500
    wait = seconds_to_wait(response.headers.get("retry-after"))
    return UpstreamRefusal(
        "GitHub's rate limit for this account has been reached."
        if limited
        else f"GitHub is temporarily unavailable (HTTP {response.status_code}).",
        hint=_OUTAGE_HINT,
        upstream_status=response.status_code,
        code="rate_limited" if limited else "github_unavailable",
        status=429 if limited else 503,
        type="rate_limit_error" if limited else None,
        headers=None if wait is None else {"retry-after": str(wait)},
    )


def login_error(response: httpx.Response, data: Mapping[str, object]) -> CopilotProxyError:
    """Return the error for a device flow response without a code or token."""
    error = data.get("error")
    if not isinstance(error, str) and response.status_code != 200:
        return _common_error(response, data) or _unexpected_error(response, data)
    if not isinstance(error, str):
        return BrokenResponse(
            "GitHub's response contains neither a token nor an error.", code="not_github"
        )
    if error in _LOGIN_ERRORS:
        message, hint = _LOGIN_ERRORS[error]
        return LoginFailed(message, hint=hint, code=error)
    reason = clean(data.get("error_description")) or clean(error)
    return LoginFailed(
        f"GitHub refused the sign-in: {reason}",
        hint="Start again with: copilot-proxy login",
        code=clean(error),
    )


def exchange_error(response: httpx.Response, token: Secret) -> CopilotProxyError:
    """Return the error for a failed token exchange."""
    data = _json(response)
    if data is None:
        return not_github_error(response)
    details = data.get("error_details")
    if isinstance(details, Mapping) and response.status_code in (401, 403, 404):
        if details.get("notification_id") == _GITHUB_FAILED:
            return _failed_check(response, details)
        return _no_access_error(data, details)
    if (common := _common_error(response, data)) is not None:
        return common
    reason = clean(data.get("message"))
    if "personal access token" in reason.lower() or is_classic(token):
        return personal_token_error(token)
    if response.status_code == 404 and token.reveal().startswith("ghu_"):
        return no_access()
    if response.status_code == 404:
        return NotSignedIn(
            "The GitHub token was issued to another app, so it cannot be used for Copilot.",
            code="wrong_app_token",
        )
    if response.status_code == 403:
        return NoCopilotAccess(
            f"GitHub does not allow this account to use Copilot: {reason or 'forbidden'}",
            hint=_SUBSCRIPTION_HINT,
            code="no_copilot_access",
        )
    return _unexpected_error(response, data)


def personal_token_error(token: Secret) -> NotSignedIn:
    """Return the error for a personal access token that Copilot has refused."""
    hint = "Sign in with: copilot-proxy login"
    if is_fine_grained(token):
        hint = (
            'Give it the account permission "Copilot Requests" on GitHub. '
            "Or sign in with: copilot-proxy login"
        )
    return NotSignedIn(
        "The GitHub token is a personal access token that Copilot does not accept.",
        hint=hint,
        code="personal_access_token",
    )


def no_access() -> NoCopilotAccess:
    """Return the error for an account without Copilot."""
    return NoCopilotAccess(_NO_ACCESS, hint=_SUBSCRIPTION_HINT, code="no_copilot_access")


def account_error(response: httpx.Response) -> CopilotProxyError:
    """Return the error for a failed request to ``/user`` or ``/copilot_internal/user``."""
    data = _json(response)
    if data is None:
        return not_github_error(response)
    if (common := _common_error(response, data)) is not None:
        return common
    if response.status_code in (403, 404):
        return no_access()
    return _unexpected_error(response, data)


def clean(text: object) -> str:
    """Return `text` as one printable line without secrets, or "" if it is not a string."""
    if not isinstance(text, str):
        return ""
    line = " ".join(text.split())
    return mask("".join(char for char in line if char.isprintable()))[:_MAX_TEXT]


def _no_access_error(
    data: Mapping[str, object], details: Mapping[str, object]
) -> CopilotProxyError:
    title, url = clean(details.get("title")), clean(details.get("url"))
    url = url.replace("{EDITOR}", "vscode")
    reason = clean(details.get("message")) or clean(data.get("message"))
    return NoCopilotAccess(
        reason or _NO_ACCESS,
        hint=": ".join(part for part in (title, url) if part) or _SUBSCRIPTION_HINT,
        code=clean(details.get("notification_id")) or "no_copilot_access",
    )


def _failed_check(response: httpx.Response, details: Mapping[str, object]) -> UpstreamRefusal:
    """Return the error for an exchange in which GitHub itself failed, although with a 403."""
    return UpstreamRefusal(
        clean(details.get("message")) or "GitHub could not check the account's access to Copilot.",
        hint=_OUTAGE_HINT,
        upstream_status=response.status_code,
        code="github_unavailable",
        status=503,
        type="server_error",
    )


def _common_error(response: httpx.Response, data: Mapping[str, object]) -> CopilotProxyError | None:
    """Return the error if the response means the same for every kind of request, otherwise None."""
    if response.status_code == 401:
        return NotSignedIn(
            "GitHub no longer accepts the token: it was revoked or has expired.",
            code="github_token_refused",
        )
    if response.status_code >= 500:
        return transient_error(response)
    # GitHub reports rate limits as 403 or 429; only the text or headers distinguish them from other
    # refusals.
    limited = "rate limit" in clean(data.get("message")).lower()
    spent = response.headers.get("x-ratelimit-remaining") == "0"
    limited = limited or spent or "retry-after" in response.headers
    if response.status_code == 429 or (response.status_code == 403 and limited):
        return transient_error(response)
    return None


def _unexpected_error(response: httpx.Response, data: Mapping[str, object]) -> UpstreamRefusal:
    reason = clean(data.get("message")) or "no reason given"
    return UpstreamRefusal(
        f"GitHub refused the request (HTTP {response.status_code}): {reason}",
        hint="Check the account with: copilot-proxy status",
        upstream_status=response.status_code,
        code="github_refused",
    )


def _json(response: httpx.Response) -> dict[str, object] | None:
    try:
        data = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _is_form(response: httpx.Response) -> bool:
    text = response.text.strip()
    return "=" in text and not text.startswith("<") and not any(char.isspace() for char in text)
