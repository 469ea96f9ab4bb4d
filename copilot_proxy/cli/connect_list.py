"""Lists the clients that ``connect`` can configure, whether each one is connected, and when it was
last seen."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from copilot_proxy.cli.console import print_message, print_result
from copilot_proxy.cli.run_connection import is_found, program_of
from copilot_proxy.cli.run_list import MAX_PARALLEL, version_of
from copilot_proxy.clients.client import Client
from copilot_proxy.clients.registry import CLIENTS
from copilot_proxy.config_edits.journal import Journal
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import opened_ledger
from copilot_proxy.ledger.queries import last_seen
from copilot_proxy.settings import Settings


class _State(NamedTuple):
    """What is known about a client."""

    client: Client
    version: str | None
    """The version, "yes" if it is unknown, or None if the client is not installed."""
    journal: Journal
    seen: datetime | None

    def row(self) -> tuple[str, ...]:
        """Return the cells of the table row."""
        seen = f"{self.seen:%Y-%m-%d %H:%M}" if self.seen else "-"
        return self.client.word, self.client.title, self.version or "-", self._connected(), seen

    def _connected(self) -> str:
        if not self.journal.entries:
            return "-"
        if any(map(self.journal.is_changed, self.journal.entries)):
            return "changed since"
        return "yes"


def print_connections(settings: Settings) -> None:
    """Print a row for each client, installed clients first."""
    seen = _last_seen(settings)
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        versions = list(pool.map(_version, CLIENTS))
    states = [
        _State(one, version, Journal.of(one.name, settings.state_dir), seen.get(one.name))
        for one, version in zip(CLIENTS, versions, strict=True)
    ]
    states.sort(key=lambda one: (one.version is None, not one.journal.entries))
    rows = [("CLIENT", "", "FOUND", "CONNECTED", "LAST SEEN"), *(one.row() for one in states)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row[:4], widths, strict=True)]
        print_result("  ".join([*cells, row[4]]))
    print_message("Configure one with: copilot-proxy connect CLIENT")


def _last_seen(settings: Settings) -> dict[str, datetime]:
    if not settings.ledger:
        return {}
    try:
        with opened_ledger(settings.ledger_file) as database:
            return last_seen(database)
    except CopilotProxyError as error:
        print_message(f"Cannot tell when clients were last seen: {error.message}")
        return {}


def _version(client: Client) -> str | None:
    program = program_of(client)
    if program is None or client.launch is None:
        # Do not run graphical programs, which would open a window.
        return "yes" if is_found(client) else None
    return version_of(program) or "yes"
