"""What every command says, and where: results to stdout, talk to stderr."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

import typer

from copilot_proxy.errors import CopilotProxyError, NotSignedIn, joined
from copilot_proxy.masking import mask
from copilot_proxy.settings import ENVIRONMENT_PREFIX

NAME: Final = "copilot-proxy"
_NAMES: Final = (NAME, f"g-{NAME}")
_TOKEN: Final = f"{ENVIRONMENT_PREFIX}GITHUB_TOKEN"
_REFUSED: Final = ("github_token_refused", "wrong_app_token")
_COMMAND: Final = re.compile(
    r"(?<![\w/.-])copilot-proxy (?=(?:login|logout|status|serve|chat|models|simulate|pi-ai)\b)"
    r"(?P<rest>[\w-]+(?: install)?(?: --?[\w-]+| keyring| file| < FILE)*)"
)
_NAMED: Final = re.compile(r"  [A-Z]\w*(?: \w+)* {2,}")
"""A name and a value in two columns."""
_GLUE: Final = "\xa0"
"""A blank at which no line is broken; it is written as a plain one."""


def result(text: str) -> None:
    """A line that another program may read."""
    typer.echo(text)


def talk(text: str = "") -> None:
    """Lines for the person at the terminal, `laid_out`."""
    typer.echo(laid_out(text), err=True)


def laid_out(text: str) -> str:
    """Lines for the terminal that stderr is: long ones are broken between words, and commands in
    them are those that work here."""
    text = _COMMAND.sub(_as_typed_here, text)
    width = _width()
    if width:
        text = "\n".join(_wrapped(line, width) for line in text.split("\n"))
    return text.replace(_GLUE, " ")


def problem(error: CopilotProxyError) -> None:
    """What failed, and what to do about it."""
    talk(mask(f"Error: {error.message}"))
    hint = error.hint
    refused = isinstance(error, NotSignedIn) and error.code in _REFUSED
    if refused and os.environ.get(_TOKEN) and _TOKEN not in (hint or ""):
        hint = f"{_TOKEN} is set and wins over a sign-in: unset it. {hint or ''}"
    wait = error.headers.get("retry-after")
    if wait and f"{wait} s" not in (hint or ""):
        hint = joined(f"Wait {wait} s.", hint)
    if hint:
        talk(mask(hint))


def program() -> str:
    """How this program was called, as far as its plain name would not find it."""
    called = sys.argv[0] if sys.argv else ""
    if PurePath(called).stem not in _NAMES:
        return NAME
    name = PurePath(called).name
    found = shutil.which(name)
    if found and os.path.exists(called) and not os.path.samefile(found, called):
        found = None
    return name if found else called


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values in two columns."""
    return "\n".join(f"{name:<14}{value}" for name, value in rows)


def someone_watches() -> bool:
    """Whether stderr is a terminal."""
    return sys.stderr.isatty()


def someone_answers() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _as_typed_here(command: re.Match[str]) -> str:
    return _GLUE.join([program(), *command["rest"].split(" ")])


def _width() -> int | None:
    """Of the terminal that stderr is."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns if sys.stderr.isatty() else None
    except (OSError, ValueError):
        return None


def _wrapped(line: str, width: int) -> str:
    name = _NAMED.match(line)
    # What is indented without a name before it is meant to be copied.
    if len(line) <= width or (line.startswith("  ") and not name):
        return line
    indent = " " * len(name[0]) if name else ""
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
