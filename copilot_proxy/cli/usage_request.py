"""``usage show``: the latest requests, or one request's details with the source of its cost."""

import json
from collections.abc import Sequence
from typing import Any, Final

from copilot_proxy.budget.formatting import TO_RAISE
from copilot_proxy.cli.console import print_message, print_result, two_columns
from copilot_proxy.cli.usage_output import cut, terminal_width
from copilot_proxy.cost.assessment import source_text
from copilot_proxy.cost.cache_advice import pause_and_ttl
from copilot_proxy.cost.nano_aiu import credits, decimal, rounded, sum_of_details
from copilot_proxy.dashboard.hints import hint
from copilot_proxy.errors import CopilotProxyError, UsageError, with_simulate_flag
from copilot_proxy.ledger.activity import latest_requests
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.periods import Period, local_time
from copilot_proxy.ledger.queries import UNKNOWN, Filters, decoded, requests_named, short_id

_RECENT: Final = 20
"""The number of requests in the list."""
_MINUTE: Final = 16
"""The length of a date and time without seconds, in characters."""
_HEADINGS: Final = ("REQUEST", "ENDED", "CLIENT", "MODEL", "CREDITS", "OUTCOME")
_CLIENT: Final = 2
_MODEL: Final = 3
"""Indexes of the columns with names that may be shortened."""
_MIN_WIDTHS: Final = {_CLIENT: 13, _MODEL: 18}
_MIN_OUTCOME: Final = 8
"""Minimum widths of the names and the outcome, with which the list fits in 80 columns."""
_OUTCOMES: Final = {
    "client_left": "client left",
    "refused_budget": "over budget",
    "refused_upstream": "refused by Copilot",
    "refused_here": "not sent",
    "broken": "failed",
}
"""Plain words for the ledger's outcomes; ``ok`` is shown unchanged."""
ID_HINT: Final = (
    "Request ids are in the header x-request-id, and in the log if a request fails. Invalid "
    "requests are not in the ledger."
)


def show(database: Database, request_id: str, *, as_json: bool, simulated: bool) -> int:
    """Print everything that the ledger contains about a request. Raises `CopilotProxyError`."""
    found = requests_named(database, request_id)
    if not found:
        raise CopilotProxyError(
            f"The ledger does not contain the request {request_id!r}.",
            hint=ID_HINT,
        )
    if len(found) > 1 and found[1]["corrects"] is None:
        raise UsageError(
            f"Several request ids begin with {request_id!r}.",
            hint=f"Two of them are {found[0]['request_id']} and {found[1]['request_id']}.",
        )
    request, corrections = found[0], found[1:]
    if as_json:
        shown = {**_decoded(request), "corrections": [_decoded(one) for one in corrections]}
        print_result(json.dumps(shown, indent=2))
    else:
        print_result(two_columns(_rows(request)))
        notes = decoded(request["notes_json"], list) or []
        for note in notes:
            if not note.startswith(TO_RAISE):
                print_result(f"{'Note':<14}{''.join(filter(str.isprintable, note))}")
        if request["error_code"] is not None:
            text = hint(request["error_code"], request["status"], request["outcome"], notes)
            print_message(f"\n{with_simulate_flag(text) if simulated else text}")
    return 0


