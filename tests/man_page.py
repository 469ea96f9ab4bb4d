"""Writes the man page from the help texts of commands and settings.

Run with: make man
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from copilot_proxy.cli.main import app
from copilot_proxy.settings import ENVIRONMENT_PREFIX, setting_names

PAGE: Final = Path(__file__).parent.parent / "docs" / "man" / "copilot-proxy.1"
_EXIT_CODES: Final = {
    "0": "Success.",
    "1": "Failure.",
    "2": "Usage error.",
    "3": "Not signed in.",
    "4": "Signed in, but the account does not have Copilot.",
    "127": "run: the client is not installed, or cannot be started.",
    "130": "Interrupted.",
}


def page() -> str:
    """Return the man page, in the language of groff_man(7)."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    command: Any = typer.main.get_command(app)
    yield '.TH COPILOT\\-PROXY 1 "" "copilot\\-proxy" "User Commands"'
    yield ".SH NAME"
    yield "copilot\\-proxy \\- GitHub Copilot as a local API server"
    yield ".SH SYNOPSIS"
    yield ".B copilot\\-proxy"
    yield "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]"
    yield ".SH DESCRIPTION"
    yield _text(command.help)
    yield ".PP"
    yield _text(command.epilog)
    yield ".SH OPTIONS"
    yield from _options(command)
    yield ".SH COMMANDS"
    for name, one in command.commands.items():
        yield from _command(name, one)
        for part, below in getattr(one, "commands", {}).items():
            yield from _command(f"{name} {part}", below)
    yield ".SH ENVIRONMENT"
    for name, help_text in setting_names().items():
        yield from _item(f"\\fB{_text(ENVIRONMENT_PREFIX + name.upper())}\\fR", help_text)
    yield ".SH EXIT STATUS"
    for code, meaning in _EXIT_CODES.items():
        yield from _item(f"\\fB{code}\\fR", meaning)


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [
        f"\\fI{_text(one.make_metavar(_context(command)))}\\fR"
        for one in command.params
        if one.param_type_name == "argument"
    ]
    yield ".SS " + " ".join([f"copilot\\-proxy {_text(name)}", *arguments])
    yield _text(command.help)
    yield from _options(command)


def _options(command: Any) -> Iterator[str]:
    for one in command.params:
        if one.param_type_name != "option" or one.hidden:
            continue
        names = ", ".join(f"\\fB{_text(name)}\\fR" for name in (*one.opts, *one.secondary_opts))
        value = "" if one.is_flag else f" \\fI{_text(one.make_metavar(_context(command)))}\\fR"
        yield from _item(names + value, one.help or "")


def _item(term: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield term
    yield _text(text)


def _text(text: str) -> str:
    """Escape text for roff: backslashes, dashes, and a dot or quote at the start of a line."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _context(command: Any) -> Any:
    return command.context_class(command)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    sys.stderr.write(f"{PAGE}\n")
