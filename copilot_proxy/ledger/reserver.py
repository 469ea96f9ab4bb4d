"""The connection on which one process makes its reservations; used by one thread at a time."""

import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from copilot_proxy.cost.limits import Limit
from copilot_proxy.ledger import reservations
from copilot_proxy.ledger.database import open_for_writing
from copilot_proxy.ledger.reservations import Reservation, SpentCache
from copilot_proxy.relay.records import RequestRecord

Refusal = tuple[Limit, int, int, int]
"""The limit that a request does not fit, what it allows, and what is spent and reserved of it, all
amounts in nano-AIU."""


class Reserver:
    """Makes reservations in the ledger's file; methods raise `sqlite3.Error`, `OSError` or
    `CopilotProxyError`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._spent = SpentCache()

    def reserve(
        self,
        record: RequestRecord,
        cost: int,
        limits: Sequence[tuple[Limit, int]],
        day: str,
        month: str,
    ) -> Refusal | None:
        """Reserve `cost` nano-AIU for a request, or return the limit that it does not fit."""
        who = record.who
        now = time.time_ns() // 1000
        wanted = Reservation(
            record.request_id,
            platform.node(),
            os.getpid(),
            now,
            day,
            month,
            record.key or "",
            who.client or "",
            who.project or "",
            who.session or "",
            record.model or "",
            record.api,
            cost,
        )
        database = self._open()
        refusal = reservations.reserve(database, wanted, limits, self._spent)
        if refusal is not None and reservations.settle_abandoned(database, now):
            self._spent.clear()
            refusal = reservations.reserve(database, wanted, limits, self._spent)
        if refusal is None:
            return None
        limit, allowed, used = refusal
        return limit, allowed, used.spent, used.reserved

    def state(self, limit: Limit, day: str, month: str, session: str) -> tuple[int, int]:
        """Return what is spent and what is reserved of `limit`."""
        return reservations.state(self._open(), limit, day, month, session, self._spent)

    def release(self, request_id: str) -> None:
        """End the reservation of a request that gets no row, or has got one already."""
        reservations.release(self._open(), [request_id])

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> sqlite3.Connection:
        if self._database is None or not self._path.exists():
            self.close()
            self._database = open_for_writing(self._path)
            self._spent = SpentCache()
        return self._database
