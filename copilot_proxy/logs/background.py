"""Log lines are formatted and written by a thread: no request waits for a reader or for a disk."""

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
"""Records that wait to be written."""
_MAX_LINE: Final = 64 * 1024
"""Characters of a message, a traceback or a path that waits."""
_STOP_TIMEOUT: Final = 1.0
"""Seconds in which what waits must be written when the server ends."""


class BackgroundHandler(QueueHandler):
    """Has `target` format and write each record, in a thread of its own, until `close`.

    If `_MAX_LINES` records wait, the following ones are dropped until those are written. Then a line
    says how many were, and why: `if_slow`.
    """

    queue: "SimpleQueue[logging.LogRecord]"

    def __init__(self, target: logging.Handler, *, if_slow: str) -> None:
        super().__init__(SimpleQueue())
        self._target = target
        self._if_slow = if_slow
        self._dropped = 0
        # Python may run a finalizer anywhere, and that may log something.
        self._dropping = RLock()
        self._listener: _Listener | None = _Listener(self.queue, target, self._drop_notice)
        self._listener.start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """What is to be formatted: `record`, or a copy without the objects that its arguments, its
        traceback or its request's headers would keep alive."""
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
        """Puts a record where the thread finds it, if there is room."""
        with self._dropping:
            # Until the thread has caught up: one long gap is easier to read than many short ones.
            if self._dropped or self.queue.qsize() >= _MAX_LINES:
                self._dropped += 1
                return
        self.queue.put_nowait(record)

    def flush(self) -> None:
        """Waits until everything that was logged so far is written, for a second at most."""
        if self._listener is not None:
            self._is_flushed()

    def close(self) -> None:
        """Waits as `flush` does, and ends the thread. What is not written then is lost. Safe to
        call twice."""
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
        """Leaves the thread alone with what it is writing, which may take for ever."""
        try:
            while True:
                self.queue.get_nowait()
        except Empty:
            listener.enqueue_sentinel()
        if (abandon := getattr(self._target, "abandon", None)) is not None:
            abandon()

    def _drop_notice(self) -> logging.LogRecord | None:
        """A line about what was dropped, once nothing waits any more; None if nothing was."""
        with self._dropping:
            if self.queue.qsize():
                return None
            count, self._dropped = self._dropped, 0
        if not count:
            return None
        lines = "log line" if count == 1 else "log lines"
        return _entry(logging.WARNING, f"{count} {lines} dropped: {self._if_slow}")


class _Listener(QueueListener):
    """The thread; it outlives a record that cannot be formatted."""

    def __init__(
        self,
        queue: "SimpleQueue[logging.LogRecord]",
        target: logging.Handler,
        drop_notice: Callable[[], logging.LogRecord | None],
    ) -> None:
        super().__init__(queue, target)
        self._drop_notice = drop_notice

    def handle(self, record: logging.LogRecord) -> None:
        """Writes `record`, and what there is to say when it was the last; or, where it only marks
        a place in the queue, says that everything before it is written."""
        written: Event | None = getattr(record, "written", None)
        try:
            if written is None:
                super().handle(record)
            if (notice := self._drop_notice()) is not None:
                super().handle(notice)
        except Exception as error:
            why = f"a log line could not be written: {type(error).__name__}"
            with suppress(Exception):
                super().handle(_entry(logging.ERROR, why))
        if written is not None:
            written.set()


def _entry(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, level, __file__, 0, message, (), None)


def _bounded(text: str) -> str:
    # Half a secret would not be known as one any more.
    return text if len(text) <= _MAX_LINE else mask(text)[:_MAX_LINE]
