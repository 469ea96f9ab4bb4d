"""Whether a stream is a terminal that supports escape codes and styles."""

import os
import sys
from typing import TextIO


def can_draw(stream: TextIO | None = None) -> bool:
    """Return whether `stream`, stderr by default, is a terminal that supports escape codes."""
    stream = stream or sys.stderr
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def can_style(stream: TextIO | None = None) -> bool:
    """Return whether to style text on `stream`, stderr by default (https://no-color.org)."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")
