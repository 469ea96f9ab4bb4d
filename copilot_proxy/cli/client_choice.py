"""Finds the client that the user has named on the command line."""

from copilot_proxy.clients.client import Client
from copilot_proxy.clients.registry import CLIENTS, find_client, similar_clients
from copilot_proxy.errors import UsageError


def named_client(name: str) -> Client:
    """Return the client; raises `UsageError` with the names that were perhaps meant."""
    definition = find_client(name)
    if definition is None:
        near = similar_clients(name) or [one.word for one in CLIENTS]
        raise UsageError(
            f"There is no client {name!r}.",
            hint=f"Use one of: {', '.join(near)}; for other programs: "
            "copilot-proxy run env -- PROGRAM",
        )
    return definition
