"""Formats log lines as text, one line per request, with the most important facts first."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from copilot_proxy.cost.display import percent, short_count
from copilot_proxy.cost.nano_aiu import rounded
from copilot_proxy.logs.fields import http_fields, known_cost, printable, token_counts
from copilot_proxy.masking import mask
from copilot_proxy.terminal import escape_controls

if TYPE_CHECKING:
    from copilot_proxy.relay.records import RequestRecord

_COLORS: Final = {"green": "\x1b[32m", "yellow": "\x1b[33m", "red": "\x1b[31m"}
_RESET: Final = "\x1b[0m"
_NAME_WIDTH: Final = 17
"""The width of the column for the model, which fits most names."""
_MAX_NAME: Final = 32
_MAX_NOTE: Final = 120
_SHORT_ID: Final = 8
"""The length of a shortened request id, which `usage show` accepts."""
_BUDGET_EXCEEDED: Final = "budget_exceeded"
"""An error code whose notes are left out, because `usage show` gives the same advice."""
_GAP: Final = "  "


class TextFormatter(logging.Formatter):
    """Formats log entries; a request is one line, with its status, model, cost, time and tokens.

    ``15:40:31 200 claude-sonnet-4.5  1.29 credits  8.2s  124k in (95% cached) 1.3k out``

    For an answer that was cut off, ``cut`` is shown instead of the status that had been sent. With
    `dated`, lines start with the date. With `announce`, a record's `announcement` (text for the
    user who started the server) is shown unchanged. Details that would make a request's line longer
    than `width()` are omitted, and the request's id is shortened if necessary.
    """

    def __init__(
        self,
        *,
        color: bool = False,
        dated: bool = False,
        announce: bool = False,
        width: Callable[[], int | None] = lambda: None,
    ) -> None:
        super().__init__()
        self._color = color
        self._width = width
        self._announce = announce
        self._clock_format = "%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S"
        self._second, self._clock = -1, ""
        """The time of the last line in whole seconds, and the same time as text."""

    def format(self, entry: logging.LogRecord) -> str:
        announcement: str | None = getattr(entry, "announcement", None)
        if self._announce and announcement is not None:
            return announcement
        clock = self._time(int(entry.created))
        record: RequestRecord | None = getattr(entry, "record", None)
        if record is not None:
            status, color = _status(record)
            rest = self._request(record, len(clock) + len(status) + 2)
        elif (http := http_fields(entry)) is not None:
            status, color = str(http["status"]), _status_color(http["status"])
            rest = self._http(http, len(clock) + len(status) + 2)
        else:
            text = escape_controls(super().format(entry))
            return mask(f"{clock} {self._level(entry)} {text}")
        return mask(f"{clock} {self._colored(status, color)} {rest}".rstrip())

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the message as a single line, so that it cannot look like several entries."""
        return super().formatMessage(record).replace("\n", "\\n")

    def _time(self, second: int) -> str:
        if second != self._second:  # formatting the time is a quarter of the work for a line
            self._second = second
            self._clock = datetime.fromtimestamp(second).strftime(self._clock_format)
        return self._clock

    def _level(self, entry: logging.LogRecord) -> str:
        return self._colored(entry.levelname.lower(), "yellow")

    def _colored(self, text: str, color: str) -> str:
        return f"{_COLORS[color]}{text}{_RESET}" if self._color else text

    def _request(self, record: "RequestRecord", start: int) -> str:
        """Return a request's line without its beginning, which takes up `start` characters."""
        text = _GAP.join(_facts(record))
        if record.error:
            # The client receives the same id, so a bug report can be matched with this line.
            text += f", {self._id(record.request_id, start + len(text) + 2)}"
        details = _details(record)
        screen = self._width()
        if screen is None:
            return _GAP.join((text, *details))
        for detail in details:
            if start + len(text) + len(_GAP) + len(detail) > screen:
                break
            text += _GAP + detail
        return text

    def _http(self, http: dict[str, Any], start: int) -> str:
        """Like `_request`, but for a request without a record."""
        key = ("key", http["key"]) if http["key"] else ()
        failure = (http["error"],) if "error" in http else ()
        text = " ".join((http["method"], http["path"], *key, *failure))
        return f"{text} {self._id(http['request_id'], start + len(text) + 1)}" if failure else text

    def _id(self, request_id: str, start: int) -> str:
        """Return a request's id, shortened if it does not fit into a line after `start`
        characters."""
        screen = self._width()
        fits = screen is None or start + len(request_id) <= screen
        return request_id if fits else request_id[:_SHORT_ID]


