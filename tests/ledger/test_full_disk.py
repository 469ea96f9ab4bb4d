"""On a full disk, the ledger's errors name the cause, and no request waits for the disk."""

import errno
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.ledger import database as ledger_file
from copilot_proxy.ledger import schema
from copilot_proxy.private_files import write_hint


class _Full:
    """A connection to a file on a full disk."""

    def __init__(self, code: int) -> None:
        self.calls = 0
        self._error = sqlite3.OperationalError("something")
        self._error.sqlite_errorcode = code

    def execute(self, _: str) -> Any:
        self.calls += 1
        raise self._error


def test_bringing_the_tables_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that the disk is full, the old tables stay, and a later attempt succeeds."""
    next_version = "CREATE TABLE moods (mood TEXT); CREATE INDEX moods_mood ON moods (mood);"
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)) as database:
        schema.migrate(database)
        monkeypatch.setattr(schema, "_MIGRATIONS", (*schema._MIGRATIONS, next_version))
        monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError, match="disk is full") as raised:
            schema.migrate(database)
        assert "free space" in ledger_file.hint_for(raised.value)
        assert schema.VERSION - 1 == schema.version_of(database)
        database.execute(f"PRAGMA max_page_count = {pages + 100}")
        schema.migrate(database)
        assert schema.VERSION == schema.version_of(database)


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR_WRITE, False),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
    ],
)
def test_a_full_disk_causes_no_wait(
    monkeypatch: pytest.MonkeyPatch, code: int, waits: bool
) -> None:
    """A request does not wait five seconds for a full disk."""
    monkeypatch.setattr(ledger_file, "BUSY_SECONDS", 0.05)
    database = _Full(code)
    with pytest.raises(sqlite3.OperationalError):
        ledger_file._use_write_ahead_log(database)  # type: ignore[arg-type]
    assert waits == (database.calls > 1)


def test_hints() -> None:
    """Making a folder writable does not help on a full disk, so the hint mentions free space."""
    assert "free space" in write_hint(OSError(errno.ENOSPC, "No space left on device"))
    assert "writable" in write_hint(OSError(errno.EACCES, "Permission denied"))
