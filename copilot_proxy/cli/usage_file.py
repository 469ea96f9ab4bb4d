"""``usage backup`` and ``usage forget``: copies the ledger, and removes old days from it."""

from contextlib import closing
from datetime import date
from pathlib import Path

from copilot_proxy.cli.console import counted, print_message
from copilot_proxy.errors import UsageError
from copilot_proxy.ledger import maintenance
from copilot_proxy.ledger.reading import open_ledger


def backup(path: Path, target: Path) -> int:
    """Copy the ledger to a new file; raises `CopilotProxyError`."""
    with closing(open_ledger(path, write=True)) as database:
        maintenance.backup(database, target)
    print_message(f"The ledger was copied to {target}.")
    return 0


def forget(path: Path, before: str | None) -> int:
    """Remove whole days from the ledger; raises `CopilotProxyError`."""
    if before is None:
        raise UsageError("`usage forget` needs --before DATE.")
    try:
        day = date.fromisoformat(before)
    except ValueError:
        raise UsageError(
            f"{before!r} is not a date.", hint="Use a date such as 2026-11-29."
        ) from None
    with closing(open_ledger(path, write=True)) as database:
        count = maintenance.forget(database, day)
    print_message(f"{counted(count, 'row')} from before {day} removed.")
    return 0
