"""Takes the records of requests on the event loop, and hands them to a thread that writes them.

On the event loop a request costs one entry in a queue. The thread is started by the first one.
"""

import logging
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from copilot_proxy.relay.records import RequestRecord

log = logging.getLogger(__name__)

_INTERVAL: Final = 0.2
"""Seconds between two batches. The first request after a pause is written at once."""
_CLOSE_SECONDS: Final = 10.0

_Entry = tuple[RequestRecord, int]
"""A record, and when the request ended, in microseconds since 1970."""


class Ledger:
    """The ledger in one process. Calling it records a request; that never fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None
        """The thread that is about to end; closing the ledger waits for it."""
        self._closing = threading.Event()

    def __call__(self, record: RequestRecord) -> None:
        """Record a request that has ended; to be called on the event loop."""
        if record.error == "not_signed_in" and record.reserved is None:
            return  # no account was asked, and none can be charged
        self._queue.put((record, time.time_ns() // 1000))
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
        from copilot_proxy.cost.estimate import EventSizes
        from copilot_proxy.ledger.prompts import CacheJudge
        from copilot_proxy.ledger.rows import row_of
        from copilot_proxy.ledger.writer import RETRY_SECONDS, Writer

        writer, sizes, judge = Writer(self.path), EventSizes(), CacheJudge(self.path)
        is_open = True
        while is_open:
            entries, is_open = self._next(RETRY_SECONDS if writer.has_waiting else None)
            rows, records = [], []
            for record, ended in entries:
                try:
                    rows.append(row_of(record, ended, sizes))
                    records.append(record)
                except Exception:  # whatever Copilot has sent must not end the thread
                    log.exception("Request %s is not in the ledger.", record.request_id)
                    if record.reserved is not None:
                        writer.release(record.request_id)
            entries.clear()
            rows = judge.try_judging(writer, records, rows)
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
