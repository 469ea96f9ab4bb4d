"""The fields of a request in log lines of both formats, safe to print on one line."""

import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from copilot_proxy.cost.nano_aiu import reported_total

if TYPE_CHECKING:
    from copilot_proxy.relay.records import RequestContext, RequestRecord

_MAX_PATH_LENGTH: Final = 80


def token_counts(record: "RequestRecord") -> dict[str, int | None]:
    """Return the token counts of a request, under their names in JSON log lines."""
    usage = record.usage or {}
    details = usage.get("prompt_tokens_details") or {}
    return {
        "tokens_in": usage.get("prompt_tokens"),
        "tokens_cached": details.get("cached_tokens"),
        "tokens_out": usage.get("completion_tokens"),
    }


def known_cost(record: "RequestRecord") -> int | None:
    """Return the cost in nano-AIU that Copilot reported or that follows from the token counts of a
    complete answer, or None."""
    from copilot_proxy.relay.costs import cost_of, is_complete

    if (nano := reported_total(record.copilot_usage)) is not None:
        return nano
    if (record.usage is None and record.copilot_usage is None) or not is_complete(record):
        return None
    cost = cost_of(record)
    return None if cost.source in ("estimated", "free") else cost.nano


def http_fields(entry: logging.LogRecord) -> dict[str, Any] | None:
    """Return the fields of a log entry about a request that has no `RequestRecord`, or None for any
    other entry."""
    context: RequestContext | None = getattr(entry, "context", None)
    if context is None:
        return None
    fields = {
        "method": printable(context.method, 10),
        "path": printable(quote(context.path, safe="/:", errors="replace"), _MAX_PATH_LENGTH),
        "status": context.status,
        "key": context.key.name if context.key else None,
    }
    if context.error:
        # The client receives the same ids, so that a bug report can be matched with this line.
        fields |= {"error": context.error, "request_id": context.request_id}
    return fields


def printable(text: str, max_length: int) -> str:
    """Return `text` as a line of at most `max_length` characters, with ``?`` for unprintable ones.

    Text from a client must not move the cursor or fake other log lines.
    """
    line = text[:max_length]
    if not line.isprintable():
        line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(text) <= max_length else line[:-1] + "…"
