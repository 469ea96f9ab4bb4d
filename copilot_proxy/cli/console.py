"""What every command says, and where: results to stdout, talk to stderr."""

import sys
from collections.abc import Iterable

import typer

from copilot_proxy.errors import CopilotProxyError


def result(text: str) -> None:
    """A line that another program may read."""
    typer.echo(text)


def talk(text: str = "") -> None:
    """A line for the person at the terminal."""
    typer.echo(text, err=True)


def problem(error: CopilotProxyError) -> None:
    """What failed, and what to do about it."""
    talk(f"Error: {error.message}")
    if error.hint:
        talk(error.hint)


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values in two columns."""
    return "\n".join(f"{name:<14}{value}" for name, value in rows)


def someone_watches() -> bool:
    """Whether stderr is a terminal, so that panels and progress reach somebody."""
    return sys.stderr.isatty()


def someone_answers() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()
