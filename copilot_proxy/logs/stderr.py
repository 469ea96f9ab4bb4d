"""Writes the log to stderr."""

import logging
import select
import sys
from contextlib import suppress
from typing import Final, TextIO

from copilot_proxy.terminal import discard

_BATCH: Final = 1024
"""Characters that are written together: at most 4096 bytes, so that a pipe takes them in one piece,
and the lines of several processes do not mix."""


class StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`, at the latest on `flush`; to be used by one thread only.

    If stderr is not read, a write may block forever. Any lock held during that time would block the
    exit of the program, so none is taken: neither the handler's nor that of stderr's buffer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines = ""
        """The lines that are still to be written."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Write `record` without taking the handler's lock."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Add `record` as a line."""
        line = f"{self.format(record)}\n"
        if len(self._lines) + len(line) > _BATCH:
            self.flush()
        self._lines += line

    def flush(self) -> None:
        """Write all lines."""
        lines, self._lines = self._lines, ""
        if lines:
            with suppress(OSError, ValueError):  # stderr is closed
                _write(sys.stderr, lines)

    def abandon(self) -> None:
        """Discard all further output to stderr, so that the program can exit if it is not read."""
        discard(sys.stderr)


def _write(stream: TextIO, lines: str) -> None:
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        stream.write(lines)
        stream.flush()
        return
    raw = getattr(buffer, "raw", buffer)
    left = memoryview(lines.encode(stream.encoding, stream.errors or "replace"))
    while left:
        written = raw.write(left)
        if written is None:
            # Another program has made stderr non-blocking, and its buffer is full.
            select.select([], [raw], [])
        else:
            left = left[written:]
