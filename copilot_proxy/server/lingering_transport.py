"""Closes a connection only after the entire request has arrived, so that the client sees the
response."""

import asyncio
from typing import Any


class LingeringTransport:
    """The transport for a request whose connection will be closed after the response.

    If part of the request has not been read by then, closing the connection would reset it, and the
    client, which is still sending, would not see the response (RFC 9112, section 9.6). Therefore,
    only the server's side is closed at first, and the protocol closes the other side once the
    entire request has arrived.
    """

    def __init__(self, transport: asyncio.Transport, cycle: Any) -> None:
        self._transport = transport
        self._cycle = cycle
        self.write = transport.write
        self.is_closing = transport.is_closing

    def close(self) -> None:
        """Close the connection, or only the server's side of it if there is more to read."""
        if not self._cycle.more_body or self._transport.is_closing():
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()
