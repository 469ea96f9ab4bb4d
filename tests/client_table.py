"""The table of clients in docs/clients.md, generated from the client definitions.

Print it with: python -m tests.client_table
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from copilot_proxy.clients.client import Client, Connection, Machine
from copilot_proxy.clients.models import Api, ClientModel
from copilot_proxy.clients.registry import CLIENTS

APIS: Final[Mapping[Api, str]] = {
    "chat": "Chat Completions",
    "responses": "Responses",
    "messages": "Messages",
    "gemini": "Gemini",
}


def row(client: Client) -> str:
    """Return a client's row, without links."""
    model = ClientModel("m", "M")
    folder = PurePosixPath("/own")
    to = Connection(url="http://localhost", key="k", model=model, models=[model], folder=folder)
    files = [change.path for change in client.setup(to, Machine(PurePosixPath("~"))).changes]
    cells = [
        client.title,
        f"`{client.word}`",
        "yes" if client.launch else "",
        ", ".join(f"`{path}`" for path in files)
        or ("prints instructions" if client.apis else "not supported"),
        client.version,
        ", ".join(APIS[api] for api in client.apis),
    ]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def table() -> str:
    """Return the whole table."""
    titles = "| client | name | `run` | `connect` | tested with | APIs |"
    return "\n".join([titles, "|---|---|---|---|---|---|", *map(row, CLIENTS)])


if __name__ == "__main__":
    print(table())
