"""Formats a report of the ``usage`` command for programs: JSON and CSV."""

import csv
import io
import json
from datetime import datetime
from typing import Any, Final

import msgspec

from copilot_proxy.cli.usage_report import Report
from copilot_proxy.cost.nano_aiu import credits
from copilot_proxy.ledger.queries import Sums


def as_json(report: Report) -> str:
    """Return the report as one JSON object."""
    found = {
        "group": report.group,
        "since": _iso(report.period.since),
        "until": _iso(report.period.until),
        "total": _row(report.total),
        "rows": [_row(row) for row in report.rows],
        "quota": _quota(report),
        "budget": [one.as_json() for one in report.limits],
    }
    if report.group == "session":
        found["next_turns"] = [one._asdict() for one in report.next_turns]
    # A year of sessions is 9 MB, for which the standard library takes six times as long. Only it
    # escapes DEL, and characters that are not ASCII, which not every terminal can print.
    text = msgspec.json.encode(found)
    is_plain = text.isascii() and b"\x7f" not in text
    return msgspec.json.format(text.decode() if is_plain else json.dumps(found))


_FORMULAS: Final = ("=", "+", "-", "@")
"""The first characters of formulas in spreadsheets."""


def as_csv(report: Report) -> str:
    """Return the total and the rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_row(report.total))
    for row in map(_row, report.rows):
        if str(row["key"] or "").startswith(_FORMULAS):
            # Names are chosen by clients, and a spreadsheet must not interpret them as formulas.
            row["key"] = f"'{row['key']}"
        writer.writerow(row.values())
    return text.getvalue().rstrip("\n")


def _row(row: Sums) -> dict[str, Any]:
    known = row.known_nano_aiu
    return {
        "key": row.name,
        "requests": row.requests,
        "nano_aiu": known,
        "credits": None if known is None else credits(known),
        "input_tokens": row.input_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "cache_write_tokens": row.cache_write_tokens,
        "output_tokens": row.output_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "unknown_cost_requests": row.unknown_cost_requests,
        "cache_lost_nano_aiu": row.cache_lost_nano_aiu,
    }


def _quota(report: Report) -> dict[str, Any] | None:
    if (quota := report.quota) is None:
        return None
    return {
        "unit": quota.unit,
        "entitlement": None if quota.unlimited else quota.entitlement,
        "left": quota.left,
        "percent_left": None if quota.unlimited else quota.percent_left,
        "overage": quota.overage,
        "resets_at": _iso(quota.resets_at),
        "reported_at": _iso(report.quota_at),
        "runs_out_at": _iso(report.runs_out_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
