"""The cost of a session of ``run``, in one line."""

import os
import time
from pathlib import Path
from typing import Final

from copilot_proxy.cli.console import counted
from copilot_proxy.cost.display import percent
from copilot_proxy.cost.nano_aiu import rounded
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.activity import latest_requests
from copilot_proxy.ledger.database import Database, opened_ledger
from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.queries import Filters, Sums, sums_by, total

_WRITTEN_AFTER: Final = 0.3
"""Seconds within which the server usually writes a completed request to the ledger."""
NO_REQUESTS: Final = "This session: no requests."
_ATTEMPTS: Final = 3
"""How often to look for a missing request; a busy or stopping server may take longer."""


def session_cost(ledger: Path, session: str, *, was_ended: bool = False) -> str:
    """Return the line for the session. With `was_ended`, the client may have been killed during a
    request, which the server notices slightly later."""
    try:
        previous = None
        for _ in range(_ATTEMPTS):
            time.sleep(_WRITTEN_AFTER)
            with opened_ledger(ledger) as database:
                filters = Filters(session=session)
                sums = total(sums_by(database, "session", Period(), filters))
                refusals = _refusals(database, filters, sums)
            if sums.requests and (sums == previous or not was_ended):
                break
            previous = sums
        if not sums.requests and not _is_writable(ledger):
            return f"The cost of this session is unknown: {ledger} cannot be written."
        return f"This session: {refusals}." if refusals else line(sums)
    except CopilotProxyError as error:
        return f"The cost of this session is unknown: {error.message}"


def _refusals(database: Database, filters: Filters, sums: Sums) -> str | None:
    """Describe the requests if all of them were refused; otherwise, return None."""
    if sums.requests == 0 or sums.nano_aiu != 0 or sums.unknown_cost_requests:
        return None
    found = latest_requests(database, filters, limit=sums.requests)
    outcomes = {one["outcome"] for one in found}
    if not outcomes or not all(outcome.startswith("refused_") for outcome in outcomes):
        return None
    if outcomes == {"refused_budget"}:
        reason = " because of the budget"
    else:
        codes = sorted({one["error_code"] for one in found if one["error_code"]})
        reason = f" ({', '.join(codes)})" if codes else ""
    every = "all " * (sums.requests > 1)
    return f"{counted(sums.requests, 'request')}, {every}refused{reason}; nothing was charged"


def _is_writable(ledger: Path) -> bool:
    """Return whether the server, which runs as the same user, could write the ledger."""
    return os.access(ledger.parent, os.W_OK | os.X_OK) and (
        not ledger.exists() or os.access(ledger, os.W_OK)
    )


def line(sums: Sums) -> str:
    """Return the line for these sums."""
    if sums.requests == 0:
        return NO_REQUESTS
    parts = [counted(sums.requests, "request")]
    if sums.known_nano_aiu is not None:
        parts.append(f"{rounded(sums.nano_aiu)} AI credits")
    if estimated := sums.estimated_requests:
        parts.append(f"{estimated:,} of estimated cost")
    if unknown := sums.unknown_cost_requests:
        parts.append(f"{unknown:,} of unknown cost")
    cached = sums.cache_read_tokens
    prompt = sums.input_tokens + cached + sums.cache_write_tokens
    if prompt:
        parts.append(f"{percent(100 * cached / prompt)} cached")
    return f"This session: {', '.join(parts)}."
