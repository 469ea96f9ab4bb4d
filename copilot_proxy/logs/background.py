"""Formats and writes log lines in a thread, so that no request waits for a disk, or for a program
that reads the log."""

import logging
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import replace
from logging.handlers import QueueHandler, QueueListener
from queue import Empty, SimpleQueue
from threading import Event, RLock
from typing import Final

from copilot_proxy.masking import mask

_MAX_LINES: Final = 1000
"""Maximum number of records waiting to be written."""
_MAX_LINE: Final = 64 * 1024
"""Maximum length in characters of a waiting message, traceback or path."""
_STOP_TIMEOUT: Final = 1.0
"""Maximum seconds for writing the waiting records when the server stops."""
_PAUSE: Final = 0.01
"""Seconds between batches of records. Waking the thread for each record would slow down every
request."""


class BackgroundHandler(QueueHandler):
    """Lets `target` format and write records, all in one separate thread, until `close`.

    While `_MAX_LINES` records are waiting, new records are dropped. Once the waiting records have
    been written, a line says how many were dropped, and gives `if_slow` as the reason.
    """

    queue: "SimpleQueue[logging.LogRecord]"

    def __init__(
        self,
        target: logging.Handler,
        *,
        if_slow: str,
        abandon: Callable[[], None] = lambda: None,
    ) -> None:
        """`abandon` is called if `target` is stuck when the handler closes."""
        super().__init__(SimpleQueue())
        self._abandon = abandon
        self._if_slow = if_slow
        self._dropped = 0
        # Python may run a finalizer at any point, and finalizers may log something.
        self._dropping = RLock()
        self._listener: _Listener | None = _Listener(self.queue, target, self._drop_notice)
        self._listener.start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass on a record without taking the handler's lock, because the queue has its own."""
        if not self.filter(record):
            return False
        self.emit(record)
        return True

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return `record`, or a copy without arguments, traceback and headers, so that a waiting
        record does not keep large objects alive."""
        context = getattr(record, "context", None)
        is_small = type(record.msg) is str and len(record.msg) <= _MAX_LINE and not record.args
        if is_small and not record.exc_info and context is None:
            return record
        record = copy(record)
        record.msg, record.args = _bounded(record.getMessage()), None
        if record.exc_info:
            text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_text, record.exc_info = _bounded(text), None
        if context is not None:
            record.context = replace(context, path=context.path[:_MAX_LINE], headers={})
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Pass a record to the thread, or drop it if too many are waiting."""
        with self._dropping:
            # Drop all records until the thread has caught up: one gap is easier to read than many.
            if self._dropped or self.queue.qsize() >= _MAX_LINES:
                self._dropped += 1
                return
        self.queue.put_nowait(record)

    def flush(self) -> None:
        """Wait up to `_STOP_TIMEOUT` seconds for all records to be written."""
        if self._listener is not None:
            self._is_flushed()

    def close(self) -> None:
        """Flush, and stop the thread; any records still waiting are lost. Safe to call twice."""
        listener, self._listener = self._listener, None
        if listener is not None:
            if self._is_flushed():
                listener.stop()
            else:
                self._give_up(listener)
        super().close()

    def _is_flushed(self) -> bool:
        written = Event()
        self.queue.put_nowait(logging.makeLogRecord({"written": written}))
        return written.wait(_STOP_TIMEOUT)

    def _give_up(self, listener: "_Listener") -> None:
        """Drop the waiting records. Do not wait for the thread, which may never finish writing."""
        try:
            while True:
                self.queue.get_nowait()
        except Empty:
            listener.enqueue_sentinel()
        self._abandon()

    def _drop_notice(self) -> logging.LogRecord | None:
        """Return a record that says how many records were dropped. Return None if none were, or if
        other records are still waiting."""
        with self._dropping:
            if self.queue.qsize():
                return None
            count, self._dropped = self._dropped, 0
        if not count:
            return None
        lines = "log line" if count == 1 else "log lines"
        return _entry(logging.WARNING, f"{count} {lines} dropped: {self._if_slow}")


class _Listener(QueueListener):
    """The thread that writes records. It survives records that cannot be formatted."""

    queue: "SimpleQueue[logging.LogRecord]"

    def __init__(
        self,
        queue: "SimpleQueue[logging.LogRecord]",
        target: logging.Handler,
        drop_notice: Callable[[], logging.LogRecord | None],
    ) -> None:
        super().__init__(queue, target)
        self._target = target
        self._drop_notice = drop_notice
        # Never set. Unlike `time.sleep`, waiting for it cannot fail when the clock is changed.
        self._pause = Event()

    def dequeue(self, block: bool) -> logging.LogRecord:
        """Return the next record. If there is none, pause first, so that several can arrive."""
        try:
            return self.queue.get_nowait()
        except Empty:
            with suppress(Exception):
                self._target.flush()
            self._pause.wait(_PAUSE)
            return self.queue.get(block)

    def handle(self, record: logging.LogRecord) -> None:
        """Write `record`, and the notice about dropped records if no records are waiting. A record
        that has an event `written` is not written itself. Instead, the event is set, to show that
        all earlier records have been written."""
        written: Event | None = getattr(record, "written", None)
        try:
            if written is None:
                super().handle(record)
            if (notice := self._drop_notice()) is not None:
                super().handle(notice)
        except Exception as error:
            why = f"A log line could not be written: {type(error).__name__}"
            with suppress(Exception):
                super().handle(_entry(logging.ERROR, why))
        if written is not None:
            with suppress(Exception):
                self._target.flush()
            written.set()


def _entry(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, level, __file__, 0, message, (), None)


def _bounded(text: str) -> str:
    # Mask first, because half a secret could not be recognized.
    return text if len(text) <= _MAX_LINE else mask(text)[:_MAX_LINE]
