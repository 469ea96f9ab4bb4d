"""``usage --verify``: checks the ledger, and compares this month with GitHub's quota."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from copilot_proxy.cli.console import counted, print_result, wrapped
from copilot_proxy.cost.nano_aiu import NANO, credits, rounded
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.periods import this_month
from copilot_proxy.ledger.queries import latest_quota, month_total
from copilot_proxy.ledger.sign_ins import accounts_with_requests
from copilot_proxy.ledger.verification import Findings, verify

_UNIT: Final = "AI credits"


def check(database: Database, *, as_json: bool) -> int:
    """Check the ledger, print the results, and return 1 if it has errors."""
    findings = verify(database)
    month = _month(database)
    is_sound = not findings.changes and not findings.differences
    if as_json:
        found = {**findings._asdict(), "sound": is_sound, "month": month}
        print_result(json.dumps(found, indent=2))
    else:
        _print_findings(findings, month)
    return 0 if is_sound else 1


def _print(text: str) -> None:
    print_result(wrapped(text))


def _print_findings(findings: Findings, month: dict[str, Any]) -> None:
    _print(f"{counted(findings.rows, 'row')} checked.")
    if not findings.changes:
        _print("The rows are intact: none was changed, removed or inserted.")
    if not findings.differences:
        _print("Every cost that Copilot reported matches the sum of its parts.")
    for finding in (*findings.changes, *findings.differences):
        _print(finding)
    if month["github"] is None:
        unit = month["unit"]
        github = (
            "GitHub's number is unknown."
            if unit in (None, _UNIT)
            else f"GitHub counts {unit} instead, which cannot be compared."
        )
        _print(f"This month: ledger {_amount(month['ledger'])} {_UNIT}. {github}")
    else:
        _print(
            f"This month: ledger {_amount(month['ledger'])}, GitHub {_amount(month['github'])}, "
            f"other clients {_amount(month['others'])} {_UNIT}. GitHub reports in steps of "
            f"{month['step']:g}."
        )
        excess = month["ledger"] - month["github"]
        if excess > month["step"]:
            _print(
                f"The ledger counts {_amount(excess)} more than GitHub. That is possible if some "
                "costs are estimated, if GitHub has not counted the latest requests yet, or if the "
                "ledger contains requests from another account."
            )
    if len(month["accounts"]) > 1:
        names = ", ".join(month["accounts"])
        _print(
            f"This month's requests are from several accounts ({names}), but GitHub's number "
            "covers only one."
        )
    if inexact := _inexact(month):
        _print(f"The ledger's amount is not exact, because of {inexact}.")


def _inexact(month: dict[str, Any]) -> str:
    """Describe how many of the month's costs are estimated or unknown. Returns "" if none are."""
    estimated, unknown = month["estimated_requests"], month["unknown_cost_requests"]
    parts = [f"{counted(estimated, 'request')} with an estimated cost"] if estimated else []
    parts += [f"{counted(unknown, 'request')} with an unknown cost"] if unknown else []
    return " and ".join(parts)


def _amount(value: float) -> str:
    return rounded(round(value * NANO))


def _month(database: Database) -> dict[str, Any]:
    """Return this month's credits according to the ledger and according to GitHub's quota.

    The entry ``unit`` is the quota's unit; the amounts can be compared only if it is AI credits.
    """
    now = datetime.now().astimezone()
    sums = month_total(database, now)
    quota, at = latest_quota(database) or (None, None)
    ledger = credits(sums.nano_aiu)
    found = {
        "ledger": ledger,
        "estimated_requests": sums.estimated_requests,
        "unknown_cost_requests": sums.unknown_cost_requests,
        "unit": None if quota is None else quota.unit,
        "accounts": accounts_with_requests(database, this_month(now).since),
    }
    used = None
    if quota is not None and at is not None and quota.unit == _UNIT:
        is_current = at.astimezone(UTC).strftime("%Y-%m") == now.astimezone(UTC).strftime("%Y-%m")
        used = quota.used if is_current else None
    if quota is None or used is None:
        return {**found, "github": None, "others": None, "step": None}
    step = quota.entitlement / 1000  # GitHub's percentage has one decimal
    others = round(max(0.0, used - ledger), 9)
    return {**found, "github": used, "others": others, "step": step}
