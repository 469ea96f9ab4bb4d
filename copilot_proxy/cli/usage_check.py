"""``usage --verify``: checks the ledger, and compares this month with GitHub's quota."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from copilot_proxy.cli.console import counted, print_result
from copilot_proxy.cost.nano_aiu import credits
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.queries import latest_quota, month_total
from copilot_proxy.ledger.verification import Findings, verify

_UNIT: Final = "AI credits"


def check(database: Database, *, as_json: bool) -> int:
    """Print the results of checking the ledger; return 1 if it is not sound."""
    findings = verify(database)
    month = _month(database)
    is_sound = not findings.changes and not findings.differences
    if as_json:
        found = {**findings._asdict(), "sound": is_sound, "month": month}
        print_result(json.dumps(found, indent=2))
    else:
        _print_findings(findings, month)
    return 0 if is_sound else 1


def _print_findings(findings: Findings, month: dict[str, Any]) -> None:
    print_result(f"{counted(findings.rows, 'row')} checked.")
    if not findings.changes:
        print_result("The rows are intact: none was changed, removed or inserted.")
    if not findings.differences:
        print_result("Every cost that Copilot reported matches the sum of its parts.")
    for finding in (*findings.changes, *findings.differences):
        print_result(finding)
    if month["github"] is None:
        unit = month["unit"]
        github = (
            "GitHub's number is unknown."
            if unit in (None, _UNIT)
            else f"GitHub counts {unit} instead, which cannot be compared."
        )
        print_result(f"This month: ledger {month['ledger']:,.2f} {_UNIT}. {github}")
    else:
        print_result(
            f"This month: ledger {month['ledger']:,.2f}, GitHub {month['github']:,.2f}, other "
            f"clients {month['others']:,.2f} {_UNIT}. GitHub reports in steps of "
            f"{month['step']:g}."
        )


def _month(database: Database) -> dict[str, Any]:
    """Return this month's credits according to the ledger and according to GitHub's quota.

    `unit` is the quota's unit; the two can be compared only if it is AI credits.
    """
    now = datetime.now().astimezone()
    ledger = credits(month_total(database, now).nano_aiu)
    quota, at = latest_quota(database) or (None, None)
    used = None
    if quota is not None and at is not None and quota.unit == _UNIT:
        is_current = at.astimezone(UTC).strftime("%Y-%m") == now.astimezone(UTC).strftime("%Y-%m")
        used = quota.used if is_current else None
    if quota is None or used is None:
        unit = quota.unit if quota is not None else None
        return {"ledger": ledger, "github": None, "others": None, "step": None, "unit": unit}
    step = quota.entitlement / 1000  # the percentage has one decimal
    others = max(0.0, used - ledger)
    return {"ledger": ledger, "github": used, "others": others, "step": step, "unit": quota.unit}
