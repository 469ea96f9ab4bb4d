"""``usage backup``, ``forget`` and ``import``: copy the ledger, remove days, add requests."""

import os
from datetime import datetime
from pathlib import Path

from copilot_proxy.cli.console import counted, print_message
from copilot_proxy.errors import UsageError
from copilot_proxy.ledger import copilot_cli, maintenance
from copilot_proxy.ledger.database import opened_ledger
from copilot_proxy.ledger.periods import parse_day
from copilot_proxy.ledger.queries import month_total


def backup(path: Path, target: Path) -> int:
    """Copy the ledger to a new file. Raises `CopilotProxyError`."""
    with opened_ledger(path, write=True) as database:
        maintenance.backup(database, target)
    print_message(f"The ledger was copied to {target}.")
    return 0


def forget(path: Path, before: str | None) -> int:
    """Remove from the ledger all days before the date in `before`; return the exit code.

    Raises `CopilotProxyError`.
    """
    if before is None:
        raise UsageError("`usage forget` needs --before DATE.")
    now = datetime.now().astimezone()
    day = parse_day(before, now)
    if day > now.date():
        # This would also remove today's requests, which count toward the budget.
        raise UsageError(
            f"{day} is in the future, so this would remove the whole ledger.",
            hint="Pass the first day to keep, such as today. To remove everything, stop the "
            "server and delete the file that `copilot-proxy usage path` prints.",
        )
    with opened_ledger(path, write=True) as database:
        before_forgetting = month_total(database, now).requests
        count = maintenance.forget(database, day)
        is_incomplete = month_total(database, now).requests < before_forgetting
    print_message(f"Removed {counted(count, 'row')} from before {day}.")
    if is_incomplete:
        print_message(
            "Some rows were from this month, so this month's totals are now too low, and a "
            "monthly budget allows more than before."
        )
    return 0


def import_from(path: Path, source: str) -> int:
    """Add requests that another program has recorded. Raises `CopilotProxyError`."""
    if source != copilot_cli.CLIENT:
        raise UsageError(
            f"Requests from {source!r} cannot be imported.", hint=f"Use: {copilot_cli.CLIENT}."
        )
    folder = os.environ.get("COPILOT_HOME") or Path.home() / ".copilot"
    with opened_ledger(path, create=True) as database:
        found = copilot_cli.import_events(database, Path(folder) / copilot_cli.FILE_NAME)
    print_message(
        f"{found.added:,} new request{'' if found.added == 1 else 's'} from Copilot CLI; "
        f"{found.known:,} already imported, {found.own:,} sent through this server"
        + (f", {found.uncharged:,} not charged by Copilot." if found.uncharged else ".")
    )
    return 0
