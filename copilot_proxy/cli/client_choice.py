"""Finds the client that the user named on the command line."""

from collections.abc import Sequence

from copilot_proxy.clients.client import Client
from copilot_proxy.clients.registry import CLIENTS, find_client, similar_clients
from copilot_proxy.errors import UsageError


def ledger_name(name: str) -> str:
    """Return the ledger's name for the client that `run` calls `name`. Unknown names are returned
    unchanged."""
    definition = find_client(name)
    return definition.name if definition else name


def named_client(name: str, choices: Sequence[Client] = CLIENTS, *, others: str = "") -> Client:
    """Return the client called `name`.

    Raises `UsageError` for an unknown name. The error suggests similar names or lists `choices`;
    `others` is the command that it suggests for other programs.
    """
    definition = find_client(name)
    if definition is None:
        near = similar_clients(name)
        words = ", ".join(near or [one.word for one in choices])
        known = f"Did you mean {words}?" if near else f"Use one of: {words}."
        if others:
            known += f"\nFor other programs: {others}"
        raise UsageError(f"Unknown client: {name!r}.", hint=known)
    return definition
