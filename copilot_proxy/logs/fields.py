"""What log lines say of a request, in either format; nothing in it can break a line."""

import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from copilot_proxy.relay.records import RequestContext, RequestRecord

_LONGEST_PATH: Final = 80


def token_counts(record: "RequestRecord") -> dict[str, int | None]:
    """The tokens of a request, by the names that they have in JSON."""
    usage = record.usage or {}
    details = usage.get("prompt_tokens_details") or {}
    return {
        "tokens_in": usage.get("prompt_tokens"),
        "tokens_cached": details.get("cached_tokens"),
        "tokens_out": usage.get("completion_tokens"),
    }


def http_fields(entry: logging.LogRecord) -> dict[str, Any] | None:
    """The fields of a request without a `RequestRecord`; None for any other entry."""
    context: RequestContext | None = getattr(entry, "context", None)
    if context is None:
        return None
    fields = {
        "method": printable(context.method, 10),
        "path": printable(quote(context.path, errors="replace"), _LONGEST_PATH),
        "status": context.status,
        "key": context.key.name if context.key else None,
    }
    if context.error:
        # The client has the same two, so that its report leads to this line.
        fields |= {"error": context.error, "request_id": context.request_id}
    return fields


def printable(text: str, longest: int) -> str:
    """One short line: what a client sends must not move the cursor or fake other lines."""
    line = text[:longest]
    if not line.isprintable():
        line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(text) <= longest else line[:-1] + "…"
