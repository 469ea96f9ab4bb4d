"""Writes a request to a connection, in one write or in pieces."""

import asyncio
from typing import Final

MAX_JOINED: Final = 16 * 1024
"""Bytes of a body that is sent in one write with its headers: the size of a TLS record."""
PIECE: Final = 64 * 1024
"""Bytes of a larger body that are encrypted at a time. Each piece is on its way while the next one
is encrypted. The connection keeps a buffer as large as the largest piece."""


def write_request(transport: asyncio.Transport, head: bytes, body: bytes) -> None:
    """Write a whole request, unless the connection is lost meanwhile."""
    if len(body) <= MAX_JOINED:
        transport.write(head + body)
    elif transport.get_extra_info("ssl_object") is None:
        transport.writelines((head, body))
    else:
        transport.write(head)
        rest = memoryview(body)
        while rest and not transport.is_closing():
            transport.write(rest[:PIECE])
            rest = rest[PIECE:]
