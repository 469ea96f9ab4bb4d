"""Copies the ledger, and removes old days from it."""

import os
import sqlite3
from datetime import date
from pathlib import Path

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import hint_for
from copilot_proxy.ledger.periods import midnight
from copilot_proxy.private_files import NEW, failure_reason, open_private


def backup(database: sqlite3.Connection, target: Path) -> None:
    """Copy the ledger, which may be in use, to the new file `target`.

    Raises `CopilotProxyError`.
    """
    try:
        os.close(open_private(target, NEW))
        # SQLite writes into the empty file, which keeps its mode.
        database.execute("VACUUM INTO ?", (str(target),))
    except FileExistsError:
        raise CopilotProxyError(f"{target} already exists.") from None
    except OSError as error:
        raise CopilotProxyError(f"{target} cannot be written: {failure_reason(error)}.") from error
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise CopilotProxyError(f"The ledger could not be copied: {error}.") from error


def forget(database: sqlite3.Connection, first_kept: date) -> int:
    """Remove all days before `first_kept`, and return the number of rows removed.

    Raises `CopilotProxyError`.
    """
    try:
        database.execute("BEGIN IMMEDIATE")
        day = (first_kept.isoformat(),)
        count = database.execute("DELETE FROM requests WHERE day < ?", day).rowcount
        database.execute("DELETE FROM sums WHERE day < ?", day)
        database.execute("DELETE FROM days WHERE day < ?", day)
        moment = round(midnight(first_kept).timestamp() * 1e6)
        database.execute("DELETE FROM prompts WHERE started_us < ?", (moment,))
        database.execute("COMMIT")
        database.execute("VACUUM")
    except sqlite3.Error as error:
        raise CopilotProxyError(
            f"The ledger could not be changed: {error}.", hint=hint_for(error)
        ) from error
    return count
