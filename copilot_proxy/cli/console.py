"""Prints the output of all commands: results to stdout, messages and errors to stderr."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

from copilot_proxy import ENVIRONMENT_PREFIX
from copilot_proxy.errors import (
    CopilotProxyError,
    NotSignedIn,
    UpstreamUnreachable,
    join_sentences,
    with_profile,
)
from copilot_proxy.launchers import launcher
from copilot_proxy.terminal import escape_controls, terminal_width

NAME: Final = "copilot-proxy"
_NAMES: Final = (NAME, f"g-{NAME}")
_TOKEN: Final = f"{ENVIRONMENT_PREFIX}GITHUB_TOKEN"
_REFUSED: Final = ("github_token_refused", "wrong_app_token")
_COMMAND: Final = re.compile(
    rf"(?<![\w/.-])(?P<variable>{ENVIRONMENT_PREFIX}\w+=\S+ )?copilot-proxy "
    r"(?=(?:--profile \S+ )?"
    r"(?:login|logout|status|serve|run|connect|chat|models|usage|budget|dashboard|doctor|service|simulate|pi-ai|--help)\b)"
    r"(?P<rest>(?:--profile \S+ )?[\w-]+(?: install| restart| logs)?"
    r"(?: --?[\w-]+| keyring| file| < FILE)*)"
)
_NAMED: Final = re.compile(r"  [A-Z]\w*(?: \w+)* {2,}")
"""Matches the start of a line that has a label and a value in two columns."""
_GLUE: Final = "\xa0"
"""A non-breaking space, which is later printed as a normal one."""


def print_result(text: str) -> None:
    """Print a line to stdout, for other programs to read."""
    _echo(escape_controls(text))


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``1,204 requests`` or ``1 row``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_drawn(line: str) -> None:
    """Print a styled line to stdout. Its text must already be escaped."""
    _echo(line)


def print_message(text: str = "") -> None:
    """Print a message to stderr, safe for terminals and formatted by `format_message`."""
    _echo(format_message(escape_controls(text)), err=True)


def print_unwrapped(text: str) -> None:
    """Print text to stderr unchanged, except for control characters."""
    _echo(escape_controls(text), err=True)


def with_commands(text: str) -> str:
    """Return `text` with its commands replaced by ones that work here, with non-breaking spaces."""
    text = with_profile(text, os.environ.get(f"{ENVIRONMENT_PREFIX}PROFILE")) or ""
    return _COMMAND.sub(_runnable, text)


def format_message(text: str) -> str:
    """Return `text` formatted for stderr.

    On a terminal, long lines are wrapped between words. If ``copilot-proxy`` is not on the PATH,
    commands in the text are replaced by ones that work.
    """
    text = with_commands(text)
    width = terminal_width()
    if width:
        text = "\n".join(_wrapped(line, width) for line in text.split("\n"))
    return text.replace(_GLUE, " ")


def print_error(error: CopilotProxyError) -> None:
    """Print an error and its hint to stderr."""
    from copilot_proxy.masking import mask

    # An error message from Copilot must not look like several lines of this program's output.
    message = escape_controls(error.message).replace("\n", " ")
    print_message(mask(f"Error: {message}"))
    hint = error.hint
    refused = isinstance(error, NotSignedIn) and error.code in _REFUSED
    if refused and os.environ.get(_TOKEN) and _TOKEN not in (hint or ""):
        hint = f"{_TOKEN} is set and takes precedence over a sign-in: unset it. {hint or ''}"
    # Without a connection, the wait is only the server's own pause between attempts.
    wait = None if isinstance(error, UpstreamUnreachable) else error.headers.get("retry-after")
    if wait and f"{wait} s" not in (hint or ""):
        hint = join_sentences(f"Wait {wait} s.", hint)
    if hint:
        print_message(mask(hint))


def confirmed(question: str) -> bool:
    """Ask a question on stderr, wrapped like a message; the default answer is no."""
    import typer

    text = format_message(escape_controls(f"{question} [y/N]:"))
    return typer.confirm(text, show_default=False, prompt_suffix=" ", err=True)


def program_name() -> str:
    """Return the program's name if it is on the PATH, otherwise the command that started it."""
    if (command := launcher()) is not None:
        return command
    path = sys.argv[0] if sys.argv else ""
    if PurePath(path).stem not in _NAMES:
        return NAME
    name = PurePath(path).name
    found = shutil.which(name)
    if found and os.path.exists(path) and not os.path.samefile(found, path):
        found = None
    return name if found else path


def two_columns(rows: Iterable[tuple[str, str]]) -> str:
    """Format names and values for stdout in two columns, with long lines `wrapped`."""
    return "\n".join(wrapped(f"{name:<14}{value}", " " * 14) for name, value in rows)


def wrapped(line: str, indent: str = "") -> str:
    """Wrap a line between words if stdout is a terminal and the line is too long for it."""
    width = terminal_width(sys.stdout)
    if width is None or len(line) <= width:
        return line
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def stderr_is_tty() -> bool:
    """Return whether stderr is a terminal."""
    return sys.stderr.isatty()


def stdin_is_tty() -> bool:
    """Return whether standard input is open and is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def is_interactive() -> bool:
    """Return whether the user can be prompted for input."""
    return stdin_is_tty() and stderr_is_tty()


def _echo(text: str, *, err: bool = False) -> None:
    import typer  # a worker process needs this import only on failure

    typer.echo(text, err=err)


def _runnable(command: re.Match[str]) -> str:
    variable = (command["variable"] or "").split()
    return _GLUE.join([*variable, program_name(), *command["rest"].split(" ")])


def _wrapped(line: str, width: int) -> str:
    name = _NAMED.match(line)
    # Indented lines without a label, such as commands, stay whole, so that they can be copied.
    if len(line) <= width or (line.startswith("  ") and not name):
        return line
    indent = " " * len(name[0]) if name else ""
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
