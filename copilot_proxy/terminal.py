"""Detects what a terminal can show, and discards output that is not read."""

import os
import sys
from contextlib import suppress
from typing import TextIO


def can_draw(stream: TextIO | None = None) -> bool:
    """Return whether `stream`, stderr by default, is a terminal that supports escape codes."""
    stream = stream or sys.stderr
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def can_style(stream: TextIO | None = None) -> bool:
    """Return whether to style text on `stream`, stderr by default (https://no-color.org)."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")


def discard(stream: TextIO) -> None:
    """Discard all further output to `stream`, which must be stdout or stderr."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
