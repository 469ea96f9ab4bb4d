"""Writes a request to a connection, either in a single write or in parts."""

import asyncio
from typing import Final

MAX_JOINED: Final = 16 * 1024
"""Maximum size in bytes of a body sent in a single write with its headers: one TLS record."""
PIECE: Final = 64 * 1024
"""The number of bytes of a larger body to encrypt at a time. Each part is sent while the next one
is encrypted. The connection keeps a buffer that is as large as the largest part."""


def write_request(transport: asyncio.Transport, head: bytes, body: bytes) -> None:
    """Write an entire request, unless the connection is lost in the meantime."""
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
