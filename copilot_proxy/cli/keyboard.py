"""What a person enters in a conversation: a line, several, or a block that is pasted in.

A pasted block is one question, however many lines it has: each question is billed. Where the
terminal marks what is pasted, GNU readline keeps it together; elsewhere the lines that are waiting
already when the first one has been read belong to it.
"""

import codecs
import os
import sys
from contextlib import suppress
from typing import Final

import typer

from copilot_proxy.cli.console import talk
from copilot_proxy.terminal import can_draw

PROMPT: Final = "> "
MORE: Final = ". "
FENCE: Final = '"""'
_BREATH: Final = 0.05
"""Seconds in which the next part of a block that is coming in has to arrive."""


def prepare() -> None:
    """Gives `input` its editing and its history, and lets it see what is pasted."""
    with suppress(ImportError):  # Windows has none; lines can be edited there anyway
        import readline

        if "libedit" not in (readline.__doc__ or "") and can_draw(sys.stdout):
            # Python switches it off for the sake of its own prompt.
            readline.parse_and_bind("set enable-bracketed-paste on")


def read_input() -> str:
    """What the person enters: a line, or several. Raises `EOFError` and `KeyboardInterrupt`."""
    text = _read(PROMPT)
    if text.lstrip().startswith(FENCE):
        return _fenced(text.lstrip().removeprefix(FENCE))
    parts = []
    while text.endswith("\\"):
        parts.append(text[:-1])
        text = _read(MORE)
    return "\n".join([*parts, text])


def _fenced(text: str) -> str:
    parts = []
    while not text.rstrip().endswith(FENCE):
        parts.append(text)
        text = _read(MORE)
    parts.append(text.rstrip().removesuffix(FENCE))
    return "\n".join(parts)


def _read(prompt: str) -> str:
    """A line, and the lines that have come in with it."""
    text = _read_line(prompt)
    pasted = False
    while more := _waiting():
        pasted = True
        lines, _, begun = more.replace("\r\n", "\n").replace("\r", "\n").rpartition("\n")
        text = "\n".join(part for part in (text, lines) if part)
        if begun:
            # The last line has no end yet: it can be added to, and the person has to send it.
            text += "\n" + begun + _read_line(MORE + begun)
    if pasted:
        talk(f"{text.count(chr(10)) + 1} lines came at once: they are one question.")
    return text


def _read_line(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)
    # The answers go elsewhere, and the prompt must not go with them.
    typer.echo(prompt, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _waiting() -> str:
    """What the terminal has ready; nothing where that cannot be asked."""
    try:
        number = sys.stdin.fileno()
        if sys.platform == "win32" or not os.isatty(number):
            return ""
    except (OSError, ValueError):
        return ""
    from select import select

    decoder = codecs.getincrementaldecoder(sys.stdin.encoding or "utf-8")("replace")
    text, patience = "", 0.0
    while select([number], [], [], patience)[0]:
        data = os.read(number, 65536)
        if not data:
            break
        text += decoder.decode(data)
        patience = _BREATH
    return text
