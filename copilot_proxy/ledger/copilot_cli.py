"""Imports into the ledger the requests that GitHub's Copilot CLI has recorded.

The CLI keeps ``session-store.db``, an SQLite file, in its folder. As of version 1.0.102, the file's
table ``assistant_usage_events`` has one row for each answer from a model. Importing a second time
changes nothing, and requests that the CLI sent through this server are left out.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from copilot_proxy.attribution import MAX_NAME_LENGTH
from copilot_proxy.cost.assessment import assess
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.periods import day_and_month
from copilot_proxy.ledger.schema import COLUMNS, Row

CLIENT: Final = "copilot-cli"
FILE_NAME: Final = "session-store.db"
_BATCH: Final = 1000
"""The number of rows to write in one transaction, so that a server does not have to wait long."""
_MAX_TEXT: Final = 200
_IMPORTED: Final = (f"{CLIENT}-", f"{CLIENT}.")
"""The ids of imported requests are between these two values. The client's name cannot distinguish
them, since the CLI has the same name when `run` starts it."""
_SAME_US: Final = 120 * 1_000_000
"""Maximum difference between the times that the CLI and this server record for a request."""
_APIS: Final = (("messages", "messages"), ("responses", "responses"), ("chat", "chat_completions"))
"""Part of the CLI's endpoint name -> the API."""


class Imported(NamedTuple):
    """How many requests an import has added or skipped."""

    added: int
    known: int
    """The number of requests imported earlier."""
    own: int
    """The number of requests sent through this server, which has already recorded them."""


def import_events(ledger: Database, path: Path) -> Imported:
    """Add the requests in the CLI's file to the ledger. Raises `CopilotProxyError`."""
    try:
        with closing(_open(path)) as source:
            return _import(ledger, source)
    except sqlite3.Error as error:
        raise CopilotProxyError(
            f"{path} cannot be imported: {str(error).rstrip('.')}.",
            hint="Only the format of Copilot CLI 1.0.102 is supported.",
        ) from error


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise CopilotProxyError(
            f"{path} does not exist.",
            hint="Copilot CLI creates it on its first request. If its folder is elsewhere, set "
            "COPILOT_HOME.",
        )
    source = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
    source.row_factory = sqlite3.Row
    return source


def _import(ledger: Database, source: sqlite3.Connection) -> Imported:
    known = {
        request_id
        for (request_id,) in ledger.execute(
            "SELECT request_id FROM requests WHERE request_id >= ? AND request_id < ?",
            _IMPORTED,
        )
    }
    found = _events(source)
    rows = [row for row in found if row[0] not in known]
    own: set[str] = set()
    added = [row for row in rows if not _is_own(ledger, row, own)]
    for start in range(0, len(added), _BATCH):
        insert(ledger, added[start : start + _BATCH])
    return Imported(len(added), len(found) - len(rows), len(own))


def _events(source: sqlite3.Connection) -> list[Row]:
    events = source.execute(
        "SELECT events.*, repository FROM assistant_usage_events AS events "
        "LEFT JOIN sessions ON sessions.id = session_id ORDER BY events.id"
    )
    return [_row(dict(event)) for event in events]


def _row(event: Mapping[str, Any]) -> Row:
    ended = datetime.fromisoformat(event["created_at"])
    ended_us = round((ended if ended.tzinfo else ended.replace(tzinfo=UTC)).timestamp() * 1e6)
    day, month = day_and_month(ended_us // 60_000_000)
    charged = _copilot_usage(event)
    cost = assess(event["model"], None, _usage(event), charged)
    first, project = event["time_to_first_token_ms"], event["repository"] or ""
    endpoint = event["api_endpoint"] or ""
    api = next((api for part, api in _APIS if part in endpoint), "unknown")
    values: dict[str, Any] = {
        "request_id": f"{CLIENT}-{event['session_id']}-{event['id']}",
        "day": day,
        "month": month,
        "started_us": ended_us - round((event["duration_ms"] or 0) * 1000),
        "ended_us": ended_us,
        "first_token_ms": None if first is None else round(first),
        "client": CLIENT,
        "session": event["session_id"],
        "project": project if 0 < len(project) <= MAX_NAME_LENGTH else None,
        "api": api,
        "route": api,
        "stream": 1,
        "initiator": event["initiator"],
        "attempts": 1,
        "model": event["model"],
        "model_answered": event["copilot_usage_model"],
        "effort": event["reasoning_effort"],
        "tier": cost.tier,
        "images": 0,
        "nano_aiu": cost.nano,
        "cost_source": cost.source,
        "price_date": cost.price_date,
        "details_json": None if charged is None else msgspec.json.encode(charged).decode(),
        "status": 200,
        "outcome": "ok",
        "finish_reason": event["finish_reason"],
    }
    if cost.tokens is not None:
        values |= {f"{name}_tokens": count for name, count in cost.tokens._asdict().items()}
    return tuple(_clean(name, values.get(name)) for name in COLUMNS)


def _clean(name: str, value: object) -> object:
    """Return text without anything that could confuse a terminal, and other values unchanged."""
    if not isinstance(value, str) or name == "details_json":
        return value
    return "".join(filter(str.isprintable, value))[:_MAX_TEXT]


def _usage(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the token counts in Chat Completions' format. `prompt_tokens` includes cached
    tokens."""
    return {
        "prompt_tokens": event["input_tokens"],
        "completion_tokens": event["output_tokens"],
        "prompt_tokens_details": {
            "cached_tokens": event["cache_read_tokens"],
            "cache_creation_input_tokens": event["cache_write_tokens"],
        },
        "completion_tokens_details": {"reasoning_tokens": event["reasoning_tokens"]},
    }


def _copilot_usage(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return Copilot's charge in its own format, or None if the CLI did not record it."""
    try:
        details = msgspec.json.decode(
            event["token_details_json"] or "[]", type=list[dict[str, Any]]
        )
    except msgspec.DecodeError:
        details = []
    names = {
        "batch_size": "batchSize",
        "cost_per_batch": "costPerBatch",
        "token_count": "tokenCount",
        "token_type": "tokenType",
    }
    found: dict[str, Any] = {
        "token_details": [
            {name: one.get(cli_name) for name, cli_name in names.items()} for one in details
        ]
    }
    if event["total_nano_aiu"] is not None:
        found["total_nano_aiu"] = event["total_nano_aiu"]
    return found if details or len(found) > 1 else None


def _is_own(ledger: Database, row: Row, used: set[str]) -> bool:
    """Return whether the request was sent through this server, and is thus already in the ledger.

    Two requests are considered the same if their costs, output tokens and times match. Each row of
    the ledger matches at most one request; the id of a matched row is added to `used`.
    """
    values = dict(zip(COLUMNS, row, strict=True))
    for (request_id,) in _similar(ledger, values):
        if request_id not in used:
            used.add(request_id)
            return True
    return False


def _similar(ledger: Database, values: Mapping[str, Any]) -> Iterator[tuple[str]]:
    ended = values["ended_us"]
    return ledger.execute(
        "SELECT request_id FROM requests WHERE ended_us BETWEEN ? AND ? AND nano_aiu = ? "
        "AND output_tokens = ? AND NOT (request_id >= ? AND request_id < ?)",
        (
            ended - _SAME_US,
            ended + _SAME_US,
            values["nano_aiu"],
            values["output_tokens"],
            *_IMPORTED,
        ),
    )
