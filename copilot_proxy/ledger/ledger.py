"""Takes the records of requests on the event loop, and hands them to a thread that writes them.

The thread makes the rows, and writes them together. If many requests end meanwhile, the event loop
makes the rows of a few dozen at a time, and releases their records. One by one, each row would find
the processor's caches filled by the request before it, and keeping all records until they are
written would fill the caches. The thread is started by the first request.
"""

import logging
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from copilot_proxy.relay.records import RequestRecord

if TYPE_CHECKING:
    from copilot_proxy.ledger.schema import Row
    from copilot_proxy.ledger.writer import Writer

log = logging.getLogger(__name__)

_INTERVAL: Final = 0.2
"""Seconds between two batches. The first request after a pause is written at once."""
_ROWS_AT_ONCE: Final = 32
"""Rows that the event loop makes at a time."""
_CLOSE_SECONDS: Final = 10.0


class _Entry(NamedTuple):
    """A request that has ended."""

    record: RequestRecord | None
    """None if the row says everything."""
    ended: int
    """In microseconds since 1970."""
    row: "Row | None" = None
    """None if it has to be made first."""


class _Rows:
    """Makes rows; created by the thread, since SQLite is imported for it."""

    def __init__(self) -> None:
        from copilot_proxy.cost.estimated_tokens import EventSizes
        from copilot_proxy.ledger.prompts import is_comparable
        from copilot_proxy.ledger.rows import row_of

        self._sizes = EventSizes()
        self._row_of, self._is_comparable = row_of, is_comparable

    def make(self, record: RequestRecord, ended: int) -> "Row":
        """Return the row of a request."""
        return self._row_of(record, ended, self._sizes)

    def entry(self, record: RequestRecord, ended: int) -> _Entry:
        """Return the entry with its row, if that takes no time and raises no error; to be called on
        the event loop."""
        if record.unmetered is not None:
            return _Entry(record, ended)  # its tokens have to be estimated
        try:
            row = self.make(record, ended)
            is_needed = self._is_comparable(record, row)
        except Exception:
            return _Entry(record, ended)  # the thread reports it
        return _Entry(record if is_needed else None, ended, row)


class _Signals:
    """What the thread waits for."""

    def __init__(self) -> None:
        self.has_entries = threading.Event()
        self.closing = threading.Event()


class Ledger:
    """The ledger in one process. Calling it records a request; that never fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        """Held while the lists of entries are used."""
        self._latest: list[_Entry] = []
        """Those without a row."""
        self._earlier: list[_Entry] = []
        self._rows: _Rows | None = None
        """None until the thread has created it."""
        self._signals = _Signals()
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None
        """The thread that is about to end; closing the ledger waits for it."""

    def __call__(self, record: RequestRecord) -> None:
        """Record a request that has ended; to be called on the event loop."""
        if record.error == "not_signed_in" and record.reserved is None:
            return  # no account was asked, and none can be charged
        with self._lock:
            self._latest.append(_Entry(record, time.time_ns() // 1000))
            if len(self._latest) >= _ROWS_AT_ONCE and self._rows is not None:
                make = self._rows.entry
                self._earlier += [make(one.record, one.ended) for one in self._latest if one.record]
                self._latest.clear()
        if self._thread is None or not self._thread.is_alive():
            self._start()
        if not self._signals.has_entries.is_set():
            self._signals.has_entries.set()

    def close(self) -> None:
        """Write everything, and wait for it. Later records start a new thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending = thread
            self._signals.closing.set()
            self._signals.has_entries.set()
            self._signals = _Signals()
        if self._ending is not None:
            self._ending.join(_CLOSE_SECONDS)

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._run, args=(self._signals,), name="ledger", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads; the next request tries again
            log.warning("The ledger's thread cannot be started: %s.", error)
        else:
            self._thread = thread

    def _run(self, signals: _Signals) -> None:
        # SQLite is imported here, so that nothing else has to wait for it.
        from copilot_proxy.ledger.prompts import PromptComparer
        from copilot_proxy.ledger.writer import RETRY_SECONDS, Writer

        self._rows = self._rows or _Rows()
        writer, comparer = Writer(self.path), PromptComparer(self.path)
        is_open = True
        while is_open:
            signals.has_entries.wait(RETRY_SECONDS if writer.has_waiting else None)
            is_open = not signals.closing.is_set()
            signals.has_entries.clear()
            entries = self._take()
            rows = comparer.try_comparing(writer, *_with_rows(entries, self._rows, writer))
            entries.clear()
            writer.write(rows, is_last=not is_open)
            if is_open:
                signals.closing.wait(_INTERVAL)
        writer.close()

    def _take(self) -> list[_Entry]:
        """Remove all entries, and return them."""
        with self._lock:
            entries = self._earlier + self._latest
            self._earlier, self._latest = [], []
        return entries


def _with_rows(
    entries: Iterable[_Entry], made: _Rows, writer: "Writer"
) -> tuple[list[RequestRecord | None], "list[Row]"]:
    """Return the records and the rows of `entries`; `made` makes those that are missing."""
    records: list[RequestRecord | None] = []
    rows: list[Row] = []
    for record, ended, row in entries:
        if row is None and record is not None:
            try:
                row = made.make(record, ended)
            except Exception:  # whatever Copilot has sent must not end the thread
                log.exception("Request %s is not in the ledger.", record.request_id)
                if record.reserved is not None:
                    writer.release(record.request_id)
        if row is not None:
            records.append(record)
            rows.append(row)
    return records, rows
