"""The ``status`` command: shows the account, its plan and its remaining quota."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copilot_proxy.cli.console import counted, print_error, print_result, two_columns
from copilot_proxy.cli.shared_options import JsonOption
from copilot_proxy.cli.simulated_settings import settings_for
from copilot_proxy.cost.display import percent, quota_amount
from copilot_proxy.cost.nano_aiu import grouped
from copilot_proxy.errors import CopilotProxyError, NoCopilotAccess, NotSignedIn
from copilot_proxy.masking import mask
from copilot_proxy.settings import DEFAULT_PROFILE, Settings

if TYPE_CHECKING:
    from copilot_proxy.auth.account import Account, AccountQuota
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.github import GitHub, TokenExchange


_SIMULATOR: Final = "the simulator"


@dataclass
class AccountStatus:
    """The data about the account; `error` explains what is unknown or unusable."""

    credential: "Credential | None" = None
    account: "Account | None" = None
    api_url: str | None = None
    direct: bool | None = None
    """Whether the token itself is used, without an exchange; None if unknown."""
    models: int | None = None
    """How many models Copilot lists for a token that is used directly."""
    notice: str | None = None
    """A notice for the user from GitHub, such as about the end of a trial."""
    error: CopilotProxyError | None = None


def status(
    as_json: JsonOption = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Show the simulator's account.")
    ] = False,
) -> None:
    """Show the account, its plan and its remaining quota."""
    import asyncio

    from copilot_proxy.auth.stores import Credentials

    with settings_for({}, simulate=simulate) as (settings, _):
        credentials = Credentials.from_settings(settings)
        account_status = AccountStatus()
        try:
            account_status.credential = credentials.load()
            if account_status.credential is None:
                raise NotSignedIn()
            asyncio.run(_fetch(settings, account_status.credential, account_status))
        except CopilotProxyError as error:
            account_status.error = error
        credential = account_status.credential
        store = _SIMULATOR
        if credential is not None and not simulate:
            store = credentials.store(credential.source).describe()
    if as_json:
        shown = {**_json(account_status, simulate), **_profiles(settings)}
        print_result(json.dumps(shown, indent=2))
    else:
        rows = [] if credential is None else _rows(credential, account_status, store)
        if settings.known_profiles or settings.profile:
            rows.append(("Profile", _profile_text(settings)))
        if rows:
            print_result(two_columns(rows))
    if account_status.error is not None:
        if not as_json:
            raise account_status.error
        print_error(account_status.error)
        raise typer.Exit(account_status.error.exit_code)


async def _fetch(settings: Settings, credential: "Credential", status: AccountStatus) -> None:
    """Fetch the account and a Copilot token into `status`; GitHub may refuse either."""
    import asyncio

    from copilot_proxy.auth import hosts
    from copilot_proxy.auth.account import Account
    from copilot_proxy.auth.github import GitHub, TokenExchange
    from copilot_proxy.auth.retries import with_retries
    from copilot_proxy.auth.token_kinds import copilot_fields
    from copilot_proxy.network.http_clients import make_client

    async with make_client(settings) as client:
        github = GitHub(client, settings, credential.host)
        account, exchange = await asyncio.gather(
            with_retries(lambda: github.copilot_user(credential.token)),
            with_retries(lambda: github.exchange(credential.token)),
            return_exceptions=True,
        )
        for outcome in (account, exchange):
            if isinstance(outcome, BaseException) and not isinstance(outcome, CopilotProxyError):
                raise outcome
        if isinstance(account, Account):
            status.account = account
        elif isinstance(exchange, TokenExchange):
            status.account = await _account_of(exchange, github, credential)
        api_url, fields = status.account.api_url if status.account else None, {}
        if isinstance(exchange, TokenExchange):
            api_url, fields = exchange.api_url, copilot_fields(exchange.token)
        if status.account is not None:
            status.api_url = hosts.copilot_url(api_url, fields, credential.host, settings)
        if isinstance(exchange, TokenExchange) and status.api_url is not None:
            status.direct, status.notice = exchange.direct, exchange.notice
            if exchange.direct:
                await _try(exchange, github, status.api_url, status)
    status.error = status.error or _error_of(account, exchange)


async def _try(
    exchange: "TokenExchange", github: "GitHub", api_url: str, status: AccountStatus
) -> None:
    """Try the token with Copilot: since it is used directly, no exchange has tested it."""
    from copilot_proxy.auth.verification import count_models

    try:
        status.models = await count_models(github, exchange, api_url)
    except NotSignedIn as error:
        status.error = error


async def _account_of(
    exchange: "TokenExchange", github: "GitHub", credential: "Credential"
) -> "Account":
    """Return an account with only its login and plan, for when GitHub returns no account."""
    from copilot_proxy.auth.account import parse_account
    from copilot_proxy.auth.verification import fetch_login

    login = credential.login or await fetch_login(github, credential)
    return parse_account({"login": login, "access_type_sku": exchange.sku})


def _error_of(
    account: "Account | BaseException", exchange: "TokenExchange | BaseException"
) -> CopilotProxyError | None:
    """Return why Copilot is unusable or the account is unknown, or None if all is well."""
    if isinstance(exchange, CopilotProxyError):
        if not isinstance(account, BaseException) and not isinstance(exchange, NoCopilotAccess):
            exchange.message = f"GitHub did not issue a Copilot token: {exchange.message}"
        return exchange
    if isinstance(account, NoCopilotAccess):
        # Some accounts cannot read their own details. An issued Copilot token is proof enough.
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


def _profiles(settings: Settings) -> dict[str, Any]:
    """Return the profile in use and all named profiles, for ``--json``. The default profile is
    null."""
    return {"profile": settings.profile, "profiles": list(settings.known_profiles)}


def _profile_text(settings: Settings) -> str:
    """Describe the profile in use, with its port, and list the others."""
    used = settings.profile or DEFAULT_PROFILE
    others = [one for one in (DEFAULT_PROFILE, *settings.known_profiles) if one != used]
    return f"{used}, port {settings.port}" + (f"; others: {', '.join(others)}" if others else "")


def _json(status: AccountStatus, is_simulated: bool) -> dict[str, Any]:
    """Return the output of ``--json``. All keys are always present; unknown values are null."""
    credential, account, error = status.credential, status.account, status.error
    return {
        "signed_in": credential is not None and not isinstance(error, NotSignedIn),
        "login": _login(credential, account),
        "host": credential.host if credential else None,
        "store": "simulator" if is_simulated else credential.source if credential else None,
        "plan": account.plan if account else None,
        "sku": account.sku if account else None,
        "chat_enabled": account.chat_enabled if account else None,
        "api_url": status.api_url,
        "direct": status.direct,
        "models": status.models,
        "quota": asdict(account.quota) if account and account.quota else None,
        "resets_on": account.resets_on.isoformat() if account and account.resets_on else None,
        "runs_out_on": end.isoformat() if (end := _runs_out_on(account)) else None,
        "notice": status.notice,
        "error": {"code": error.code, "message": mask(error.message)} if error else None,
    }


def _rows(credential: "Credential", status: AccountStatus, store: str) -> list[tuple[str, str]]:
    account = status.account
    rows = [("Token", f"in {store}")]
    if not (account is None and isinstance(status.error, NotSignedIn)):
        login = _login(credential, account) or ("not checked" if account is None else "unknown")
        rows.insert(0, ("Signed in as", f"{login} ({credential.host})"))
    if status.direct:
        rows.append(("Used", _directly(status)))
    if account is None:
        return rows
    rows.append(("Plan", account.plan))
    if status.api_url is not None:
        rows.append(("API", status.api_url))
    if account.quota is not None:
        rows.append(("Quota", quota_text(account.quota)))
    if account.resets_on is not None:
        rows.append(("Resets on", account.resets_on.isoformat()))
    if (end := _runs_out_on(account)) is not None:
        rows.append(("Runs out on", f"{end.isoformat()}, at this month's pace"))
    if status.notice is not None:
        rows.append(("GitHub says", status.notice))
    return rows


def _directly(status: AccountStatus) -> str:
    """Describe Copilot's answer to a token that is used directly."""
    if status.error is not None:
        return "directly, without an exchange"
    if status.models is None:
        return "directly, without an exchange; Copilot did not respond"
    models = counted(status.models, "model")
    return f"directly, without an exchange; Copilot accepts it and lists {models}"


