"""Log lines: one a request, as text for a person or as JSON for a program; no secret gets in."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from copilot_proxy.formats.copilot_usage import credits_of
from copilot_proxy.logs.stderr import StderrHandler
from copilot_proxy.masking import mask
from copilot_proxy.terminal import can_style

if TYPE_CHECKING:
    from copilot_proxy.relay.records import RequestContext, RequestRecord

_REQUESTS: Final = "copilot_proxy.requests"
_VISITS: Final = "copilot_proxy.middleware.access"
_SERVER: Final = "uvicorn.error"
_UVICORNS: Final = (
    "Unsupported upgrade request",
    "No supported WebSocket library",
    "Invalid HTTP request",
)
"""How lines of uvicorn's begin where ours, or the answer, say more."""
STOPPED: Final = "server_stopped"
"""The error of an answer that was cut because the server had to end."""
_ITEMS: Final = {"responses": "item", "embeddings": "input"}
"""What is counted, where it is not messages."""
_COLOURS: Final = {"green": "\x1b[32m", "yellow": "\x1b[33m", "red": "\x1b[31m"}
_RESET: Final = "\x1b[0m"
_LONGEST_NAME: Final = 24
_LONGEST_PATH: Final = 80
_LONGEST_MODEL: Final = 256
_LONGEST_VALUE: Final = 16 * 1024
"""Characters of one value in JSON, such as a traceback."""


class Reporter:
    """Takes the record of each request that the relay has ended, and writes its line."""

    def __init__(self) -> None:
        self.stopped = False
        """Whether the server has let go of what was still open."""

    def __call__(self, record: "RequestRecord") -> None:
        if self.stopped and record.client_gone:
            record.client_gone, record.error = False, STOPPED
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nothing runs any more
            _tell(record)
        else:
            # The next turn of the loop is soon enough: the end of the answer leaves before it.
            loop.call_soon(_tell, record)


def _tell(record: "RequestRecord") -> None:
    logging.getLogger(_REQUESTS).info("request", extra={"record": record})


@contextmanager
def logging_to_stderr(
    form: str, reporter: Reporter, file: logging.Handler | None = None
) -> Iterator[None]:
    """Sends everything that is logged while the block runs to stderr, as `form` text or json, and
    to `file`."""
    screen = StderrHandler()
    screen.setFormatter(_Json() if form == "json" else _Text(colour=can_style()))
    # On stderr the person has read it already, in more words.
    screen.addFilter(lambda entry: not getattr(entry, "said", False))
    if file is not None:
        file.setFormatter(_Json() if form == "json" else _Text(dated=True))
    handlers = [screen, *([file] if file is not None else ())]
    levels = {
        "": logging.WARNING,
        _REQUESTS: logging.INFO,
        "copilot_proxy.cli": logging.INFO,
        "copilot_proxy.server": logging.INFO,
        _VISITS: logging.INFO,
    }
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in levels]
    for handler in handlers:
        handler.addFilter(lambda entry: _is_news(entry, reporter))
        logging.getLogger().addHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for handler in handlers:
            logging.getLogger().removeHandler(handler)
        for logger, level in before:
            logger.setLevel(level)


def _is_news(entry: logging.LogRecord, reporter: Reporter) -> bool:
    if entry.name == _SERVER and entry.getMessage().startswith(_UVICORNS):
        return False
    # What was cut off when the server stopped is told in the line of its request.
    cancelled = entry.exc_info and entry.exc_info[0] and entry.exc_info[0].__name__
    return not (reporter.stopped and (cancelled == "CancelledError" or entry.name == "asyncio"))


