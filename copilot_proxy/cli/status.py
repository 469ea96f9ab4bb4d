"""The ``status`` command: who is signed in, with which plan, and what is left of it."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copilot_proxy.cli.console import problem, result, table
from copilot_proxy.composition import settings_for
from copilot_proxy.errors import CopilotProxyError, NoCopilotAccess, NotSignedIn
from copilot_proxy.masking import mask
from copilot_proxy.settings import Settings

if TYPE_CHECKING:
    from copilot_proxy.auth.account import Account, Quota
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.github import GitHub, TokenExchange


_SIMULATOR: Final = "the simulator"


@dataclass
class Known:
    """What has been found out, and what stands in the way."""

    credential: "Credential | None" = None
    account: "Account | None" = None
    api_url: str | None = None
    error: CopilotProxyError | None = None


def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for other programs instead.")
    ] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Show the simulator's account.")
    ] = False,
) -> None:
    """Show who is signed in, the plan, and what is left of it."""
    import asyncio

    from copilot_proxy.auth.stores import Credentials

    with settings_for({}, simulate=simulate) as (settings, _):
        credentials = Credentials.from_settings(settings)
        known = Known()
        try:
            known.credential = credentials.load()
            if known.credential is None:
                raise NotSignedIn()
            asyncio.run(_find_out(settings, known.credential, known))
        except CopilotProxyError as failure:
            known.error = failure
        found = known.credential
        store = credentials.store(found.source).describe() if found and not simulate else _SIMULATOR
    if as_json:
        result(json.dumps(_json(known), indent=2))
    elif found is not None:
        result(table(_rows(found, known, store)))
    if known.error is not None:
        if not as_json:
            raise known.error
        problem(known.error)
        raise typer.Exit(known.error.exit_code)


async def _find_out(settings: Settings, credential: "Credential", known: Known) -> None:
    """Asks for the account, and for a token as every request needs one: either can be refused."""
    import asyncio

    from copilot_proxy.auth import hosts
    from copilot_proxy.auth.account import Account
    from copilot_proxy.auth.github import GitHub, TokenExchange
    from copilot_proxy.auth.http_clients import make_client
    from copilot_proxy.auth.token_kinds import copilot_fields

    async with make_client(settings) as client:
        github = GitHub(client, settings, credential.host)
        account, exchange = await asyncio.gather(
            github.copilot_user(credential.token),
            github.exchange(credential.token),
            return_exceptions=True,
        )
        for outcome in (account, exchange):
            if isinstance(outcome, BaseException) and not isinstance(outcome, CopilotProxyError):
                raise outcome
        if isinstance(account, Account):
            known.account = account
        elif isinstance(exchange, TokenExchange):
            known.account = await _account_of(exchange, github, credential)
        api_url, fields = known.account.api_url if known.account else None, {}
        if isinstance(exchange, TokenExchange):
            api_url, fields = exchange.api_url, copilot_fields(exchange.token)
        if known.account is not None:
            known.api_url = hosts.copilot_url(api_url, fields, credential.host, settings)
    known.error = _trouble(account, exchange)


async def _account_of(
    exchange: "TokenExchange", github: "GitHub", credential: "Credential"
) -> "Account":
    """What a token tells when the account's own page does not answer."""
    from copilot_proxy.auth.account import parse_account
    from copilot_proxy.auth.verification import fetch_login

    login = credential.login or await fetch_login(github, credential)
    return parse_account({"login": login, "access_type_sku": exchange.sku})


def _trouble(
    account: "Account | BaseException", exchange: "TokenExchange | BaseException"
) -> CopilotProxyError | None:
    """Why Copilot cannot be used, or what is not known of the account."""
    if isinstance(exchange, CopilotProxyError):
        if not isinstance(account, BaseException) and not isinstance(exchange, NoCopilotAccess):
            exchange.message = f"GitHub gives no Copilot token: {exchange.message}"
        return exchange
    if isinstance(account, NoCopilotAccess):
        # The page is not for everybody; the token is what counts.
        return None
    if isinstance(account, CopilotProxyError):
        return account
    if not isinstance(account, BaseException) and account.chat_enabled is False:
        return NoCopilotAccess(
            "GitHub says that Copilot Chat is not enabled for this account.",
            hint="See your subscription at https://github.com/settings/copilot",
            code="no_copilot_access",
        )
    return None


def _json(known: Known) -> dict[str, Any]:
    """Every key is always there; null stands for what is not known."""
    credential, account, error = known.credential, known.account, known.error
    refused = credential is None or isinstance(error, NotSignedIn)
    return {
        "signed_in": not refused,
        "login": _login(credential, account),
        "host": credential.host if credential else None,
        "store": credential.source if credential else None,
        "plan": account.plan if account else None,
        "sku": account.sku if account else None,
        "chat_enabled": account.chat_enabled if account else None,
        "api_url": known.api_url,
        "quota": asdict(account.quota) if account and account.quota else None,
        "resets_on": account.resets_on.isoformat() if account and account.resets_on else None,
        "error": {"code": error.code, "message": mask(error.message)} if error else None,
    }


def _rows(credential: "Credential", known: Known, store: str) -> list[tuple[str, str]]:
    account = known.account
    rows = [("Token", f"in {store}")]
    if not (account is None and isinstance(known.error, NotSignedIn)):
        login = _login(credential, account) or "unknown"
        rows.insert(0, ("Signed in as", f"{login} ({credential.host})"))
    if account is None:
        return rows
    rows.append(("Plan", account.plan))
    if known.api_url is not None:
        rows.append(("API", known.api_url))
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
