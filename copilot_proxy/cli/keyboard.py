"""Reads the user's input in a conversation: one line, several lines, or a pasted block.

A pasted block is one question, however many lines it has, because each question is billed. If the
terminal supports bracketed paste, GNU readline keeps the block together. Otherwise, lines that are
ready right after the first one count as part of the block.
"""

import codecs
import os
import sys
from contextlib import suppress
from typing import Final

import typer

from copilot_proxy.cli.console import print_message
from copilot_proxy.terminal import can_draw

PROMPT: Final = "> "
MORE: Final = ". "
FENCE: Final = '"""'
_PASTE_TIMEOUT: Final = 0.05
"""Seconds to wait for the next part of a pasted block."""


def set_up_readline() -> None:
    """Enable line editing, history and bracketed paste in `input`."""
    with suppress(ImportError):  # Windows has no readline, but does its own line editing
        import readline

        if "libedit" not in (readline.__doc__ or "") and can_draw(sys.stdout):
            # Python turns off bracketed paste, for the sake of its own interactive prompt.
            readline.parse_and_bind("set enable-bracketed-paste on")


def read_input() -> str:
    """Read one input of one or more lines. Raises `EOFError` and `KeyboardInterrupt`."""
    text = _read(PROMPT)
    if text.lstrip().startswith(FENCE):
        return _fenced(text.lstrip().removeprefix(FENCE))
    parts = []
    text = text.strip("\n")
    while text.endswith("\\"):
        parts.append(text[:-1])
        text = _read(MORE).strip("\n")
    return "\n".join([*parts, text])


def _fenced(text: str) -> str:
    parts = []
    while not text.rstrip().endswith(FENCE):
        parts.append(text)
        text = _read(MORE)
    parts.append(text.rstrip().removesuffix(FENCE))
    return "\n".join(parts)


def _read(prompt: str) -> str:
    """Read a line and any lines pasted with it."""
    text = _read_line(prompt)
    while more := _waiting():
        lines, end, unfinished = more.replace("\r\n", "\n").replace("\r", "\n").rpartition("\n")
        if end:
            text += "\n" + lines
        if unfinished:
            # The last line has no line break yet, so the user can still edit it, and must press
            # Enter.
            text += "\n" + unfinished + _read_line(MORE + unfinished)
    if count := text.strip("\n").count("\n"):
        print_message(f"{count + 1} pasted lines are sent as one question.")
    return text


def _read_line(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)
    # stdout is redirected, and must not contain the prompt.
    typer.echo(prompt, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _waiting() -> str:
    """Return the input that is ready on the terminal, or "" if that cannot be determined."""
    try:
        number = sys.stdin.fileno()
        if sys.platform == "win32" or not os.isatty(number):
            return ""
    except (OSError, ValueError):
        return ""
    from select import select

    decoder = codecs.getincrementaldecoder(sys.stdin.encoding or "utf-8")("replace")
    text, timeout = "", 0.0
    while select([number], [], [], timeout)[0]:
        data = os.read(number, 65536)
        if not data:
            break
        text += decoder.decode(data)
        timeout = _PASTE_TIMEOUT
    return text