class _Text(logging.Formatter):
    """``15:40:31 200 claude-sonnet-4.5  1.20s  first 0.31s  in 12 out 26  3 msgs 2 tools``."""

    def __init__(self, *, colour: bool = False, dated: bool = False) -> None:
        super().__init__()
        self._colour = colour
        self._clock = "%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S"

    def format(self, entry: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(entry.created).strftime(self._clock)
        record: RequestRecord | None = getattr(entry, "record", None)
        if record is not None:
            status, rest = record.status, _columns(record)
        elif (visit := _visit(entry)) is not None:
            status, rest = visit["status"], _told(visit)
        else:
            return mask(f"{clock} {self._level(entry)} {super().format(entry)}")
        return mask(f"{clock} {self._status(status)} {rest}".rstrip())

    def _level(self, entry: logging.LogRecord) -> str:
        text = entry.levelname.lower()
        return f"{_COLOURS['yellow']}{text}{_RESET}" if self._colour else text

    def _status(self, status: int) -> str:
        if not self._colour:
            return str(status)
        colour = "green" if status < 400 else "yellow" if status < 500 else "red"
        return f"{_COLOURS[colour]}{status}{_RESET}"


def _columns(record: "RequestRecord") -> str:
    name = _printable(record.model or "-", _LONGEST_NAME)
    first = "" if record.first_token is None else f"first {record.first_token:.2f}s"
    # The route goes without saying where it is the API that the client asked on.
    route = record.route if record.route != record.api else None
    key = f"key {record.key}" if record.key else None
    remarks = [key, _shape(record), route, _failure(record)]
    if record.local:
        remarks.append("not asked")
    if record.client_gone:
        remarks.append("client left")
    if record.notes:
        remarks.append(f"{len(record.notes)} note{'s' if len(record.notes) > 1 else ''}")
    if (credits := credits_of(record.copilot_usage)) is not None:
        remarks.append(f"{credits:.3g} credits")
    if record.error:
        # What the client was told, so that one finds the line again.
        remarks.append(record.request_id)
    told = ", ".join(remark for remark in remarks if remark)
    times = f"{record.duration:>6.2f}s {first:>12}"
    return f"{name:<{_LONGEST_NAME}} {times}  {_tokens(record):<26} {told}"


def _shape(record: "RequestRecord") -> str:
    """``3 msgs 2 tools 1 image 12 kB stream high``; without what there is none of."""
    name = _ITEMS.get(record.api, "msg")
    counts = ((record.items, name), (record.tools, "tool"), (record.images, "image"))
    words = [f"{count} {one}{'s' if count > 1 else ''}" for count, one in counts if count]
    if record.body_bytes:
        words.append(_size(record.body_bytes))
    words += ["stream"] if record.stream else []
    words += [_printable(record.effort, 10)] if record.effort else []
    return " ".join(words)


def _size(count: int) -> str:
    for unit in ("B", "kB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = round(count / 1000)
    return f"{count} MB"


def _failure(record: "RequestRecord") -> str | None:
    return f"cut: {STOPPED}" if record.error == STOPPED else record.error


def _tokens(record: "RequestRecord") -> str:
    if record.usage is None:
        return ""
    count = _counts(record)
    cached = f" ({count['tokens_cached']} cached)" if count["tokens_cached"] else ""
    return f"in {count['tokens_in']}{cached} out {count['tokens_out']}"


class _Json(logging.Formatter):
    """One object a line; `event` says which keys it has, and those are always all there."""

    def format(self, entry: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(entry.created, UTC).isoformat(timespec="milliseconds"),
            "level": entry.levelname.lower(),
        }
        record: RequestRecord | None = getattr(entry, "record", None)
        if record is not None:
            line |= {"event": "request", **_fields(record)}
        elif (visit := _visit(entry)) is not None:
            line |= {"event": "http", **visit}
        else:
            line |= {"event": "log", "logger": entry.name, "message": mask(entry.getMessage())}
            line |= getattr(entry, "fields", {})
            if entry.exc_info:
                line["traceback"] = mask(self.formatException(entry.exc_info))
        # Each value by itself: what is masked must not take the syntax along.
        return json.dumps({key: _masked(value) for key, value in line.items()})


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return mask(value)[:_LONGEST_VALUE] if isinstance(value, str) else value


def _fields(record: "RequestRecord") -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "key": record.key,
        "api": record.api,
        "route": record.route,
        "model": _printable(record.model, _LONGEST_MODEL) if record.model else record.model,
        "stream": record.stream,
        "items": record.items,
        "tools": record.tools,
        "images": record.images,
        "body_bytes": record.body_bytes,
        "effort": _printable(record.effort, 10) if record.effort else None,
        "initiator": record.initiator,
        "status": record.status,
        "error": record.error,
        "local": record.local,
        "client_left": record.client_gone,
        "first_token": _rounded(record.first_token),
        "duration": _rounded(record.duration),
        **_counts(record),
        "credits": credits_of(record.copilot_usage),
        "notes": record.notes,
    }


def _counts(record: "RequestRecord") -> dict[str, int | None]:
    usage = record.usage or {}
    details = usage.get("prompt_tokens_details") or {}
    return {
        "tokens_in": usage.get("prompt_tokens"),
        "tokens_cached": details.get("cached_tokens"),
        "tokens_out": usage.get("completion_tokens"),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _visit(entry: logging.LogRecord) -> dict[str, Any] | None:
    """The fields of a request without a `RequestRecord`; None for any other entry."""
    visit: RequestContext | None = getattr(entry, "context", None)
    if visit is None:
        return None
    told = {
        "method": _printable(visit.method, 10),
        "path": _printable(quote(visit.path, errors="replace"), _LONGEST_PATH),
        "status": visit.status,
        "key": visit.key.name if visit.key else None,
    }
    # What the client was told, so that one finds the line again.
    failure = {"error": visit.error, "request_id": visit.request_id} if visit.error else {}
    return told | failure


def _told(visit: dict[str, Any]) -> str:
    key = ("key", visit["key"]) if visit["key"] else ()
    failure = (visit["error"], visit["request_id"]) if "error" in visit else ()
    return " ".join((visit["method"], visit["path"], *key, *failure))


def _printable(text: str, longest: int) -> str:
    """One short line: what a client sends must not move the cursor or fake other lines."""
    line = text[:longest]
    if not line.isprintable():
        line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(text) <= longest else line[:-1] + "…"