def show_recent(database: Database, period: Period, filters: Filters, *, as_json: bool) -> int:
    """Print the latest requests, newest last."""
    found = latest_requests(database, filters, period=period, limit=_RECENT)[::-1]
    if as_json:
        print_result(json.dumps([_recent_json(one) for one in found], indent=2))
        return 0
    if not found:
        print_result("No requests.")
        return 0
    columns = terminal_width()
    rows = [_HEADINGS, *(_recent_row(one) for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = None if columns is None else columns - len("  ") * (len(widths) - 1)
    if room is not None and sum(widths) > room:
        # If space is short, show an error's code without its outcome.
        rows = [_HEADINGS, *(_recent_row(one, is_short=True) for one in found)]
        widths = _fitted([max(map(len, column)) for column in zip(*rows, strict=True)], room)
    for row in rows:
        cells = [cut(text, width).ljust(width) for text, width in zip(row, widths, strict=True)]
        cells[4] = row[4].rjust(widths[4])
        print_result("  ".join(cells).rstrip())
    return 0


def _recent_row(one: dict[str, Any], *, is_short: bool = False) -> tuple[str, ...]:
    return (
        short_id(one["request_id"]),
        _local(one["ended_us"])[:_MINUTE],
        one["client"] or UNKNOWN,
        one["model"] or one["model_asked"] or UNKNOWN,
        "?" if one["nano_aiu"] is None else rounded(one["nano_aiu"]),
        (is_short and one["error_code"]) or ", ".join(_outcome(one)),
    )


def _fitted(widths: Sequence[int], columns: int) -> list[int]:
    """Return `widths` adjusted to fit `columns`; the names share the space left by the other
    cells."""
    fitted = list(widths)
    for index, least in _MIN_WIDTHS.items():
        fitted[index] = min(widths[index], least)
    spare = columns - sum(fitted)
    if spare < 0:
        fitted[-1] = max(fitted[-1] + spare, _MIN_OUTCOME)
    for index in _MIN_WIDTHS:
        more = max(0, min(widths[index] - fitted[index], spare))
        fitted[index] += more
        spare -= more
    return fitted


def _recent_json(one: dict[str, Any]) -> dict[str, Any]:
    nano = one["nano_aiu"]
    return {
        **{name: value for name, value in one.items() if name != "id"},
        "ended_at": local_time(one["ended_us"]).isoformat(),
        "credits": None if nano is None else credits(nano),
    }


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its JSON decoded, and without ``_json`` in its column names."""
    return {
        name.removesuffix("_json"): decoded(value) if name.endswith("_json") else value
        for name, value in row.items()
        if name != "id"
    }


def _rows(one: dict[str, Any]) -> list[tuple[str, str]]:
    nano = one["nano_aiu"]
    source = source_text(one["cost_source"], one["price_date"])
    cost = "unknown" if nano is None else f"{decimal(nano)} AI credits"
    rows = [
        ("Request", one["request_id"]),
        ("GitHub's id", one["upstream_id"]),
        ("Ended", _local(one["ended_us"])),
        ("Took", _duration(one)),
        ("Client", _joined(one["client"], one["client_version"])),
        ("Session", one["session"]),
        ("Project", one["project"]),
        ("API key", one["key"]),
        ("Model", _model(one)),
        ("API", one["api"]),
        ("Sent to", one["route"] if one["route"] != one["api"] else None),
        ("Effort", one["effort"]),
        ("Initiator", one["initiator"]),
        ("Outcome", ", ".join((*_outcome(one), f"status {one['status']}"))),
        ("Finish", one["finish_reason"]),
        ("Attempts", str(one["attempts"])),
        ("Tokens", _tokens(one)),
        ("Prompt cache", _cache(one)),
        ("Price tier", one["tier"]),
        ("Cost", f"{cost}: {source}"),
    ]
    details = decoded(one["details_json"], dict) or {}
    recomputed = sum_of_details(details)
    if one["cost_source"] == "reported" and recomputed not in (None, nano):
        rows.append(("Details", f"add up to {decimal(recomputed)} AI credits"))
    for detail in details.get("token_details") or ():
        rows.append(("", _detail(detail)))
    if one["quota_percent_left"] is not None and one["quota_entitlement"] > 0:
        rows.append(("Quota left", f"{one['quota_percent_left']:g}% of the {one['quota_unit']}"))
    return [(name, text) for name, text in rows if text]


def _outcome(one: dict[str, Any]) -> list[str]:
    """Return how a request ended: in words, and the code of its error."""
    words = _OUTCOMES.get(one["outcome"], one["outcome"])
    return [words, one["error_code"]] if one["error_code"] else [words]


def _model(one: dict[str, Any]) -> str:
    text = one["model"] or "unknown"
    if one["model_asked"] not in (None, one["model"]):
        text += f", requested as {one['model_asked']}"
    if one["model_answered"] not in (None, one["model"]):
        text += f", answered as {one['model_answered']}"
    return text


def _tokens(one: dict[str, Any]) -> str:
    """Return the token counts, or "" if there are none because nothing was charged."""
    if one["input_tokens"] is None:
        return "" if one["cost_source"] == "free" else "unknown"
    parts = [
        (one["input_tokens"], "fresh"),
        (one["cache_read_tokens"], "from the cache"),
        (one["cache_write_tokens"] + one["cache_write_1h_tokens"], "written to the cache"),
        (one["output_tokens"], "out"),
    ]
    text = ", ".join(f"{count:,} {name}" for count, name in parts if count)
    if one["reasoning_tokens"]:
        text += f" ({one['reasoning_tokens']:,} for reasoning)"
    return text or "none"


def _cache(one: dict[str, Any]) -> str | None:
    """Return why a part of the prompt missed the cache, and what that cost."""
    if one["cache_verdict"] is None:
        return None
    text = one["cache_verdict"].replace("_", " ")
    if one["cache_detail"]:
        is_pause = one["cache_verdict"] == "ttl_expiry"
        detail = f"{pause_and_ttl(one['cache_detail'])[0]} s" if is_pause else one["cache_detail"]
        text += f" ({detail})"
    lost = one["cache_lost_nano_aiu"]
    return f"{text}, lost {decimal(lost)} AI credits" if lost else text


def _detail(detail: object) -> str:
    if not isinstance(detail, dict):
        return ""
    kind, count = detail.get("token_type"), detail.get("token_count")
    price, batch = detail.get("cost_per_batch"), detail.get("batch_size")
    if not isinstance(price, int) or not isinstance(batch, int):
        return f"{kind}: {count}"
    return f"{kind}: {count} at {decimal(price)} AI credits per {batch:,}"


def _duration(one: dict[str, Any]) -> str:
    text = f"{(one['ended_us'] - one['started_us']) / 1e6:.2f} s"
    first = one["first_token_ms"]
    return text if first is None else f"{text}, first token after {first / 1000:.2f} s"


def _joined(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)


def _local(microseconds: int) -> str:
    return f"{local_time(microseconds):%Y-%m-%d %H:%M:%S}"
