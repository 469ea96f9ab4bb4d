"""Reads the ledger for the page, in a thread, one query at a time."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from copilot_proxy.ledger.activity import data_version
from copilot_proxy.ledger.database import Database, errors_for_users, open_ledger, stored_path

_Result = TypeVar("_Result")


class LedgerReader:
    """A connection to the ledger. The first query opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = asyncio.Lock()
        self._in_use = threading.Lock()
        """Held while a thread uses the connection. A query keeps running even if its task is
        cancelled."""
        self._database: Database | None = None
        self._file: tuple[int, int] | None = None
        """The identity of the file that the connection reads; None if there was no file yet."""
        self._is_unused = False
        self._opened = 0
        """How many times a connection has been opened."""

    async def read(self, query: Callable[[Database], _Result]) -> _Result:
        """Return the result of `query`. Raises `CopilotProxyError` if the ledger cannot be read."""
        async with self._turn:
            self._is_unused = False
            return await asyncio.to_thread(self._read, query)

    async def version(self) -> object:
        """Return a value that changes whenever another connection has changed the ledger.

        SQLite's version number is only comparable within one connection.
        """
        return await self.read(lambda database: (self._opened, data_version(database)))

    def close(self) -> None:
        """Close the connection after any running query; the next query opens a new one."""
        self._is_unused = True
        if self._in_use.acquire(blocking=False):
            try:
                self._disconnect()
            finally:
                self._in_use.release()

    def _read(self, query: Callable[[Database], _Result]) -> _Result:
        with self._in_use:
            file = _identity(self.path)
            if file != self._file:
                # The server has moved a damaged file aside, or has created the first one.
                self._disconnect()
            if self._database is None:
                self._database = open_ledger(self.path)
                # The server may have created the file, but not its tables yet.
                self._file = file if stored_path(self._database) is not None else None
                self._opened += 1
            try:
                with errors_for_users(self.path):
                    return query(self._database)
            finally:
                if self._is_unused:
                    self._disconnect()

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
