"""A request on a connection and its response: uvicorn's cycle, but with a cheaper `send`.

uvicorn checks every header name and value with regular expressions, and handles every event of a
stream like any other message. uvicorn's own `send` still handles rare cases.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from copilot_proxy.asgi import BODY_WRITER

_WITHOUT_BODY: Final = (None, 204, 304)
_HANDLED_BY_UVICORN: Final = frozenset((b"connection", b"transfer-encoding"))
"""Headers that affect how a response is sent."""


class ResponseCycle(RequestResponseCycle):
    """uvicorn's cycle, for applications whose header names are in lowercase.

    The head is sent together with the first part of the body if that follows immediately. The
    cycle is also the `BodyWriter` of a streamed response.
    """

    _is_common = False
    """Whether the response has started, and is sent by this class rather than uvicorn's."""
    _head = b""
    """The head, until it is sent."""

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self._is_common and message["type"] == "http.response.body":
            self._write(message.get("body", b""), is_last=not message.get("more_body"))
        elif not self.response_started and self._may_start(message):
            self._start(message["status"], [*self.default_headers, *message["headers"]])
        else:
            await super().send(message)

    def is_ready(self) -> bool:
        """Return whether a part of a streamed body can be written now."""
        return self._is_common and not self.flow.write_paused and not self.disconnected

    def write(self, data: bytes) -> bool:
        """Write a part of a streamed body if that is possible now; return whether it was
        written."""
        if not self._is_common or self.flow.write_paused or self.disconnected:
            return False  # not `is_ready`, which would cost one more call for each event
        if self._head or not data:
            self._write(data, is_last=False)
        else:  # what `_write` would do
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def _may_start(self, message: Any) -> bool:
        """Return whether `message` starts a response with a body, on a connection that stays
        open."""
        return (
            self.keep_alive
            and self.chunked_encoding is None
            and self.scope["method"] != "HEAD"
            and message.get("status") not in _WITHOUT_BODY
            and _HANDLED_BY_UVICORN.isdisjoint(dict(message.get("headers", ())))
        )

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        lines = [*map(b": ".join, headers)]
        joined = b"".join(lines)
        if b"\n" in joined or b"\r" in joined or b"\0" in joined:
            # A header must not be able to start another header, or the body (RFC 9110, section
            # 5.5).
            raise RuntimeError("A header has an invalid character.")
        self.response_started = self._is_common = True
        self.waiting_for_100_continue = False
        length = dict(headers).get(b"content-length")
        self.chunked_encoding = length is None
        if length is None:
            lines.append(b"transfer-encoding: chunked")
            self.scope["state"][BODY_WRITER] = self
        else:
            self.expected_content_length = int(length)
        self._head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(lines))
        if length is None:  # otherwise the body follows immediately
            asyncio.get_running_loop().call_soon(self._send_head)

    def _send_head(self) -> None:
        if self._head and not self.disconnected:
            self.transport.write(self._head)
        self._head = b""

    def _write(self, body: bytes, *, is_last: bool) -> None:
        if self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if is_last:
                body += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (is_last and self.expected_content_length):
                raise RuntimeError("The length of the body does not match its header.")
        if self._head:
            body, self._head = self._head + body, b""
        self.transport.write(body)
        if is_last:
            self._is_common = False
            self.response_complete = True
            self.scope["state"].pop(BODY_WRITER, None)
            self.message_event.set()
            if not self.keep_alive:  # the server is shutting down
                self.transport.close()
            self.on_response()


class AnyLength(int):
    """The length of a body that ends with the connection (RFC 9112, section 6.3). uvicorn compares
    the number of bytes sent with this length, which equals any number."""

    def __lt__(self, sent: int) -> bool:
        return False

    def __sub__(self, sent: int) -> "AnyLength":
        return self

    def __ne__(self, remaining: object) -> bool:
        return False
