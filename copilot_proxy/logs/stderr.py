"""Writes the log to stderr."""

import logging
import select
import sys
from contextlib import suppress
from typing import Final, TextIO

from copilot_proxy.terminal import discard

_BATCH: Final = 1024
"""Maximum number of characters per write. They take at most 4096 bytes, which a pipe accepts in one
piece, so that lines from different processes do not mix."""


class StderrHandler(logging.Handler):
    """Collects lines, and writes them to the current `sys.stderr` on `flush` or earlier.

    Must be used by one thread only. If nothing reads stderr, a write may block forever. A lock held
    during that time would keep the program from exiting, so this class acquires neither the
    handler's lock nor that of stderr's buffer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines = ""
        """The lines that have not been written yet."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit `record` without taking the handler's lock."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Add `record` as a line."""
        line = f"{self.format(record)}\n"
        if len(self._lines) + len(line) > _BATCH:
            self.flush()
        self._lines += line

    def flush(self) -> None:
        """Write the collected lines."""
        lines, self._lines = self._lines, ""
        if lines:
            with suppress(OSError, ValueError):  # stderr is closed
                _write(sys.stderr, lines)

    def abandon(self) -> None:
        """Discard further output to stderr, so that the program can exit if nothing reads it."""
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
