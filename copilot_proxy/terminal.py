"""What a terminal can show, escape codes and colours, and what to do where nobody reads."""

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
    """Lets everything that is still written to `stream`, a standard stream, go nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
