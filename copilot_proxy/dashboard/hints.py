"""Explains what to do about a failed request in the ledger; ``usage show`` uses it, too."""

from collections.abc import Sequence
from typing import Final

from copilot_proxy.budget.formatting import stored_hint
from copilot_proxy.formats.error_table import WAIT_PLACEHOLDER, default_hint, find_mapping

_BROKEN: Final = 502
"""The status used to look up the hint for a stream that failed after it had started with 200."""


def hint(code: str, status: int, outcome: str, notes: Sequence[str] = ()) -> str:
    """Return a hint for a failed request in the ledger.

    The ledger does not store the error's own message or hint.
    """
    if outcome == "refused_budget":
        return stored_hint(notes)
    if outcome == "client_left":
        return "The client closed the connection before the answer was complete."
    if code == "insufficient_quota":
        return find_mapping(402, None, "").hint or ""
    status = status if status >= 400 else _BROKEN
    found = find_mapping(status, code, "").hint
    if found is not None:
        return found.replace(WAIT_PLACEHOLDER, "a while")
    if status >= 500 or status == 404:
        return default_hint(status)
    who = "Copilot" if outcome == "refused_upstream" else "copilot-proxy"
    return f"{who} rejected the request. The reason is in the error that the client received."
