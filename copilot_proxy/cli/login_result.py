"""Reports a successful sign-in, and whether another account's requests are in the same ledger."""

import time
from typing import TYPE_CHECKING

from copilot_proxy.auth.hosts import GITHUB
from copilot_proxy.cli.console import counted, print_message
from copilot_proxy.cli.login_source import limits
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.settings import Settings

if TYPE_CHECKING:
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.verification import Verification


def report_success(
    verification: "Verification", credential: "Credential", settings: Settings
) -> None:
    """Print the account of a `credential` that has been verified and stored."""
    count = verification.models
    models = f", {counted(count, 'model')}" if count is not None else ""
    print_message(
        f"Signed in as {verification.login or 'an unnamed account'} "
        f"({verification.plan} plan{models})."
    )
    if verification.direct:
        print_message(limits())
    if verification.login and settings.ledger:
        is_usual = credential.host == GITHUB
        name = verification.login if is_usual else f"{verification.login} ({credential.host})"
        try:
            others = _sign_in_to_ledger(name, settings)
        except CopilotProxyError:
            return  # the server and `doctor` report a ledger that cannot be used
        if others:
            print_message(
                f"The ledger contains requests from {', '.join(others)}; requests from {name} "
                "will be added to the same totals. To separate them, sign in with a profile for "
                "each account: copilot-proxy --profile NAME login"
            )


def _sign_in_to_ledger(name: str, settings: Settings) -> list[str]:
    """Record the sign-in in the ledger, and return the other accounts with requests in the
    ledger."""
    from copilot_proxy.ledger.database import opened_ledger
    from copilot_proxy.ledger.sign_ins import accounts_with_requests, add_sign_in

    with opened_ledger(settings.ledger_file, create=True) as database:
        others = [other for other in accounts_with_requests(database) if other != name]
        add_sign_in(database, name, time.time_ns() // 1000)
    return others
