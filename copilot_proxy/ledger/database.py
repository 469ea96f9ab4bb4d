"""Opens the ledger's file: private, in write-ahead mode, and shared with other processes.

`open_ledger` is for commands and the dashboard, and raises errors for the user. The server uses
`open_for_writing`, because it must distinguish a damaged file from one that is in use.
"""

import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.schema import VERSION, migrate, version_of
from copilot_proxy.private_files import (
    DISK_HINT,
    UnsafeFileError,
    check_regular,
    ensure_private,
    failure_reason,
    make_folder,
)

Database = sqlite3.Connection
"""An open ledger."""
BUSY_SECONDS: Final = 5.0
"""Seconds to wait while another process writes."""
_CACHE_KIB: Final = 512
"""Memory in KiB for a writer's page cache. New rows change only a few pages, always the same
ones."""
_LOG_ENDINGS: Final = ("-wal", "-shm")
_CREATING: Final = threading.Lock()
"""Held from creating the file until it is closed, because closing it would release the locks that
SQLite holds in other threads."""
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MISSING: Final = re.compile(r"^no such (table|column)|^table \w+ has no column")
"""Messages of SQLite about tables that other programs have changed; their code means any error."""
_IN_USE: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_NO_SPACE: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""SQLite cannot always tell a full disk from a broken one."""


def _unchanged(value: None) -> None:
    return value


# Without this adapter, sqlite3 would search for one at every null, which takes a quarter of the
# time needed to write a row.
sqlite3.register_adapter(type(None), _unchanged)


def open_ledger(path: Path, *, write: bool = False, create: bool = False) -> Database:
    """Open the ledger.

    If the file does not exist, it is created if `create` is True; otherwise, an empty ledger in
    memory is opened. Raises `CopilotProxyError`.
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
        return open_for_writing(path)  # also brings its tables up to date
    except (sqlite3.Error, OSError) as error:
        raise _unreadable(path, error) from error


@contextmanager
def opened_ledger(path: Path, *, write: bool = False, create: bool = False) -> Iterator[Database]:
    """Open the ledger like `open_ledger`, and close it when the block ends.

    Raises `CopilotProxyError`, also in place of SQLite errors that the block raises, because a file
    may only turn out to be damaged when it is read.
    """
    with closing(open_ledger(path, write=write, create=create)) as database, errors_for_users(path):
        yield database


@contextmanager
def errors_for_users(path: Path) -> Iterator[None]:
    """Convert SQLite errors that the block raises to `CopilotProxyError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CopilotProxyError:
    return CopilotProxyError(
        f"The ledger {path} cannot be read: {reason_of(error)}.", hint=hint_for(error)
    )


def stored_path(database: Database) -> Path | None:
    """Return the ledger's file, or None if the ledger is in memory."""
    path = database.execute("PRAGMA database_list").fetchone()[2]
    return Path(path) if path else None


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the ledger, creating it if it does not exist.

    Raises `sqlite3.Error`, `OSError`, or `NewerLedger`.
    """
    make_folder(path.parent)
    with _CREATING:
        ensure_private(path)
    database = _connect(f"{path.resolve().as_uri()}?mode=rw")
    try:
        _use_write_ahead_log(database)
        # With a write-ahead log, nothing is lost if the process is killed. After a power failure,
        # the last rows may be missing, but the file is not damaged.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """Open the ledger without changing it, or return None if it does not exist.

    Raises `sqlite3.Error`, `OSError` or `NewerLedger`.
    """
    if not check_regular(path):
        return None
    # A write-ahead log needs additional files even for reading, so the mode is not read-only.
    database = _connect(f"{path.resolve().as_uri()}?mode=rw")
    try:
        database.execute("PRAGMA query_only = ON")
        if version_of(database) == 0:
            database.close()
            return None
    except BaseException:
        database.close()
        raise
    return database


def open_in_memory() -> sqlite3.Connection:
    """Return an empty ledger that is not stored."""
    database = _connect("file::memory:")
    migrate(database)
    return database


def file_id(path: Path) -> tuple[int, int] | None:
    """Return a value that changes when the file is replaced by another, or None if there is no
    file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def log_id(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Return a value that changes when another program removes the write-ahead log of the open
    ledger at `path`, or the index of the log."""
    return tuple(file_id(path.with_name(path.name + ending)) for ending in _LOG_ENDINGS)


def is_damaged(error: Exception) -> bool:
    """Return whether `error` means that the file is damaged, is not an SQLite file, or lacks tables
    that its version should have."""
    is_missing = isinstance(error, sqlite3.Error) and _MISSING.search(str(error)) is not None
    return _code(error) in _DAMAGE or is_missing


def reason_of(error: Exception) -> str:
    """Return the reason for a message such as "The ledger PATH cannot be read: REASON."."""
    # The text of an OSError includes its number and the path, which the message already has.
    text = failure_reason(error) if isinstance(error, OSError) else str(error)
    return text.rstrip(".")


def hint_for(error: Exception) -> str:
    """Return what to do about an error in reading or writing the ledger."""
    if is_damaged(error):
        # The server only notices damage in the parts that it reads.
        return (
            "If the server does not rename it on the next request, stop the server and run: "
            "copilot-proxy doctor --fix"
        )
    if isinstance(error, UnsafeFileError):
        return error.hint or "Rename or remove it; a new one is created on the next request."
    if _code(error) in _NO_SPACE:
        return DISK_HINT
    if _code(error) in _IN_USE:
        return "Another program is using it. Try again."
    return "Make sure that you can read and write the file and its folder."


def is_busy(error: Exception) -> bool:
    """Return whether another program was using the file."""
    return _code(error) in _IN_USE


def _code(error: Exception) -> int | None:
    """Return the primary code of an SQLite error, or None for any other error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def set_aside(path: Path) -> Path:
    """Rename a damaged ledger and its log, and return the new name. Raises `OSError`."""
    aside = path.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    os.replace(path, aside)
    for ending in _LOG_ENDINGS:
        beside = path.with_name(path.name + ending)
        if beside.exists():
            os.replace(beside, aside.with_name(aside.name + ending))
    return aside


def _use_write_ahead_log(database: sqlite3.Connection) -> None:
    # SQLite does not wait if another process is creating the file.
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _connect(uri: str) -> sqlite3.Connection:
    # Transactions are started and ended explicitly.
    return sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
