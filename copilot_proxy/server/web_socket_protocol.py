"""uvicorn's WebSocket protocol, modified to finish open responses when the server stops.

Imported when the first client opens a WebSocket, because loading the library takes time.
"""

import asyncio
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from copilot_proxy.routes.web_socket import SHUTDOWN
from copilot_proxy.server import malformed_requests

_CLOSE_TIMEOUT = 0.5
"""Seconds for a client to confirm the end of the connection when the server stops."""


class DrainingWebSocket(WebSocketsSansIOProtocol):
    """Notifies the application that the server is stopping, instead of closing the connection."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._shutdown = asyncio.Event()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            # The application starts in the next iteration of the event loop.
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[SHUTDOWN] = self._shutdown

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # A line of the handshake is too long for the library, and uvicorn would not respond.
            client = self.client[0] if self.client else None
            self.transport.write(malformed_requests.response(malformed_requests.invalid(), client))
            self.transport.close()

    def handle_text(self, event: Frame) -> None:
        # The application accepts bytes. Decoding a large message here would delay other requests.
        self.handle_bytes(event)

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            # The client does not read, and must not exhaust memory with pongs.
            self.conn.data_to_send()

    async def send(self, message: Any) -> None:
        # The state is checked after waiting, because the wait also ends when the connection closes.
        await self.writable.wait()
        if self.close_sent and self.handshake_complete:
            # uvicorn would report a bug in the application, which cannot know yet that the client
            # has gone.
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # Otherwise, uvicorn would report that there was no answer.
            self.handshake_complete = True

    def shutdown(self) -> None:
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        self.close_timeout = _CLOSE_TIMEOUT
        self._shutdown.set()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        # Closing would wait until the client has read everything.
        self.transport.abort()
