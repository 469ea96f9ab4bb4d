"""Checks whether the ledger's file can be used, without changing it."""

import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import (
    hint_for,
    is_damaged,
    open_for_reading,
    reason_of,
)
from copilot_proxy.ledger.queries import last_seen

_SECONDS: Final = 5.0
"""Maximum seconds for the search for damage; a one-gigabyte file takes longer."""
_STEPS: Final = 10_000
"""Steps of SQLite's virtual machine between checks of the clock."""


class DamagedLedger(CopilotProxyError):
    """The file is damaged, or is not a ledger."""


class LedgerHealth(NamedTuple):
    """Facts about a healthy ledger."""

    requests: int
    last_seen: dict[str, datetime]
    """Client -> when its last request ended."""


def examine(path: Path) -> LedgerHealth | None:
    """Return the facts about the ledger, or None if there is no ledger.

    Raises `DamagedLedger`, `NewerLedger`, or another `CopilotProxyError`.
    """
    try:
        database = open_for_reading(path)
        if database is None:
            return None
        with closing(database):
            _search_damage(database, path)
            (requests,) = database.execute("SELECT count(*) FROM requests").fetchone()
            return LedgerHealth(requests, last_seen(database))
    except (sqlite3.Error, OSError) as error:
        message = f"The ledger {path} cannot be read: {reason_of(error)}."
        if is_damaged(error):
            raise _damaged(message) from error
        raise CopilotProxyError(message, hint=hint_for(error)) from error


def check_writable(path: Path) -> None:
    """Raise `CopilotProxyError` if rows cannot be written, for example because another program is
    writing all the time. Changes nothing."""
    try:
        database = open_for_reading(path)
        if database is None:
            return
        with closing(database):
            database.execute("PRAGMA query_only = OFF")
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except (sqlite3.Error, OSError) as error:
        raise CopilotProxyError(
            f"The ledger {path} cannot be written to: {reason_of(error)}.", hint=hint_for(error)
        ) from error


def _search_damage(database: sqlite3.Connection, path: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    database.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        return  # it took too long
    finally:
        database.set_progress_handler(None, 0)
    if found != "ok":
        first = str(found).splitlines()[0]
        raise _damaged(f"The ledger {path} is damaged: {first}.")


def _damaged(message: str) -> DamagedLedger:
    return DamagedLedger(message, hint="Set it aside with: copilot-proxy doctor --fix")
