"""Bounds the head of a request, which uvicorn's parser would collect without end.

It is read before anybody has shown a key, so that a stranger could otherwise fill the memory.
"""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT: Final = 512 * 1024
"""Bytes; more than one piece that comes from the network at once, which may hold a body as well."""

_ANSWER: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to the patience for headers."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._is_in_head = True
        self._head = 0

    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._head += len(data)
            if self._head > LIMIT:
                self.transport.write(_ANSWER)
                self.transport.close()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._is_in_head = True
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()
