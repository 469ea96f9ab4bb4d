"""Decodes and encodes server-sent events, incrementally and with a size limit.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream. The
decoder only returns the data of events, because the JSON in the data contains the event's type.
"""

import re
from functools import lru_cache
from typing import Final

from copilot_proxy.formats.line_json import encode_line
from copilot_proxy.formats.sizes import size_text
from copilot_proxy.formats.types import ClientEvent

DEFAULT_LIMIT: Final = 16 * 1024 * 1024
"""Maximum size of an event in bytes."""

DONE: Final = b"[DONE]"
"""The data of the event that ends a Chat Completions stream."""

CONTENT_TYPE: Final = b"text/event-stream; charset=utf-8"

KEEP_ALIVE: Final = b": keep-alive\n\n"
"""A comment, which clients ignore."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.]{1,100}")
_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event exceeds the size limit."""


class EventDecoder:
    """Decodes a stream of bytes, in chunks of any size, into its events."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._line: list[bytes] = []  # chunks of an incomplete line
        self._line_size = 0
        self._size = 0  # bytes of the complete lines of the current event
        self._data: list[bytes] = []
        self._skip_newline = False  # the last byte was CR: a following LF belongs to it
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that `chunk` completes.

        Raises `EventTooLarge` if the current event exceeds the limit.
        """
        if self._at_start and chunk:
            chunk = self._without_bom(chunk)
        if self._skip_newline and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skip_newline = False
        if b"\r" in chunk:
            self._skip_newline = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # Complete events of one line each, as Copilot's chat API sends them.
        if (
            chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
            and not (self._line or self._data)
        ):
            if chunk.find(b"\n") == len(chunk) - 2:
                return [chunk[6:-2]]
            parts = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") == 2 * len(parts):
                return parts

        lines = chunk.split(b"\n")
        rest = lines.pop()
        events: list[bytes] = []
        for line in lines:
            if self._line:
                self._line.append(line)
                line = b"".join(self._line)
                self._line, self._line_size = [], 0
            if line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._data.append(value)
                self._size += len(value) + 1
            elif not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                    self._data, self._size = [], 0
            elif line == b"data":
                self._data.append(b"")
                self._size += 1
        if rest:
            self._line.append(rest)
            self._line_size += len(rest)
        if self._size + self._line_size > self._limit:
            raise EventTooLarge(f"an event of more than {size_text(self._limit)}")
        return events

    def _without_bom(self, chunk: bytes) -> bytes:
        """Return the buffered bytes and `chunk` without a leading BOM, or b"" while it is unclear
        whether they start with one."""
        chunk = b"".join(self._line) + chunk
        self._line = []
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._line = [chunk]
            return b""
        self._at_start = False
        return chunk.removeprefix(_BOM)


def encode(data: bytes, event: str = "") -> bytes:
    """Encode an event; `data` must be a single line, such as JSON without indentation.

    `event` may come from Copilot. A name that does not look like an event name is left out, because
    it could end its line and start another event.
    """
    return b"%bdata: %b\n\n" % (_event_line(event), data)


@lru_cache(maxsize=256)
def _event_line(event: str) -> bytes:
    return b"event: %b\n" % event.encode() if _NAME.fullmatch(event) else b""


unnamed: Final = b"data: %b\n\n".__mod__
"""Encodes an event that only has data, which must be a single line. Most events pass through this,
so it is a method of `bytes`, which is faster than a function in Python."""


def unnamed_json(event: ClientEvent) -> bytes:
    """Encode a Chat Completions event, which only has data."""
    return unnamed(encode_line(event))


def named_json(event: ClientEvent) -> bytes:
    """Encode an event of Responses or Messages, using its type as its name."""
    return encode(encode_line(event), str(event["type"]))
