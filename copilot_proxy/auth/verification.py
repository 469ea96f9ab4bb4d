"""Verifies that a GitHub token has access to Copilot: token exchange, account, models."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import httpx

from copilot_proxy import headers
from copilot_proxy.auth import hosts
from copilot_proxy.auth.account import Account, plan_name
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import GitHub, TokenExchange
from copilot_proxy.auth.github_errors import personal_token_error
from copilot_proxy.auth.retries import with_retries
from copilot_proxy.auth.token_kinds import copilot_fields, is_fine_grained
from copilot_proxy.catalogue import parse_models
from copilot_proxy.errors import (
    NotSignedIn,
    SignInError,
    UpstreamError,
)

_RETRY_DELAYS: Final = (1.0, 3.0, 5.0)
"""Seconds before each retry of the exchange; a sign-in may take longer than a request."""
_REFUSED: Final = (400, 401, 403)
"""Statuses with which Copilot refuses a token."""


@dataclass(frozen=True)
class Verification:
    """The access that a GitHub token grants; unknown fields are None."""

    login: str | None
    plan: str
    api_url: str
    models: int | None
    """The number of enabled chat models in Copilot's own model picker."""
    direct: bool = False
    """Whether the token is used directly, without an exchange."""


async def verify(
    github: GitHub,
    credential: Credential,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Verification:
    """Verify that the token has access to Copilot.

    Raises `NoCopilotAccess` or `NotSignedIn` if it does not, and `UpstreamError` if GitHub asks the
    program to wait, or cannot be reached after several retries.
    """
    github = github.at(credential.host)
    exchange = await with_retries(
        lambda: github.exchange(credential.token), _RETRY_DELAYS, sleep=sleep
    )
    api_url = hosts.copilot_url(
        exchange.api_url, copilot_fields(exchange.token), credential.host, github.settings
    )
    account = await _account(github, credential)
    return Verification(
        login=account.login if account else await _login(github, credential),
        plan=account.plan if account else plan_name(exchange.sku),
        api_url=api_url,
        models=await count_models(github, exchange, api_url),
        direct=exchange.direct,
    )


async def fetch_login(github: GitHub, credential: Credential) -> str | None:
    """Return the login of the token's owner, or None if the request fails."""
    return await _login(github.at(credential.host), credential)


async def _account(github: GitHub, credential: Credential) -> Account | None:
    try:
        return await github.copilot_user(credential.token)
    except (SignInError, UpstreamError):
        return None


async def _login(github: GitHub, credential: Credential) -> str | None:
    try:
        return await github.user(credential.token)
    except (SignInError, UpstreamError):
        return None


def _refused(exchange: TokenExchange) -> NotSignedIn:
    if is_fine_grained(exchange.token):
        return personal_token_error(exchange.token)
    return NotSignedIn(
        "The GitHub token was issued to another app, and Copilot does not accept it.",
        code="wrong_app_token",
    )


async def count_models(github: GitHub, exchange: TokenExchange, api_url: str) -> int | None:
    """Return the number of usable models, or None on any error.

    The number is informational, so errors do not fail the verification. The exception is a token
    that is used directly: Copilot has not accepted it before, so a refusal raises `NotSignedIn`.
    """
    identity = headers.copilot(github.settings.identity, intent="model-access")
    try:
        response = await github.client.get(
            f"{api_url}/models",
            headers={
                **(headers.direct(identity) if exchange.direct else identity),
                "authorization": f"Bearer {exchange.token.reveal()}",
            },
            timeout=github.timeout,
        )
        if exchange.direct and response.status_code in _REFUSED:
            raise _refused(exchange)
        models = parse_models(response.raise_for_status().json()).picker_models
    except (httpx.HTTPError, ValueError, RecursionError):
        return None
    return len(models)