def _runs_out_on(account: "Account | None") -> "date | None":
    """Return the day on which the quota will run out at this month's pace, or None if it will
    last."""
    from copilot_proxy.cost.quota import Quota, runs_out

    quota = account.quota if account is not None else None
    if account is None or quota is None or account.resets_on is None:
        return None
    if not quota.entitlement or quota.percent_remaining is None or quota.used_up:
        return None
    share, resets_on = quota.percent_remaining, account.resets_on
    midnight = datetime(resets_on.year, resets_on.month, resets_on.day, tzinfo=UTC)
    seen = Quota(quota.unit, quota.entitlement, share, quota.overage_count, midnight)
    end = runs_out(seen, datetime.now(UTC))
    return None if end is None else end.astimezone().date()


def quota_text(quota: "AccountQuota") -> str:
    """Describe the remaining quota in a few words."""
    if quota.unlimited:
        shared = "used up: the shared pool is empty" if quota.used_up else "no individual limit"
        return f"{quota.unit}: {shared}"
    share = quota.percent_remaining
    left_share = None if share is None else percent(share)
    # The Free plan does not count in the units that it advertises, so show only the percentage.
    if quota.entitlement and quota.remaining is not None and quota.unit != "chat messages":
        remaining, whole = quota_amount(quota.remaining), grouped(quota.entitlement)
        left = f"{remaining} of {whole} {quota.unit} left"
        text = f"{left} ({left_share})" if left_share else left
    elif left_share:
        text = f"{left_share} of the {quota.unit} left"
    else:
        text = f"{quota.unit}: unknown"
    if quota.overage_count:
        text += f"; {grouped(quota.overage_count)} used beyond the plan"
    elif quota.used_up and quota.overage_permitted:
        text += "; further use is billed"
    return text


def _login(credential: "Credential | None", account: "Account | None") -> str | None:
    return (account.login if account else None) or (credential.login if credential else None)
