"""Requests as shown on the page: running requests, and the details of a single request."""

import time
from typing import Any, Final

from copilot_proxy.budget.formatting import TO_RAISE
from copilot_proxy.cost.assessment import source_text
from copilot_proxy.cost.cache_advice import explain
from copilot_proxy.cost.estimated_tokens import TOKENS_PER_EVENT
from copilot_proxy.cost.nano_aiu import sum_of_details
from copilot_proxy.dashboard.hints import hint
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.queries import decoded, requests_named
from copilot_proxy.relay.records import RequestRecord

_CLOCK_OFFSET: Final = time.time() - time.perf_counter()
"""Add this to a record's start time to get seconds since 1970."""


def running(record: RequestRecord) -> dict[str, Any]:
    """Return a running request as a dictionary whose keys are the names of the ledger's columns."""
    first = record.first_token
    return {
        "request_id": record.request_id,
        "started_us": round((record.started + _CLOCK_OFFSET) * 1e3) * 1000,
        "first_token_ms": None if first is None else round(first * 1000),
        "key": record.key,
        "client": record.attribution.client,
        "session": record.attribution.session,
        "project": record.attribution.project,
        "api": record.api,
        "route": record.route,
        "attempts": record.attempts,
        "model": record.model,
        "effort": record.effort,
        "output_tokens": round(record.events * TOKENS_PER_EVENT),
    }


def request(database: Database, request_id: str, key: str | None) -> dict[str, Any] | None:
    """Return all details of a request, with explanations, or None if it is not in the ledger.

    With `key`, only requests with the API key of that name are found.
    """
    found = requests_named(database, request_id)
    if not found or found[0]["request_id"] != request_id or key not in (None, found[0]["key"]):
        return None
    row, *corrections = found
    details = decoded(row.pop("details_json"), dict) or {}
    notes = decoded(row.pop("notes_json"), list) or []
    computed = sum_of_details(details)
    verdict, code = row["cache_verdict"], row["error_code"]
    return {
        **row,
        "details": details.get("token_details") or [],
        "notes": [note for note in notes if not note.startswith(TO_RAISE)],
        "corrections": [{"nano_aiu": one["nano_aiu"]} for one in corrections],
        "cost_text": source_text(row["cost_source"], row["price_date"]),
        "computed_nano_aiu": computed if computed != row["nano_aiu"] else None,
        "cache_words": explain(verdict, row["cache_detail"], 1)
        if verdict not in (None, "cold")
        else None,
        "hint": None if code is None else hint(code, row["status"], row["outcome"], notes),
    }
