"""Proves that a GitHub token may use Copilot: exchange, account, models."""

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
from copilot_proxy.auth.token_kinds import copilot_fields
from copilot_proxy.catalogue import parse_models
from copilot_proxy.errors import SignInError, UpstreamError, UpstreamRefusal, UpstreamUnreachable

_PAUSES: Final = (1.0, 3.0, 5.0)
"""Seconds before each further try of the exchange."""


@dataclass(frozen=True)
class Verification:
    """What a sign-in has shown; None stands for what could not be found out."""

    login: str | None
    plan: str
    api_url: str
    models: int | None
    """How many chat models of Copilot's own menu can be used right away."""


async def prove(
    github: GitHub,
    credential: Credential,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Verification:
    """Raises `NoCopilotAccess` or `NotSignedIn` if the token may not use Copilot, and
    `UpstreamError` if GitHub refused to answer now, or several tries brought no answer."""
    github = github.at(credential.host)
    exchange = await _patiently(lambda: github.exchange(credential.token), sleep)
    api_url = hosts.copilot_url(
        exchange.api_url, copilot_fields(exchange.token), credential.host, github.settings
    )
    account = await _account(github, credential)
    return Verification(
        login=account.login if account else await _login(github, credential),
        plan=account.plan if account else plan_name(exchange.sku),
        api_url=api_url,
        models=await _count_models(github, exchange, api_url),
    )


async def who(github: GitHub, credential: Credential) -> str | None:
    """The login of a token's owner, or None if GitHub would not say."""
    return await _login(github.at(credential.host), credential)


async def _patiently(
    call: Callable[[], Awaitable[TokenExchange]], sleep: Callable[[float], Awaitable[None]]
) -> TokenExchange:
    for pause in _PAUSES:
        try:
            return await call()
        except UpstreamError as error:
            if not _may_pass(error):
                raise
            await sleep(pause)
    return await call()


def _may_pass(error: UpstreamError) -> bool:
    """Whether it may be over in seconds. GitHub's word that it wants to be left alone is not."""
    if isinstance(error, UpstreamRefusal):
        return error.upstream_status >= 500 and "retry-after" not in error.headers
    return isinstance(error, UpstreamUnreachable)


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


async def _count_models(github: GitHub, exchange: TokenExchange, api_url: str) -> int | None:
    """None on any trouble: the exchange has proved what matters already."""
    identity = github.settings.identity
    try:
        response = await github.client.get(
            f"{api_url}/models",
            headers={
                **headers.copilot(identity, intent="model-access"),
                "authorization": f"Bearer {exchange.token.reveal()}",
            },
            timeout=github.timeout,
        )
        models = parse_models(response.raise_for_status().json()).offered
    except (httpx.HTTPError, ValueError, RecursionError):
        return None
    return len(models)