def _status(record: "RequestRecord") -> tuple[str, str]:
    """Return the status and its color."""
    if record.status >= 400 or not (record.error or record.client_gone):
        return str(record.status), _status_color(record.status)
    return "cut", "red" if record.error else "yellow"


def _status_color(status: int) -> str:
    return "green" if status < 400 else "yellow" if status < 500 else "red"


def _facts(record: "RequestRecord") -> list[str]:
    """Return the parts of a line that are always shown."""
    parts = [printable(record.model or "-", _MAX_NAME).ljust(_NAME_WIDTH)]
    if cost := _cost(record):
        parts.append(cost)
    if not record.local:
        digits = 2 if record.duration < 10 else 0
        parts.append(f"{record.duration:.{digits}f}s")
    # The counts of an incomplete answer are too low, and after an error, the id needs the room.
    is_whole = not (record.error or record.client_gone)
    if is_whole and (tokens := _tokens(record)):
        parts.append(tokens)
    if remarks := _remarks(record):
        parts.append(", ".join(remarks))
    return parts


def _remarks(record: "RequestRecord") -> list[str]:
    remarks = [f"key {record.key}"] if record.key else []
    if record.error:
        remarks.append(record.error)
    if record.local:
        remarks.append("not sent")
    if record.client_gone:
        remarks.append("client disconnected")
    if record.notes and record.error != _BUDGET_EXCEEDED:
        remarks.append(f"{len(record.notes)} note{'s' if len(record.notes) > 1 else ''}")
        if record.sent_notes is not None:
            # The client has not seen these notes, which were added after the headers were sent.
            remarks += [printable(note, _MAX_NOTE) for note in record.notes[record.sent_notes :]]
    return remarks


def _details(record: "RequestRecord") -> list[str]:
    """Return the parts that are shown if there is room for them."""
    details = []
    if record.first_token is not None and record.stream:
        details.append(f"first {record.first_token:.2f}s")
    # Show the route only if it differs from the client's API.
    if record.route and record.route != record.api:
        details.append(f"via {record.route}")
    if size := _request_size(record):
        details.append(size)
    return details


def _cost(record: "RequestRecord") -> str:
    """Return the cost, which is an estimate if the answer was incomplete; "" if it is unknown."""
    from copilot_proxy.relay.costs import cost_of

    if (nano := known_cost(record)) is not None:
        return f"{rounded(nano)} credits"
    if record.error or record.client_gone:
        cost = cost_of(record)
        if cost.source == "estimated" and cost.nano is not None:
            return f"about {rounded(cost.nano)} credits"
    return ""


def _request_size(record: "RequestRecord") -> str:
    """Return the size, such as ``3 msgs 2 tools 1 image 12 kB stream high``; zeros are omitted."""
    words = [_many(record.items, record.noun)] if record.items else []
    if record.tools:
        words.append(_many(record.tools, "tool"))
    if record.images:
        words.append(_many(record.images, "image"))
    if record.body_bytes:
        words.append(_size(record.body_bytes))
    if record.stream:
        words.append("stream")
    if record.effort:
        words.append(printable(record.effort, 10))
    return " ".join(words)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}s" if count > 1 else f"{count} {noun}"


def _size(count: int) -> str:
    for unit in ("B", "kB"):
        if count < 1000:
            return f"{count} {unit}"
        count = round(count / 1000)
    return f"{count} MB"


def _tokens(record: "RequestRecord") -> str:
    if record.usage is None:
        from copilot_proxy.relay.costs import COUNT_TOKENS, INPUT_TOKENS

        return "tokens counted" if record.api in (COUNT_TOKENS, INPUT_TOKENS) else ""
    count = token_counts(record)
    prompt, read = count["tokens_in"] or 0, count["tokens_cached"]
    cached = f" ({percent(100 * read / prompt)} cached)" if read and prompt else ""
    return f"{short_count(prompt)} in{cached} {short_count(count['tokens_out'] or 0)} out"
