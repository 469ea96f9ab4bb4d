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
from copilot_proxy.ledger.database import Database, hint_for, is_busy
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.periods import day_and_month
from copilot_proxy.ledger.queries import IMPORTED
from copilot_proxy.ledger.schema import COLUMNS, Row

CLIENT: Final = "copilot-cli"
FILE_NAME: Final = "session-store.db"
_COLUMNS: Final = (
    *("id", "session_id", "model", "copilot_usage_model", "input_tokens", "output_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "total_nano_aiu"),
    *("request_multiplier", "duration_ms", "time_to_first_token_ms", "initiator", "api_endpoint"),
    *("reasoning_effort", "finish_reason", "token_details_json", "created_at"),
)
"""The columns of the CLI's table that are read."""
_BATCH: Final = 1000
"""The number of rows to write in one transaction, so that a server does not have to wait long."""
_MAX_TEXT: Final = 200
_SAME_US: Final = 120 * 1_000_000
"""Maximum difference between the times that the CLI and this server record for a request."""
_FORMAT_HINT: Final = "Only the format of Copilot CLI 1.0.102 is supported."
_APIS: Final = (("messages", "messages"), ("responses", "responses"), ("chat", "chat_completions"))
"""Part of the CLI's endpoint name -> the API."""


class Imported(NamedTuple):
    """How many requests an import has added or skipped."""

    added: int
    known: int
    """The number of requests imported earlier."""
    own: int
    """The number of requests sent through this server, which has already recorded them."""
    uncharged: int
    """The number of requests that Copilot did not charge."""


def import_events(ledger: Database, path: Path) -> Imported:
    """Add the requests in the CLI's file to the ledger. Raises `CopilotProxyError`."""
    try:
        with closing(_open(path)) as source:
            return _import(ledger, source)
    except sqlite3.Error as error:
        raise CopilotProxyError(
            f"{path} cannot be imported: {str(error).rstrip('.')}.",
            hint=hint_for(error) if is_busy(error) else _FORMAT_HINT,
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
            IMPORTED,
        )
    }
    events = _events(source)
    charged = [_checked_row(event) for event in events if _is_charged(event)]
    rows = [row for row in charged if row[0] not in known]
    own: set[str] = set()
    added = [row for row in rows if not _is_own(ledger, row, own)]
    for start in range(0, len(added), _BATCH):
        insert(ledger, added[start : start + _BATCH])
    return Imported(
        len(added), len(charged) - len(rows), len(own), uncharged=len(events) - len(charged)
    )


def _events(source: sqlite3.Connection) -> list[dict[str, Any]]:
    events = source.execute(
        f"SELECT {', '.join(f'events.{name}' for name in _COLUMNS)}, repository "  # noqa: S608
        "FROM assistant_usage_events AS events "
        "LEFT JOIN sessions ON sessions.id = session_id ORDER BY events.id"
    )
    return [dict(event) for event in events]


def _is_charged(event: Mapping[str, Any]) -> bool:
    """Return whether Copilot may have charged for a request.

    The CLI can also use other providers, such as OpenAI or Ollama. It records their requests with a
    multiplier of 0 and without a charge, and they must not be counted at Copilot's prices.
    """
    has_charge = event["total_nano_aiu"] is not None or event["token_details_json"] is not None
    return has_charge or event["request_multiplier"] != 0


def _checked_row(event: Mapping[str, Any]) -> Row:
    """Return the row for a request. Raises `CopilotProxyError` if its values are not valid."""
    try:
        return _row(event)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise CopilotProxyError(
            f"Row {event['id']} of Copilot CLI's assistant_usage_events cannot be imported: "
            "a value has an unexpected format.",
            hint=_FORMAT_HINT,
        ) from error


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
        "request_id": f"{IMPORTED[0]}{event['session_id']}-{event['id']}",
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
            *IMPORTED,
        ),
    )
