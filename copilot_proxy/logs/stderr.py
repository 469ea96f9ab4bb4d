"""Writes the log to stderr."""

import logging
import select
import sys
from contextlib import suppress
from typing import TextIO

from copilot_proxy.terminal import discard


class StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`; must be used by only one thread.

    If stderr is not read, a write may block forever. Any lock held during that time would block the
    exit of the program, so none is taken: neither the handler's nor that of stderr's buffer.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Write `record` without taking the handler's lock."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record` as a line."""
        line = f"{self.format(record)}\n"
        with suppress(OSError, ValueError):  # stderr is closed
            _write(sys.stderr, line)

    def abandon(self) -> None:
        """Discard all further output to stderr, so that the program can exit if it is not read."""
        discard(sys.stderr)


def _write(stream: TextIO, line: str) -> None:
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        stream.write(line)
        stream.flush()
        return
    raw = getattr(buffer, "raw", buffer)
    left = memoryview(line.encode(stream.encoding, stream.errors or "replace"))
    while left:
        written = raw.write(left)
        if written is None:
            # Another program has made stderr non-blocking, and its buffer is full.
            select.select([], [raw], [])
        else:
            left = left[written:]
