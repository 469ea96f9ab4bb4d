"""Detects what a terminal can display, makes text safe to display, and discards output."""

import os
import re
import sys
from contextlib import suppress
from typing import Final, TextIO

_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 control characters, except tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that reorder the text around them
    "\u2028\u2029]"  # line and paragraph separators
)


def escape_controls(text: str) -> str:
    """Return `text` with its control characters as visible escapes, such as ``\\u001b``.

    Unescaped text from Copilot or a client could clear the screen, write to the clipboard, or
    imitate other text. Escaping a JSON document does not change its meaning.
    """
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\r\n", "\n"))


def can_draw(stream: TextIO | None = None) -> bool:
    """Return whether `stream`, stderr by default, is a terminal that supports escape codes."""
    stream = stream or sys.stderr
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def can_style(stream: TextIO | None = None) -> bool:
    """Return whether to style text on `stream`, stderr by default (https://no-color.org)."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Return the width of `stream`, stderr by default, or None if it is not a terminal."""
    stream = stream or sys.stderr
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else None
    except (OSError, ValueError):
        return None


def discard(stream: TextIO) -> None:
    """Discard all further output to `stream`, which must be stdout or stderr."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
