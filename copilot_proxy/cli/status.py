"""The ``status`` command: who is signed in, with which plan, and what is left of it."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copilot_proxy.cli.console import problem, result, table
from copilot_proxy.errors import CopilotProxyError, NoCopilotAccess, NotSignedIn
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.auth.account import Account, Quota
    from copilot_proxy.auth.credential import Credential


def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for other programs instead.")
    ] = False,
) -> None:
    """Show who is signed in, the plan, and what is left of it."""
    import asyncio

    from copilot_proxy.auth.stores import Credentials

    settings = load_settings()
    credentials = Credentials.from_settings(settings)
    credential: Credential | None = None
    account: Account | None = None
    api_url: str | None = None
    error: CopilotProxyError | None = None
    try:
        credential = credentials.load()
        if credential is None:
            raise NotSignedIn()
        account = asyncio.run(_ask(settings, credential))
        api_url = _api_url(settings, credential, account)
        if account.chat_enabled is False:
            error = NoCopilotAccess(
                "GitHub says that Copilot Chat is not enabled for this account.",
                hint="See your subscription at https://github.com/settings/copilot",
                code="no_copilot_access",
            )
    except CopilotProxyError as failure:
        error = failure
    store = credentials.store(credential.source).describe() if credential else None
    if as_json:
        result(json.dumps(_json(credential, account, api_url, error), indent=2))
    elif credential is not None:
        result(table(_rows(credential, account, api_url, store or "")))
    if error is not None:
        if not as_json:
            raise error
        problem(error)
        raise typer.Exit(error.exit_code)


async def _ask(settings: Settings, credential: "Credential") -> "Account":
    from copilot_proxy.auth.github import GitHub
    from copilot_proxy.auth.network import make_client

    async with make_client(settings) as client:
        return await GitHub(client, settings, credential.host).copilot_user(credential.token)


def _api_url(settings: Settings, credential: "Credential", account: "Account") -> str:
    from copilot_proxy.auth import hosts

    return hosts.copilot_url(account.api_url, {}, credential.host, settings)


def _json(
    credential: "Credential | None",
    account: "Account | None",
    api_url: str | None,
    error: CopilotProxyError | None,
) -> dict[str, Any]:
    """Every key is always there; null stands for what is not known."""
    refused = credential is None or isinstance(error, NotSignedIn)
    return {
        "signed_in": not refused,
        "login": _login(credential, account),
        "host": credential.host if credential else None,
        "store": credential.source if credential else None,
        "plan": account.plan if account else None,
        "sku": account.sku if account else None,
        "chat_enabled": account.chat_enabled if account else None,
        "api_url": api_url,
        "quota": asdict(account.quota) if account and account.quota else None,
        "resets_on": account.resets_on.isoformat() if account and account.resets_on else None,
        "error": {"code": error.code, "message": error.message} if error else None,
    }


def _rows(
    credential: "Credential", account: "Account | None", api_url: str | None, store: str
) -> list[tuple[str, str]]:
    login = _login(credential, account) or "unknown"
    rows = [("Signed in as", f"{login} ({credential.host})"), ("Token", f"in {store}")]
    if account is None:
        return rows
    rows.append(("Plan", account.plan))
    if api_url is not None:
        rows.append(("API", api_url))
    if account.quota is not None:
        rows.append(("Quota", quota_text(account.quota)))
    if account.resets_on is not None:
        rows.append(("Resets on", account.resets_on.isoformat()))
    return rows


def quota_text(quota: "Quota") -> str:
    """What is left, in a few words."""
    if quota.unlimited:
        shared = "used up: the shared pool is empty" if quota.used_up else "no limit of its own"
        return f"{quota.unit}: {shared}"
    share = quota.percent_remaining
    percent = None if share is None else f"{max(share, 0):.0f} %"
    # The Free plan counts other units than it advertises, so only the share means anything.
    if quota.entitlement and quota.remaining is not None and quota.unit != "chat messages":
        left = f"{max(quota.remaining, 0):g} of {quota.entitlement:g} {quota.unit} left"
        text = f"{left} ({percent})" if percent else left
    else:
        text = f"{percent} of the {quota.unit} left" if percent else f"{quota.unit}: unknown"
    if quota.overage_count:
        text += f"; {quota.overage_count:g} used beyond the plan"
    elif quota.used_up and quota.overage_permitted:
        text += "; more is billed"
    return text


def _login(credential: "Credential | None", account: "Account | None") -> str | None:
    return (account.login if account else None) or (credential.login if credential else None)
