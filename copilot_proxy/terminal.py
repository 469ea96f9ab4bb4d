"""What a terminal can show: escape codes and colours."""

import os
import sys
from typing import TextIO


def can_draw(stream: TextIO | None = None) -> bool:
    """Whether `stream`, stderr by default, is a terminal that takes escape codes."""
    stream = stream or sys.stderr
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def can_style(stream: TextIO | None = None) -> bool:
    """Whether `stream`, stderr by default, takes bold and coloured text (https://no-color.org)."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")
