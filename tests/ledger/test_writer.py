"""The ledger's file: private, shared by several processes, and never a cause of failures."""

import builtins
import errno
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.ledger import database as ledger_file
from copilot_proxy.ledger import insertion, schema
from copilot_proxy.ledger import ledger as ledger_module
from copilot_proxy.ledger import writer as writer_module
from copilot_proxy.ledger.database import open_for_writing, open_ledger
from copilot_proxy.ledger.ledger import Ledger
from copilot_proxy.ledger.periods import day_and_month
from copilot_proxy.ledger.schema import COLUMNS, NewerLedger, Row
from copilot_proxy.ledger.verification import verify
from copilot_proxy.ledger.writer import Writer
from copilot_proxy.relay.records import RequestRecord
from tests.ledger import rows

NOON = 1_795_000_000
COST = 112_500_000


def record(number: int, name: str = "a") -> RequestRecord:
    return rows.record(f"{name}-{number}", credits=COST / 1e9, session="s")


def row(number: int, **values: Any) -> Row:
    made = rows.row(record(number), NOON + number)
    return tuple(values.get(name, value) for name, value in zip(COLUMNS, made, strict=True))


def stored(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("SELECT request_id FROM requests ORDER BY id")]


def checked(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        findings = verify(database)
    return [*findings.changes, *findings.differences]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


def test_closing_twice(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call to `close` waits as well, since the process may end after that call."""
    may_write, write = threading.Event(), Writer.write

    def slow(writer: Writer, rows: Sequence[Row], **options: bool) -> None:
        assert may_write.wait(60)
        write(writer, rows, **options)

    monkeypatch.setattr(Writer, "write", slow)
    ledger = Ledger(path)
    ledger(record(1))
    closers = [threading.Thread(target=ledger.close) for _ in range(2)]
    for closer in closers:
        closer.start()
    closers[1].join(0.05)
    assert closers[1].is_alive()
    may_write.set()
    closers[1].join()
    assert ["a-1"] == stored(path)
    closers[0].join()


def test_recorded_requests_are_written(path: Path) -> None:
    """Closing writes everything, and the ledger can be used again afterwards."""
    ledger = Ledger(path)
    for number in range(3):
        ledger(record(number))
    ledger.close()
    ledger(record(3))
    ledger.close()
    ledger.close()

    assert ["a-0", "a-1", "a-2", "a-3"] == stored(path)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_the_file_is_private(path: Path) -> None:
    """Other users can read neither the file nor its write-ahead log, whatever the umask."""
    previous = os.umask(0)
    try:
        writer = Writer(path)
        writer.write([row(0)])
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        writer.close()
    finally:
        os.umask(previous)

    assert {"ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"} == set(modes)
    assert {0o600} == set(modes.values())


def test_nothing_is_counted_twice(path: Path) -> None:
    """A row that is written again because its commit was in doubt counts once."""
    writer = Writer(path)
    writer.write([row(0), row(1)])
    writer.write([row(1), row(2)])
    writer.write([row(1)])
    writer.close()

    assert 3 == len(stored(path))
    assert [] == checked(path)


class Full:
    """Fails like a full disk while `is_full` is true."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = True
        self._insert = insertion.insert
        monkeypatch.setattr(writer_module, "insert", self.insert)
        monkeypatch.setattr(writer_module, "RETRY_SECONDS", 0.0)

    def insert(self, database: sqlite3.Connection, batch: Sequence[Row]) -> None:
        if self.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        self._insert(database, batch)


def test_a_full_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows wait until there is space again, and the log has one line about the full disk."""
    disk = Full(monkeypatch)
    writer = Writer(path)
    for number in range(3):
        writer.write([row(number)])
    assert writer.has_waiting
    disk.is_full = False
    writer.write([])
    writer.close()

    assert ["a-0", "a-1", "a-2"] == stored(path)
    assert 1 == caplog.text.count("cannot be written")
    assert "disk is full. Requests are still answered." in caplog.text
    assert 1 == caplog.text.count("can be written to again")


def test_the_number_of_waiting_rows_is_limited(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that stays full does not fill the memory; lost rows are logged."""
    disk = Full(monkeypatch)
    monkeypatch.setattr(writer_module, "MAX_WAITING", 2)
    writer = Writer(path)
    for number in range(3):
        writer.write([row(number)])
    disk.is_full = False
    writer.write([])
    writer.close()

    assert ["a-1", "a-2"] == stored(path)
    assert "Lost rows: 1" in caplog.text


def test_a_row_that_sqlite_refuses(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A row that SQLite refuses is left out and logged, and all other rows are written."""
    writer = Writer(path)
    writer.write([row(0), row(1, input_tokens=2**70), row(2, status="no number"), row(3)])
    writer.close()

    assert ["a-0", "a-3"] == stored(path)
    assert 2 == caplog.text.count("A row could not be written")


@pytest.mark.parametrize("content", [b"not a database at all" * 400, None])
def test_a_damaged_file(
    path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The damaged file is set aside, and a new file gets the row that could not be written."""
    writer = Writer(path)
    writer.write([row(number) for number in range(200)])
    writer.close()
    pages = path.read_bytes()
    path.write_bytes(content or pages[:4096] + b"\x5a" * (len(pages) - 4096))

    writer = Writer(path)
    writer.write([row(1000)])
    writer.close()

    (aside,) = path.parent.glob("ledger-damaged-*.sqlite3")
    assert ["a-1000"] == stored(path)
    assert aside.name in caplog.text


@pytest.mark.parametrize("table", ["requests", "sums", "days"])
def test_a_file_without_a_table(path: Path, table: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file that another program has changed is set aside like a damaged one."""
    writer = Writer(path)
    writer.write([row(0)])
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"DROP TABLE {table}")
    writer.write([row(1)])
    writer.close()

    assert ["a-1"] == stored(path)
    assert 1 == len(list(path.parent.glob("ledger-damaged-*.sqlite3")))
    assert 1 == caplog.text.count("The ledger was damaged.")


READING = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print([name for (name,) in database.execute("SELECT request_id FROM requests ORDER BY id")])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove open files")
@pytest.mark.parametrize("removed", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_a_log_that_was_removed(
    path: Path, removed: Sequence[str], caplog: pytest.LogCaptureFixture
) -> None:
    """If another program removes the write-ahead log, other processes still find later rows, even
    if this process is killed."""
    writer = Writer(path)
    writer.write([row(0)])
    for ending in removed:
        path.with_name(path.name + ending).unlink()
    writer.write([row(1)])
    writer.write([row(2)])
    seen = subprocess.check_output([sys.executable, "-c", READING, str(path)], text=True)
    writer.close()

    assert "['a-0', 'a-1', 'a-2']" == seen.strip()
    assert 1 == caplog.text.count("Another program has removed")


@pytest.mark.parametrize("is_lasting", [False, True])
def test_modules_that_cannot_be_imported(
    path: Path, is_lasting: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the thread's modules cannot be read, rows wait, and the log says so once."""
    real, failures = builtins.__import__, 0
    failed_twice = threading.Event()

    def broken(name: str, *more: Any) -> Any:
        nonlocal failures
        if name == "copilot_proxy.ledger.prompts" and (is_lasting or failures < 2):
            failures += 1
            if failures == 2:
                failed_twice.set()
            raise OSError(errno.EMFILE, "Too many open files", "prompts.py")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", broken)
    monkeypatch.setattr(ledger_module, "_IMPORT_SECONDS", 0.01)
    ledger = Ledger(path)
    ledger(record(0))
    assert failed_twice.wait(60)
    ledger(record(1))
    ledger.close()

    expected = "cannot be written to: Too many open files. Requests are still answered."
    assert 1 == caplog.text.count(expected)
    if is_lasting:
        assert "could not be written to. Lost rows: 2" in caplog.text
    else:
        assert ["a-0", "a-1"] == stored(path)
        assert 1 == caplog.text.count("can be written to again")


def test_a_file_that_was_removed(path: Path) -> None:
    """A running server notices that the user has removed the ledger."""
    writer = Writer(path)
    writer.write([row(0)])
    for one in path.parent.iterdir():
        one.unlink()
    writer.write([row(1)])
    writer.close()

    assert ["a-1"] == stored(path)


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Recording does not raise an error, and lost rows are logged."""
    (tmp_path / "file").touch()
    ledger = Ledger(tmp_path / "file" / "ledger.sqlite3")
    ledger(record(0))
    ledger.close()

    assert "ledger.sqlite3 cannot be written to: " in caplog.text
    assert "[Errno" not in caplog.text
    assert "could not be written to. Lost rows: 1" in caplog.text


def test_an_invalid_record(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever Copilot sends, later requests are still recorded."""
    odd = record(0)
    odd.usage = {"prompt_tokens_details": 7, "prompt_tokens": "many"}
    worse = record(1)
    worse.copilot_usage = {"total_nano_aiu": 1, "token_details": object()}
    ledger = Ledger(path)
    for one in (odd, worse, record(2)):
        ledger(one)
    ledger.close()

    assert ["a-0", "a-2"] == stored(path)
    assert "Request a-1 was not recorded in the ledger" in caplog.text


def test_a_newer_file_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An older program does not write to a file whose tables it does not know."""
    with closing(open_for_writing(path)) as database:
        database.execute("PRAGMA user_version = 99")
    ledger = Ledger(path)
    ledger(record(0))
    ledger.close()

    assert "newer version" in caplog.text
    assert [] == stored(path)
    with pytest.raises(NewerLedger):
        open_for_writing(path)


RECORDING = """
import os, sys
from pathlib import Path
from copilot_proxy.ledger.ledger import Ledger
from tests.ledger.test_writer import record
path, name, count = sys.argv[1:4]
ledger = Ledger(Path(path))
for number in range(int(count)):
    ledger(record(number, name=name))
print("recorded", flush=True)
if sys.argv[4] == "close":
    ledger.close()
sys.stdin.read()
"""


def recording(path: Path, name: str, count: int, end: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RECORDING, str(path), name, str(count), end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_several_processes(path: Path) -> None:
    """Several servers write at the same time; nothing is lost, and the hash chain stays valid."""
    programs = [recording(path, name, 400, "close") for name in "ab"]
    for program in programs:
        program.communicate(timeout=60)

    assert {f"{name}-{number}" for name in "ab" for number in range(400)} == set(stored(path))
    assert [] == checked(path)
    with closing(sqlite3.connect(path)) as database:
        assert (800, 800 * COST) == database.execute(
            "SELECT sum(requests), sum(nano_aiu) FROM sums"
        ).fetchone()


LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
"""
"""A program that takes the lock with which SQLite checks that nobody else uses a file."""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other locks")
def test_a_second_connection(path: Path) -> None:
    """A second connection in the same process does not release SQLite's locks on the file.

    Otherwise, another process that closes the ledger would remove the write-ahead log and the rows
    in it.
    """
    writer = Writer(path)
    writer.write([row(1)])
    with closing(open_for_writing(path)):
        done = subprocess.run(
            [sys.executable, "-c", LOCK, str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    writer.close()

    assert "BlockingIOError" in done.stderr


def test_a_kill(path: Path) -> None:
    """A server that is killed while writing leaves a valid file, without a partial batch."""
    program = recording(path, "a", 3000, "stay")
    assert program.stdout is not None
    assert program.stdout.readline()
    program.kill()
    program.communicate()
    ledger = Ledger(path)
    ledger(record(0, name="after"))
    ledger.close()

    names = stored(path)
    assert "after-0" == names[-1]
    assert [f"a-{number}" for number in range(len(names) - 1)] == names[:-1]
    assert [] == checked(path)


TAMPERED = {
    "a cost": "UPDATE requests SET nano_aiu = 1 WHERE request_id = 'a-5'",
    "a client": "UPDATE requests SET client = 'other' WHERE request_id = 'a-5'",
    "a deletion": "DELETE FROM requests WHERE request_id = 'a-5'",
    "the last row": "DELETE FROM requests WHERE request_id = 'a-9'",
    "a sum": "UPDATE sums SET nano_aiu = nano_aiu - 1",
    "a day": "DELETE FROM days",
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED.keys())
def test_tampering_is_found(path: Path, change: str) -> None:
    """Any changed row, deleted row or changed sum is found."""
    writer = Writer(path)
    writer.write([row(number) for number in range(10)])
    writer.close()
    assert [] == checked(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(change)
        database.commit()

    assert checked(path)


def test_a_reported_cost_that_was_removed(path: Path) -> None:
    """The check also reports, and survives, values that no row of this program has."""
    details = {"token_details": [{"token_count": 1, "cost_per_batch": COST, "batch_size": 1}]}
    writer = Writer(path)
    writer.write([row(0, details_json=json.dumps(details))])
    writer.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE requests SET nano_aiu = NULL, quota_resets_at = 'never'")
        database.commit()
        findings = verify(database)

    assert ["Request a-0: its cost was reported, but is missing."] == findings.differences
    assert 2 == len(findings.changes)


def test_a_bill_that_does_not_add_up(path: Path) -> None:
    """A total that is not the sum of its parts is reported, but not as tampering."""
    details = {
        "total_nano_aiu": COST,
        "token_details": [{"token_count": 1, "cost_per_batch": COST + 2, "batch_size": 1}],
    }
    writer = Writer(path)
    writer.write([row(0, details_json=json.dumps(details))])
    writer.close()
    with closing(sqlite3.connect(path)) as database:
        findings = verify(database)

    assert [] == findings.changes
    assert 1 == len(findings.differences)


def test_an_older_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file from an older version gets the new columns, even when only read, and stays valid."""
    writer = Writer(path)
    writer.write([row(0)])
    writer.close()
    added = (*schema._MIGRATIONS, "ALTER TABLE requests ADD COLUMN mood TEXT")
    monkeypatch.setattr(schema, "_MIGRATIONS", added)
    for module in (schema, ledger_file):
        monkeypatch.setattr(module, "VERSION", len(added))
    with closing(open_ledger(path)) as database:
        assert [(None,)] == database.execute("SELECT mood FROM requests").fetchall()

    assert [] == checked(path)


def test_concurrent_creation_of_the_file(tmp_path: Path) -> None:
    """Workers that start together all get the file, whichever of them creates it."""
    for number in range(20):
        path = tmp_path / f"{number}.sqlite3"
        together = threading.Barrier(8)

        def create(path: Path = path, together: threading.Barrier = together) -> None:
            together.wait(60)
            open_for_writing(path).close()

        with ThreadPoolExecutor(8) as workers:
            for made in [workers.submit(create) for _ in range(8)]:
                made.result()


def test_the_day_follows_the_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day of a request depends on the current time zone, as in budgets."""
    minute = 29_000_000  # 21:20 UTC
    try:
        days = []
        for zone in ("AAA+0", "BBB-5"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            days.append(day_and_month(minute)[0])
    finally:
        monkeypatch.undo()
        time.tzset()

    assert ["2025-02-19", "2025-02-20"] == days
