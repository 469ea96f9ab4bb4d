"""Receives and decompresses request bodies, within limits of size and time."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from copilot_proxy.asgi import Receive
from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.formats.decompression import (
    ENCODINGS,
    MAX_MEMBERS,
    DecompressionError,
    Decompressor,
    is_installed,
)
from copilot_proxy.formats.sizes import size_text
from copilot_proxy.large_work import run_in_turn

_MIN_RATE: Final = 64 * 1024
"""The minimum rate, in bytes per second, at which a large body must arrive."""
_MAX_ENCODINGS: Final = 2
_MAX_JOINED: Final = 8 * 1024 * 1024
"""Maximum size in bytes of a body whose parts can be joined within a few milliseconds."""
_MAGIC: Final[Mapping[str, bytes]] = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
"""Content encoding -> the first bytes of a body compressed with it."""
_MAGICS: Final = tuple(_MAGIC.values())


class ClientGone(CopilotProxyError):
    """The client disconnected before it sent the entire request, so no response can reach it."""

    def __init__(self) -> None:
        super().__init__(
            "The client closed the connection.", status=499, code="client_closed_request"
        )


async def receive_body(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    *,
    limit: int,
    timeout: float,
    arrived: bytes | None = None,
) -> bytes:
    """Return the decompressed body; `arrived` is the body as sent, if already known.

    Raises `RequestError`: 413 as soon as it is clear that the body has more than `limit` bytes; 408
    if it has not arrived within `timeout` seconds plus one second for each 64 KiB received; 415 for
    an unknown content encoding; 400 for broken compressed data. Raises `ClientGone` if the client
    disconnects.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    if arrived is not None and len(arrived) <= limit:
        body = arrived  # the usual case, which needs no timer
    else:
        body = await _receive_all(receive, limit, timeout)
    encodings = _encodings(headers, body)
    # Decompressed in a thread, because a small body can expand to a large one, and other requests
    # must not wait.
    return await asyncio.to_thread(_decompress, body, encodings, limit) if encodings else body


def _encodings(headers: Mapping[bytes, bytes], body: bytes) -> list[str]:
    """Return the content encodings of a body, in the order in which they were applied.

    Some clients and proxies omit the Content-Encoding header, so the body's first bytes are checked
    as well: JSON never starts like compressed data.
    """
    encodings: list[str] = []
    if (declared := headers.get(b"content-encoding")) is not None:
        names = [name.strip() for name in declared.decode("latin-1").lower().split(",")]
        encodings = [name for name in names if name not in ("", "identity")]
    if not encodings and body.startswith(_MAGICS):
        return [name for name, magic in _MAGIC.items() if body.startswith(magic)]
    for encoding in encodings:
        if encoding not in ENCODINGS:
            raise RequestError(
                f"The content encoding {encoding[:40]!r} is not supported.",
                status=415,
                hint="Send the body uncompressed, or compress it with gzip, deflate, br or zstd.",
            )
        if not is_installed(encoding):
            raise RequestError(
                "The content encoding 'br' needs the package brotli, which is not installed.",
                status=415,
                hint="Send the body uncompressed, or compress it with gzip, deflate or zstd. "
                "Or install this server with brotli: g-copilot-proxy[brotli].",
            )
    if len(encodings) > _MAX_ENCODINGS:
        raise RequestError(
            f"The body is compressed {len(encodings)} times.", status=415, hint="Compress it once."
        )
    return encodings


async def _receive_all(receive: Receive, limit: int, timeout: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout) as deadline:
            end = deadline.when() or 0.0
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
                    break
                deadline.reschedule(end + size / _MIN_RATE)
    except TimeoutError:
        raise _too_slow(size) from None
    # Joining is so fast that only the largest bodies are worth a thread.
    return b"".join(parts) if size < _MAX_JOINED else await run_in_turn(b"".join, parts)


def _decompress(body: bytes, encodings: Sequence[str], limit: int) -> bytes:
    for encoding in reversed(encodings):
        decompressor = Decompressor(encoding)
        parts: list[bytes] = []
        left = limit
        try:
            for part in decompressor.feed(body):
                parts.append(part)
                left -= len(part)
                if left < 0:
                    raise _too_large(limit)
        except DecompressionError:
            raise RequestError(
                f"The body is not valid {encoding}, or is followed by other data.",
                hint=f"Send a single body; it may have at most {MAX_MEMBERS} members or frames.",
            ) from None
        if not decompressor.is_complete:
            raise RequestError(f"The body's {encoding} data is not complete.")
        body = b"".join(parts)
    return body


def _too_large(limit: int) -> RequestError:
    return RequestError(
        f"The body is larger than {size_text(limit)}.",
        status=413,
        code="request_too_large",
        hint="Send smaller or fewer images, or raise the limit with COPILOT_PROXY_MAX_BODY_BYTES.",
    )


def _too_slow(size: int) -> RequestError:
    return RequestError(
        f"The body did not arrive in time: only {size} bytes were received.",
        status=408,
        code="request_timeout",
        hint="Send it faster, or raise the limit with COPILOT_PROXY_RECEIVE_TIMEOUT (seconds).",
        headers={"connection": "close"},
    )
