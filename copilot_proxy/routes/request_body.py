"""Reads a request's body, within a limit, and unpacks it."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final

from litestar.types import Receive

from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.formats.packed import MOST_MEMBERS, WINDOWS, Unpacker

_SLOWEST: Final = 64 * 1024
"""Bytes a second that a large body has to come at."""


class ClientGone(CopilotProxyError):
    """The client left before it had sent its request; there is nobody to tell."""

    def __init__(self) -> None:
        super().__init__(
            "The client closed the connection.", status=499, code="client_closed_request"
        )


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], *, limit: int, patience: float
) -> bytes:
    """The unpacked body.

    Raises `RequestError`: 413 before more than `limit` bytes are read, 408 if it has not arrived
    within `patience` seconds, and one more for each 64 KiB that came.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = await _received(receive, limit, patience)
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    return body if encoding in ("", "identity") else _unpacked(body, encoding, limit)


async def _received(receive: Receive, limit: int, patience: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(patience) as clock:
            end = clock.when() or 0.0
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                part = message["body"]
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
                if not message.get("more_body"):
                    return b"".join(parts)
                clock.reschedule(end + size / _SLOWEST)
    except TimeoutError:
        raise _too_slow(size) from None


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding not in WINDOWS:
        raise RequestError(
            f"The body's encoding {encoding[:40]!r} is not supported.",
            status=415,
            hint="Send it plain, or as gzip or deflate.",
        )
    unpacker = Unpacker(encoding)
    parts: list[bytes] = []
    left = limit
    try:
        for part in unpacker.feed(body):
            parts.append(part)
            left -= len(part)
            if left < 0:
                raise _too_large(limit)
    except zlib.error:
        raise RequestError(
            f"The body is not valid {encoding}, or more than that.",
            hint=f"Send one body, as gzip of at most {MOST_MEMBERS} members.",
        ) from None
    if not unpacker.is_complete:
        raise RequestError(f"The body's {encoding} data is not complete.")
    return b"".join(parts)


def _too_large(limit: int) -> RequestError:
    return RequestError(
        f"The body is larger than {limit} bytes.",
        status=413,
        hint="Send smaller or fewer images. COPILOT_PROXY_MAX_BODY_BYTES sets the limit.",
    )


def _too_slow(size: int) -> RequestError:
    return RequestError(
        f"The body did not arrive in time; {size} bytes of it did.",
        status=408,
        code="request_timeout",
        hint="Send it faster, or set COPILOT_PROXY_RECEIVE_TIMEOUT to more seconds.",
        headers={"connection": "close"},
    )
