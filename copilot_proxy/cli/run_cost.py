"""Describes the cost of a ``run`` session in one line."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from copilot_proxy.cli.console import counted
from copilot_proxy.cost.display import percent
from copilot_proxy.cost.nano_aiu import rounded
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.activity import refusals_of
from copilot_proxy.ledger.database import opened_ledger
from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.queries import Filters, Sums, sums_by, total

_WRITTEN_AFTER: Final = 0.3
"""Seconds within which the server usually writes a completed request to the ledger."""
NO_REQUESTS: Final = "This session: no requests."
_ATTEMPTS: Final = 3
"""How many times to look for a missing request, which a busy or stopping server may write later."""


def session_cost(ledger: Path, session: str, *, was_ended: bool = False) -> str:
    """Return the session's cost as one line.

    `was_ended` means that the client may have been killed during a request. The server records the
    cost of such a request slightly later.
    """
    try:
        previous = None
        for _ in range(_ATTEMPTS):
            time.sleep(_WRITTEN_AFTER)
            with opened_ledger(ledger) as database:
                filters = Filters(session=session)
                sums = total(sums_by(database, "session", Period(), filters))
                refusals = refusals_of(database, session)
            if sums.requests and (sums == previous or not was_ended):
                break
            previous = sums
        if not sums.requests and not _is_writable(ledger):
            return f"The cost of this session is unknown: {ledger} cannot be written to."
        return line(sums, refusals)
    except CopilotProxyError as error:
        return f"The cost of this session is unknown: {error.message}"


def _is_writable(ledger: Path) -> bool:
    """Return whether the server, which runs as the same user, can write to the ledger."""
    return os.access(ledger.parent, os.W_OK | os.X_OK) and (
        not ledger.exists() or os.access(ledger, os.W_OK)
    )


def line(sums: Sums, refusals: Sequence[tuple[str, str, int]] = ()) -> str:
    """Return the line for a session's `sums` and its `refusals`, as returned by `refusals_of`."""
    if sums.requests == 0:
        return NO_REQUESTS
    requests = counted(sums.requests, "request")
    refused = sum(count for *_, count in refusals)
    if refused == sums.requests and not sums.nano_aiu and not sums.unknown_cost_requests:
        every = "all " * (refused > 1)
        return f"This session: {requests}, {every}{_refused(refusals)}; nothing was charged."
    parts = [requests]
    if sums.known_nano_aiu is not None:
        about = "about " * bool(sums.estimated_requests)
        parts.append(f"{about}{rounded(sums.nano_aiu)} AI credits")
    if estimated := sums.estimated_requests:
        parts.append(f"{estimated:,} with an estimated cost")
    if unknown := sums.unknown_cost_requests:
        parts.append(f"{unknown:,} with an unknown cost")
    if refused:
        parts.append(f"{refused:,} {_refused(refusals)}")
    cached = sums.cache_read_tokens
    prompt = sums.input_tokens + cached + sums.cache_write_tokens
    if prompt:
        parts.append(f"{percent(100 * cached / prompt)} cached")
    return f"This session: {', '.join(parts)}."


def _refused(refusals: Sequence[tuple[str, str, int]]) -> str:
    """Return why requests were refused, such as ``refused because of the budget``."""
    if {outcome for outcome, *_ in refusals} == {"refused_budget"}:
        return "refused because of the budget"
    codes = sorted({code for _, code, _ in refusals if code})
    return f"refused ({', '.join(codes)})" if codes else "refused"
