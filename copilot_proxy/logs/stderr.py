"""Writes the log to stderr, and does not wait for a reader who stands still."""

import logging
import select
import sys
from contextlib import suppress
from typing import Final, TextIO

_PATIENCE: Final = 100
"""Milliseconds that a reader has, once, when many lines come together."""


class StderrHandler(logging.Handler):
    """Writes to whatever stderr is now; colours go to terminals only.

    Where nobody reads it, lines are left out: waiting for a reader would hold up every request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Writes `record` in a line."""
        with suppress(OSError, ValueError):  # stderr is closed: there is nobody to tell
            if not _has_room(sys.stderr, 0 if self._left_out else _PATIENCE):
                self._left_out += 1
                return
            if self._left_out:
                self._write(_gap(self._left_out))
                self._left_out = 0
            self._write(record)

    def _write(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")
        sys.stderr.flush()


def _has_room(stream: TextIO, patience: int) -> bool:
    """Whether `stream` takes a line within `patience` milliseconds: a pipe has room for 4 KiB."""
    try:
        poll = select.poll()
        poll.register(stream, select.POLLOUT)
    except (AttributeError, OSError, ValueError):
        return True  # Windows has no poll, and what is no file makes nobody wait
    return bool(poll.poll(patience))


def _gap(lines: int) -> logging.LogRecord:
    told = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
    return logging.makeLogRecord(
        {**told, "msg": f"{lines} lines are left out here: nobody was reading"}
    )
