"""Opens the ledger for commands, whose errors are for the user."""

import sqlite3
from pathlib import Path

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import (
    Database,
    is_damaged,
    open_for_reading,
    open_for_writing,
    open_in_memory,
)
from copilot_proxy.ledger.schema import VERSION, version_of


def open_ledger(path: Path, *, write: bool = False, create: bool = False) -> Database:
    """Open the ledger, or an empty one in memory if there is none yet; with `create`, create it.

    Raises `CopilotProxyError`.
    """
    try:
        if create or (write and path.exists()):
            return open_for_writing(path)
        database = open_for_reading(path)
        if database is None:
            return open_in_memory()
        if version_of(database) == VERSION:
            return database
        database.close()
        return open_for_writing(path)  # which brings its tables up to date
    except (sqlite3.Error, OSError) as error:
        raise CopilotProxyError(
            f"The ledger {path} cannot be read: {str(error).rstrip('.')}.",
            hint="The server sets it aside and starts a new one with its next request."
            if is_damaged(error)
            else None,
        ) from error


def is_stored(database: Database) -> bool:
    """Return whether the ledger is in a file; false for the one that stands for a missing file."""
    return bool(database.execute("PRAGMA database_list").fetchone()[2])
