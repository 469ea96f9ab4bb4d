"""Checks the sign-in, the keyring, access to Copilot, and the quota."""

from collections.abc import Iterator
from typing import Final

from copilot_proxy.auth.account import Account
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.keyring_store import KeyringStore
from copilot_proxy.cost.display import percent
from copilot_proxy.doctor.account_facts import KEYRING_SECONDS, AccountFacts
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Result, broken, from_error, ok, skipped, warning
from copilot_proxy.errors import (
    CopilotProxyError,
    NoCopilotAccess,
    NotSignedIn,
    SignInError,
)

_SETTINGS_URL: Final = "https://github.com/settings/copilot"
_LOW_QUOTA: Final = 10.0
"""The percentage of the quota below which `doctor` warns."""


def _facts(context: CheckContext) -> AccountFacts | Result:
    try:
        return context.account()
    except CopilotProxyError:
        return skipped("Not checked; see the other problems.")


def check_sign_in(context: CheckContext) -> Iterator[Result]:
    """Check whether there is a sign-in that GitHub accepts."""
    facts = _facts(context)
    if isinstance(facts, Result):
        yield facts
        return
    if facts.is_keyring_broken:
        yield skipped("Unknown; see the problem with the keyring.")
        return
    if facts.credential is None:
        yield from_error(NotSignedIn())
        return
    for error in facts.errors:
        if isinstance(error, SignInError) and not isinstance(error, NoCopilotAccess):
            where = f" The token is in {facts.store}." if facts.store else ""
            result = from_error(error)
            yield broken(f"{result.what}{where}", str(result.remedy))
            return
    yield ok("simulated" if context.settings.simulated else f"in {facts.store}")


def check_keyring(context: CheckContext) -> Iterator[Result]:
    """Check whether the system's keyring works, if it holds or could hold the sign-in."""
    facts = _facts(context)
    credential = facts.credential if isinstance(facts, AccountFacts) else None
    is_broken = isinstance(facts, AccountFacts) and facts.is_keyring_broken
    if is_broken and isinstance(credential, CopilotProxyError):
        yield from_error(credential)
    elif isinstance(credential, Credential):
        is_there = credential.source == KeyringStore.name
        yield ok("holds the token" if is_there else "not needed: the token is stored elsewhere")
    else:
        reason = KeyringStore(KEYRING_SECONDS).unavailable()
        yield ok("available" if reason is None else f"{reason} `login` offers to use a file.")


def check_copilot(context: CheckContext) -> Iterator[Result]:
    """Check whether the account has Copilot."""
    facts = _facts(context)
    if isinstance(facts, Result):
        yield facts
        return
    for error in facts.errors:
        # Some accounts cannot read their own details. An issued Copilot token is proof enough.
        if isinstance(error, NoCopilotAccess) and error is not facts.account:
            yield from_error(error)
            return
    if isinstance(facts.account, Account):
        if facts.account.chat_enabled is False:
            yield broken(
                "GitHub says that Copilot Chat is not enabled for this account.",
                f"See your subscription at {_SETTINGS_URL}",
            )
        else:
            yield ok(f"plan: {facts.account.plan}")
    elif facts.errors:
        yield skipped("Unknown; see the other problems.")
    else:
        yield skipped("Not checked, since you are not signed in.")


def check_quota(context: CheckContext) -> Iterator[Result]:
    """Check how much of the quota is left."""
    facts = _facts(context)
    account = facts.account if isinstance(facts, AccountFacts) else None
    if not isinstance(account, Account) or account.quota is None:
        yield skipped("GitHub does not report a quota.")
        return
    quota, reset = account.quota, account.resets_on
    until = f" until {reset.isoformat()}" if reset else ""
    share = quota.percent_remaining
    if quota.used_up and not quota.overage_permitted:
        yield broken(
            f"The account's {quota.unit} are used up, so Copilot refuses requests{until}.",
            f"Allow further use at {_SETTINGS_URL}, or wait for the reset.",
        )
    elif quota.used_up:
        yield warning(
            f"The plan's {quota.unit} are used up; further use is billed{until}.",
            "Set a limit with: copilot-proxy budget set 500/day",
        )
    elif share is not None and share < _LOW_QUOTA:
        yield warning(
            f"Only {percent(share)} of the {quota.unit} are left{until}.",
            "See what uses them with: copilot-proxy usage client",
        )
    elif share is not None:
        yield ok(f"{percent(share)} of the {quota.unit} left{until}")
    else:
        yield ok(f"{quota.unit}: no individual limit")
