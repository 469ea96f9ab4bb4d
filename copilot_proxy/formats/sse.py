"""Server-sent events: bytes to the data of events, incrementally and with a size limit, and back.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream;
every other field is skipped: the JSON that is the data says by itself what kind of event it is.
"""

from typing import Any, Final

import msgspec

_encode_json = msgspec.json.Encoder().encode

DEFAULT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes that one event may have before the stream is given up."""

DONE: Final = b"[DONE]"
"""The data of the event that ends a chat completions stream."""

_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event has more bytes than the limit."""


class EventDecoder:
    """Turns the bytes of a stream, cut anywhere, into its events."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._line: list[bytes] = []  # pieces of a line whose end has not come yet
        self._line_size = 0
        self._size = 0  # bytes of the pending event's finished lines
        self._data: list[bytes] = []
        self._skip_newline = False  # the last byte was a CR: a LF right after it ends no new line
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that `chunk` completes.

        Raises `EventTooLarge` when the pending event has outgrown the limit.
        """
        if self._at_start and chunk:
            chunk = self._without_bom(chunk)
        if self._skip_newline and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skip_newline = False
        if b"\r" in chunk:
            self._skip_newline = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

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
            raise EventTooLarge(f"an event of more than {self._limit} bytes")
        return events

    def _without_bom(self, chunk: bytes) -> bytes:
        """`chunk`, joined with what was held back, once it is clear whether a BOM leads it."""
        chunk = b"".join(self._line) + chunk
        self._line = []
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._line = [chunk]
            return b""
        self._at_start = False
        return chunk.removeprefix(_BOM)


def encode(data: bytes, event: str = "") -> bytes:
    """One event as bytes; `data` is a single line, as JSON without indentation is."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data


def unnamed_json(event: dict[str, Any]) -> bytes:
    """An event of chat completions as bytes: data alone."""
    return b"data: %b\n\n" % _encode_json(event)


def named_json(event: dict[str, Any]) -> bytes:
    """An event of Responses or Messages as bytes: its type is its name as well."""
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), _encode_json(event))


def comment(text: str) -> bytes:
    """A comment line, which keeps a silent connection open and which readers skip."""
    return b": %b\n\n" % text.encode()
