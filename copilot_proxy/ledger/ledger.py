"""Accepts the records of requests on the event loop, and hands them to a thread that writes them.

On the event loop, recording a request only adds an entry to a queue. The thread creates rows in
batches, which takes less time than creating them one by one. The first request starts the thread.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from copilot_proxy.large_work import LARGE
from copilot_proxy.relay.records import RequestRecord

if TYPE_CHECKING:
    from copilot_proxy.ledger.prompts import PromptComparer
    from copilot_proxy.ledger.schema import Row
    from copilot_proxy.ledger.writer import Writer

log = logging.getLogger(__name__)

_INTERVAL: Final = 0.2
"""Seconds between batches. The first request after a pause is written immediately."""
_BATCH: Final = 256
"""The number of waiting requests at which a batch is written early. Until then, each record takes a
few KiB of memory. A large request is written immediately, since its record holds the entire
conversation."""
_CHECK: Final = 64
"""The number of waiting requests after which to check whether the thread has ended."""
_CLOSE_SECONDS: Final = 10.0
_IMPORT_SECONDS: Final = 5.0
"""Seconds until the thread again tries to import its modules, which may fail, for example if the
process has no free file descriptors."""
_MAX_ENTRIES: Final = 20_000
"""The number of requests to keep until then; beyond that, the oldest are lost."""

_Entry = tuple[RequestRecord, int]
"""A request's record, and when the request ended, in microseconds since 1970."""


class _Signals:
    """The events that the thread waits for."""

    def __init__(self) -> None:
        self.has_entries = threading.Event()
        self.has_batch = threading.Event()
        self.closing = threading.Event()

    def close(self) -> None:
        self.closing.set()
        self.has_batch.set()
        self.has_entries.set()


class Ledger:
    """The ledger in one process. Calling it records a request, and never fails."""

    def __init__(
        self, path: Path, try_release: Callable[[Sequence[str]], bool] | None = None
    ) -> None:
        """`try_release` is called in the ledger's thread with the ids of requests that now have
        rows, and returns whether it releases their reservations."""
        self.path = path
        self._try_release = try_release
        self._entries: deque[_Entry] = deque()
        self._signals = _Signals()
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None
        """The thread that is about to end; `close` waits for it."""
        self._lost = 0
        """The number of requests that were lost before the thread could take them."""

    def __call__(self, record: RequestRecord) -> None:
        """Record a completed request. Must be called on the event loop."""
        if record.error == "not_signed_in" and record.reserved is None:
            return  # nothing was sent, so nothing was charged
        entries = self._entries
        entries.append((record, time.time_ns() // 1000))
        count = len(entries)
        thread = self._thread
        if thread is None or (count % _CHECK == 1 and not thread.is_alive()):
            self._start()
        if count > _MAX_ENTRIES:
            self._lose_oldest()
        # The thread may remove entries at any time. It only needs to be woken up for the first one.
        if count == 1:
            self._signals.has_entries.set()
        if count == _BATCH or record.size >= LARGE:
            self._signals.has_batch.set()

    def close(self) -> None:
        """Write everything, waiting for at most 10 seconds. Later records start a new thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending = thread
            self._signals.close()
            self._signals = _Signals()
        if self._ending is not None:
            self._ending.join(_CLOSE_SECONDS)

    def _lose_oldest(self) -> None:
        # A reservation is kept, so that the cost still counts toward the budget.
        with suppress(IndexError):
            self._entries.popleft()
            self._lost += 1
            if self._lost % _MAX_ENTRIES == 1:
                log.error(
                    "Too many requests wait for the ledger %s. The oldest are lost.", self.path
                )

    def _start(self) -> None:
        self._signals.has_entries.set()
        thread = threading.Thread(
            target=self._run, args=(self._signals,), name="ledger", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads available; the next request tries again
            log.warning("The ledger's thread cannot be started: %s.", error)
        else:
            self._thread = thread

    def _run(self, signals: _Signals) -> None:
        tools = self._tools(signals)
        if tools is None:
            return
        writer, comparer, retry_seconds = tools
        is_open = True
        while is_open:
            signals.has_entries.wait(retry_seconds if writer.has_waiting else None)
            is_open = not signals.closing.is_set()
            records, rows = self._rows(self._take(signals), writer.release)
            rows = comparer.try_comparing(writer, records, rows)
            records.clear()
            writer.write(rows, is_last=not is_open)
            if is_open:
                signals.has_batch.wait(_INTERVAL)
        writer.close()

    def _tools(self, signals: _Signals) -> "tuple[Writer, PromptComparer, float] | None":
        """Return what the thread needs, and the seconds between attempts to write.

        If the modules cannot be imported, try again until that succeeds. Returns None if the ledger
        is closed first; its entries are then lost.
        """
        has_failed = False
        while True:
            is_last = signals.closing.is_set()
            try:
                # SQLite is imported here, so that nothing else has to wait for it.
                import copilot_proxy.ledger.rows  # noqa: F401  # used by `_rows`
                from copilot_proxy.ledger.prompts import PromptComparer
                from copilot_proxy.ledger.writer import RETRY_SECONDS, Writer
            except (ImportError, OSError) as error:
                problem = error.strerror if isinstance(error, OSError) else str(error)
            else:
                if has_failed:
                    log.warning("The ledger %s can be written to again.", self.path)
                writer = Writer(self.path, self._try_release)
                return writer, PromptComparer(self.path), RETRY_SECONDS
            if is_last:
                log.error(
                    "The ledger %s could not be written to. Lost rows: %d",
                    self.path,
                    len(self._entries) + self._lost,
                )
                self._entries.clear()
                return None
            if not has_failed:
                log.error(
                    "The ledger %s cannot be written to: %s. Requests are still answered.",
                    self.path,
                    problem,
                )
            has_failed = True
            for record, _ in list(self._entries):
                record.prompt = None  # may hold an entire conversation
            signals.closing.wait(_IMPORT_SECONDS)

    def _take(self, signals: _Signals) -> list[_Entry]:
        """Remove and return all entries."""
        # The events are cleared first, so that entries that arrive from now on are noticed.
        signals.has_entries.clear()
        signals.has_batch.clear()
        taken: list[_Entry] = []
        with suppress(IndexError):
            while True:
                taken.append(self._entries.popleft())
        return taken

    def _rows(
        self, entries: Iterable[_Entry], release: Callable[[str], None]
    ) -> tuple[list[RequestRecord], "list[Row]"]:
        """Return the records and rows of `entries`. A request with unexpected data gets no row; if
        it has a reservation, `release` is called with its id."""
        from copilot_proxy.ledger.rows import row_of

        records: list[RequestRecord] = []
        rows: list[Row] = []
        for record, ended in entries:
            try:
                rows.append(row_of(record, ended))
            except Exception:  # unexpected data from Copilot must not end the thread
                log.exception("Request %s was not recorded in the ledger.", record.request_id)
                if record.reserved is not None:
                    release(record.request_id)
            else:
                records.append(record)
        return records, rows
