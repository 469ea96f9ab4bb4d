"""Formats log lines as text in columns, one line per request."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from copilot_proxy.cost.nano_aiu import reported_credits
from copilot_proxy.logs.fields import http_fields, printable, token_counts
from copilot_proxy.logs.reporter import STOPPED
from copilot_proxy.masking import mask
from copilot_proxy.terminal import escape_controls

if TYPE_CHECKING:
    from copilot_proxy.relay.records import RequestRecord

_COLORS: Final = {"green": "\x1b[32m", "yellow": "\x1b[33m", "red": "\x1b[31m"}
_RESET: Final = "\x1b[0m"
_NAME_WIDTH: Final = 24
_MAX_NOTE: Final = 120


class TextFormatter(logging.Formatter):
    """``15:40:31 200 claude-sonnet-4.5  1.20s  first 0.31s  in 12 out 26  3 msgs 2 tools``.

    With `dated`, lines start with the date. With `announce`, a record's `announcement`, which is
    text for the user who started the server, is shown unchanged.
    """

    def __init__(self, *, color: bool = False, dated: bool = False, announce: bool = False) -> None:
        super().__init__()
        self._color = color
        self._announce = announce
        self._clock_format = "%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S"
        self._second, self._clock = -1, ""
        """The second of the last line, and its formatted text."""

    def format(self, entry: logging.LogRecord) -> str:
        announcement: str | None = getattr(entry, "announcement", None)
        if self._announce and announcement is not None:
            return announcement
        clock = self._time(int(entry.created))
        record: RequestRecord | None = getattr(entry, "record", None)
        if record is not None:
            status, rest = record.status, _request_columns(record)
        elif (http := http_fields(entry)) is not None:
            status, rest = http["status"], _http_columns(http)
        else:
            text = escape_controls(super().format(entry))
            return mask(f"{clock} {self._level(entry)} {text}")
        return mask(f"{clock} {self._status(status)} {rest}".rstrip())

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the message as a single line, so that it cannot look like several entries."""
        return super().formatMessage(record).replace("\n", "\\n")

    def _time(self, second: int) -> str:
        if second != self._second:  # formatting it takes a quarter of the time for a line
            self._second = second
            self._clock = datetime.fromtimestamp(second).strftime(self._clock_format)
        return self._clock

    def _level(self, entry: logging.LogRecord) -> str:
        text = entry.levelname.lower()
        return f"{_COLORS['yellow']}{text}{_RESET}" if self._color else text

    def _status(self, status: int) -> str:
        if not self._color:
            return str(status)
        color = "green" if status < 400 else "yellow" if status < 500 else "red"
        return f"{_COLORS[color]}{status}{_RESET}"


def _request_columns(record: "RequestRecord") -> str:
    first = record.first_token
    # Show the route only if it differs from the client's API.
    route = record.route if record.route != record.api else None
    remarks = [f"key {record.key}"] if record.key else []
    remarks += filter(None, (_request_size(record), route, _counted(record), _failure(record)))
    if record.local:
        remarks.append("not sent")
    if record.client_gone:
        remarks.append("client disconnected")
    if record.notes:
        remarks.append(f"{len(record.notes)} note{'s' if len(record.notes) > 1 else ''}")
        if record.sent_notes is not None:
            # The client cannot see these, because they were added after the headers.
            remarks += [printable(note, _MAX_NOTE) for note in record.notes[record.sent_notes :]]
    if (credits := reported_credits(record.copilot_usage)) is not None:
        remarks.append(_credits(credits))
    if record.error:
        # The client gets the id, too, so that a bug report can be matched with this line.
        remarks.append(record.request_id)
    name = printable(record.model or "-", _NAME_WIDTH)
    times = f"{record.duration:6.2f}s {'' if first is None else f'first {first:.2f}s':>12}"
    return f"{name:<{_NAME_WIDTH}} {times}  {_tokens(record):<26} {', '.join(remarks)}"


def _counted(record: "RequestRecord") -> str | None:
    if record.usage is not None:
        return None
    from copilot_proxy.relay.costs import COUNT_TOKENS, INPUT_TOKENS

    return "tokens counted" if record.api in (COUNT_TOKENS, INPUT_TOKENS) else None


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


def _credits(value: float) -> str:
    """Return a cost with three significant digits, or all digits before the decimal point, such as
    ``0.0125 credits``."""
    text = f"{value:.0f}" if value >= 999.5 else f"{value:.3g}"
    return f"{text} credit{'' if text == '1' else 's'}"


def _size(count: int) -> str:
    for unit in ("B", "kB"):
        if count < 1000:
            return f"{count} {unit}"
        count = round(count / 1000)
    return f"{count} MB"


def _failure(record: "RequestRecord") -> str | None:
    return f"cut: {STOPPED}" if record.error == STOPPED else record.error


def _tokens(record: "RequestRecord") -> str:
    if record.usage is None:
        return ""
    count = token_counts(record)
    cached = f" ({count['tokens_cached']} cached)" if count["tokens_cached"] else ""
    return f"in {count['tokens_in']}{cached} out {count['tokens_out']}"


def _http_columns(http: dict[str, Any]) -> str:
    key = ("key", http["key"]) if http["key"] else ()
    failure = (http["error"], http["request_id"]) if "error" in http else ()
    return " ".join((http["method"], http["path"], *key, *failure))
