"""Takes the records of requests on the event loop, and hands them to a thread that writes them.

On the event loop a request costs its row, and one entry in a queue. The record is released at once
if possible: keeping many until they are written would push everything else out of the processor's
caches. The thread is started by the first request.
"""

import logging
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple

from copilot_proxy.relay.records import RequestRecord

if TYPE_CHECKING:
    from copilot_proxy.ledger.schema import Row
    from copilot_proxy.ledger.writer import Writer

log = logging.getLogger(__name__)

_INTERVAL: Final = 0.2
"""Seconds between two batches. The first request after a pause is written at once."""
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
        """Return the entry for the queue, with its row if that takes no time and raises no error;
        to be called on the event loop."""
        if record.unmetered is not None:
            return _Entry(record, ended)  # its tokens have to be estimated
        try:
            row = self.make(record, ended)
            is_needed = self._is_comparable(record, row)
        except Exception:
            return _Entry(record, ended)  # the thread reports it
        return _Entry(record if is_needed else None, ended, row)


class Ledger:
    """The ledger in one process. Calling it records a request; that never fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._rows: _Rows | None = None
        """None until the thread has created it."""
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None
        """The thread that is about to end; closing the ledger waits for it."""
        self._closing = threading.Event()

    def __call__(self, record: RequestRecord) -> None:
        """Record a request that has ended; to be called on the event loop."""
        if record.error == "not_signed_in" and record.reserved is None:
            return  # no account was asked, and none can be charged
        ended = time.time_ns() // 1000
        self._queue.put(self._rows.entry(record, ended) if self._rows else _Entry(record, ended))
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def close(self) -> None:
        """Write everything, and wait for it. Later records start a new thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending = thread
            self._queue.put(None)
            self._closing.set()
        if self._ending is not None:
            self._ending.join(_CLOSE_SECONDS)

    def _start(self) -> None:
        self._closing = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(self._closing,), name="ledger", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads; the next request tries again
            log.warning("The ledger's thread cannot be started: %s.", error)
        else:
            self._thread = thread

    def _run(self, closing: threading.Event) -> None:
        # SQLite is imported here, so that nothing else has to wait for it.
        from copilot_proxy.ledger.prompts import PromptComparer
        from copilot_proxy.ledger.writer import RETRY_SECONDS, Writer

        self._rows = self._rows or _Rows()
        writer, comparer = Writer(self.path), PromptComparer(self.path)
        is_open = True
        while is_open:
            entries, is_open = self._next(RETRY_SECONDS if writer.has_waiting else None)
            rows = comparer.try_comparing(writer, *_with_rows(entries, self._rows, writer))
            entries.clear()
            writer.write(rows, is_last=not is_open)
            if is_open:
                closing.wait(_INTERVAL)
        writer.close()

    def _next(self, timeout: float | None) -> tuple[list[_Entry], bool]:
        """Wait for entries; return all there are, and whether the ledger stays open."""
        entries: list[_Entry] = []
        try:
            entry = self._queue.get(timeout=timeout)
            while entry is not None:
                entries.append(entry)
                entry = self._queue.get_nowait()
        except Empty:
            return entries, True
        return entries, False


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
