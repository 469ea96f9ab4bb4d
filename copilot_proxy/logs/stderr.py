"""Writes the log to stderr."""

import logging
import select
import sys
from contextlib import suppress
from typing import TextIO

from copilot_proxy.terminal import discard


class StderrHandler(logging.Handler):
    """Writes to whatever stderr is now; one thread alone may use it.

    Where nobody reads stderr, a write may never end. The end of the program would then wait for the
    locks that the thread holds, so it takes none: neither the handler's own, nor that of stderr's
    buffer.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Writes `record` in a line, without a lock."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Writes `record` in a line."""
        line = f"{self.format(record)}\n"
        with suppress(OSError, ValueError):  # stderr is closed: there is nobody to tell
            _write(sys.stderr, line)

    def abandon(self) -> None:
        """Lets everything else that is written to stderr go nowhere, so that the program can end
        though nobody reads."""
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
            # Another program has made it non-blocking, and it is full.
            select.select([], [raw], [])
        else:
            left = left[written:]
