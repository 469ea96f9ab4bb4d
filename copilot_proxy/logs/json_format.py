"""Formats log lines as JSON objects, for other programs."""

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from copilot_proxy.cost.nano_aiu import credits
from copilot_proxy.logs.fields import http_fields, known_cost, printable, token_counts
from copilot_proxy.masking import mask

if TYPE_CHECKING:
    from copilot_proxy.relay.records import RequestRecord

_MAX_MODEL_LENGTH: Final = 256
_MAX_VALUE_LENGTH: Final = 16 * 1024
"""Maximum length in characters of a value, such as a traceback."""


class JsonFormatter(logging.Formatter):
    """Formats each record as a JSON object.

    The object's ``event`` (``request``, ``http`` or ``log``) determines its other keys.
    """

    def format(self, entry: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(entry.created, UTC).isoformat(timespec="milliseconds"),
            "level": entry.levelname.lower(),
        }
        record: RequestRecord | None = getattr(entry, "record", None)
        if record is not None:
            line |= {"event": "request", **_request_fields(record)}
        elif (http := http_fields(entry)) is not None:
            line |= {"event": "http", **http}
        else:
            line |= {"event": "log", "logger": entry.name, "message": mask(entry.getMessage())}
            line |= getattr(entry, "fields", {})
            if entry.exc_info and not entry.exc_text:
                entry.exc_text = self.formatException(entry.exc_info)
            if entry.exc_text:
                line["traceback"] = entry.exc_text
        # Mask each value separately, so that masking cannot break the JSON syntax.
        return json.dumps({key: _masked(value) for key, value in line.items()})


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return mask(value)[:_MAX_VALUE_LENGTH] if isinstance(value, str) else value


def _request_fields(record: "RequestRecord") -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "key": record.key,
        "api": record.api,
        "route": record.route,
        "model": printable(record.model, _MAX_MODEL_LENGTH) if record.model else record.model,
        "stream": record.stream,
        "items": record.items,
        "tools": record.tools,
        "images": record.images,
        "body_bytes": record.body_bytes,
        "effort": printable(record.effort, 10) if record.effort else None,
        "initiator": record.initiator,
        "status": record.status,
        "error": record.error,
        "local": record.local,
        "client_left": record.client_gone,
        "first_token": _rounded(record.first_token),
        "duration": _rounded(record.duration),
        **token_counts(record),
        "credits": None if (nano := known_cost(record)) is None else credits(nano),
        "notes": record.notes,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
