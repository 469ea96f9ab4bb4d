"""Remembers who signed in when, since the ledger's rows do not name the server's own account."""

import sqlite3
from datetime import datetime
from typing import Final

_WITH_REQUESTS: Final = """
SELECT name FROM (
    SELECT name, since_us, lead(since_us, 1, 1 << 62) OVER (ORDER BY since_us) until_us
    FROM sign_ins
)
WHERE EXISTS (
    SELECT 1 FROM requests WHERE account IS NULL AND attempts > 0
    AND ended_us >= max(since_us, ?) AND ended_us < until_us
)
GROUP BY name ORDER BY min(since_us)
"""


def add_sign_in(database: sqlite3.Connection, name: str, now_us: int) -> None:
    """Remember that the account `name` has just signed in. Raises `sqlite3.Error`."""
    latest = database.execute("SELECT name FROM sign_ins ORDER BY since_us DESC LIMIT 1").fetchone()
    if latest != (name,):
        database.execute("INSERT OR REPLACE INTO sign_ins VALUES (?, ?)", (now_us, name))


def accounts_with_requests(
    database: sqlite3.Connection, since: datetime | None = None
) -> list[str]:
    """Return the accounts that were signed in when requests ended, earliest sign-in first."""
    since_us = 0 if since is None else round(since.timestamp() * 1e6)
    return [name for (name,) in database.execute(_WITH_REQUESTS, (since_us,))]
