"""The list of clients that ``run`` can start, showing which are installed."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from copilot_proxy.cli.client_process import ask_program
from copilot_proxy.cli.console import print_message, print_result, wrapped
from copilot_proxy.cli.run_connection import program_of
from copilot_proxy.clients.client import Client
from copilot_proxy.clients.registry import RUNNABLE

MAX_PARALLEL: Final = 4
"""How many programs are asked for their versions at the same time; some take seconds to start."""
_MISSING: Final = "install: "
_VERSION: Final = re.compile(r"\d+\.\d+(?:[.+-]\w+)*")


def print_clients() -> None:
    """Print the clients, installed ones first."""
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        states = list(pool.map(_state, RUNNABLE))
    rows = [(one.word, one.title, state) for one, state in zip(RUNNABLE, states, strict=True)]
    rows.sort(key=lambda row: row[2].startswith(_MISSING))
    rows.append(("env", "any other program", "started with OPENAI_BASE_URL and similar variables"))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for word, title, state in rows:
        start = f"{word:<{widths[0]}}  {title:<{widths[1]}}  "
        print_result(wrapped(start + state, " " * len(start)))
    print_message("Start one with: copilot-proxy run CLIENT")


def _state(client: Client) -> str:
    """Return the client's version, or how to install it."""
    program = program_of(client)
    if program is None:
        return f"{_MISSING}{client.install}"
    return version_of(program) or f"found at {program}"


def version_of(program: str) -> str | None:
    """Return the version that the program prints, or None if it does not print one."""
    found = _VERSION.search(ask_program([program, "--version"]))
    return found[0] if found else None
