"""An accepted answer of Copilot's, read as events or whole, within bounds."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import httpx
import msgspec

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.lenient_json import decode_leniently
from copilot_proxy.formats.packed import Unpacker
from copilot_proxy.formats.sse import EventDecoder, EventTooLarge
from copilot_proxy.upstreams.http.transport import HttpResponse

_MOST_WHOLE_BYTES: Final = 64 * 1024 * 1024
"""Of an answer that is not streamed; the longest are embeddings, of some 20 MB."""
_DRAIN: Final = 0.3
"""Seconds for what follows a complete answer: its last, empty piece, as a rule."""


class CopilotResponse:
    """An accepted answer of Copilot's, still on the wire."""

    def __init__(self, response: HttpResponse, *, asked_for_stream: bool) -> None:
        self._response = response
        self.headers = response.headers
        self.is_stream = _is_stream(response.headers, asked_for_stream)
        self._read = unpacking(response)
        self._decoder = EventDecoder()
        self._is_complete = False

    async def whole(self) -> Any:
        """The decoded body."""
        parts: list[bytes] = []
        size = 0
        try:
            while chunk := await self._read():
                parts.append(chunk)
                size += len(chunk)
                if size > _MOST_WHOLE_BYTES:
                    raise BrokenResponse(
                        f"Copilot sent an answer of more than {_MOST_WHOLE_BYTES} bytes."
                    )
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _cut(error) from error
        return decoded(b"".join(parts))

    async def events(self) -> list[bytes]:
        """The data of the next events; empty at the end."""
        try:
            while chunk := await self._read():
                if events := self._decoder.feed(chunk):
                    return events
        except EventTooLarge as error:
            raise BrokenResponse(f"Copilot sent {error}.") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _cut(error) from error
        return []

    def finish(self) -> None:
        """The answer is complete: nothing of worth is left on the wire."""
        self._is_complete = True

    async def aclose(self) -> None:
        """Ends the answer; a complete one in a way that lets the connection be used again."""
        try:
            if self._is_complete:
                with contextlib.suppress(TimeoutError, httpx.HTTPError, httpx.StreamError):
                    async with asyncio.timeout(_DRAIN):
                        while await self._read():
                            pass
        finally:
            # Also when the client leaves meanwhile, as those do that have all they wanted.
            await self._response.aclose()


def decoded(body: bytes) -> Any:
    """The JSON of an accepted answer in one piece; raises `BrokenResponse`."""
    if not body.strip():
        raise BrokenResponse("Copilot sent an empty answer.", hint="Try again.")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        with contextlib.suppress(ValueError):
            return decode_leniently(body)
        if body[:200].lstrip().lower().startswith((b"<!doctype", b"<html")):
            raise BrokenResponse(
                "A web page came instead of Copilot's answer.",
                hint="A proxy on the way may have sent it: check HTTPS_PROXY.",
            ) from None
        raise BrokenResponse("Copilot's answer is not valid JSON.", hint="Try again.") from None


def unpacking(response: HttpResponse) -> Callable[[], Awaitable[bytes]]:
    """How to read the body of `response` as it was before it was packed, if it was; empty at the
    end. Raises `httpx.HTTPError`."""
    packing = response.headers.get("content-encoding")
    if packing is None:
        return response.read
    if (encoding := packing.strip().lower()) in ("gzip", "x-gzip"):
        return _unpacking_gzip(response, Unpacker(encoding))
    headers = {b"content-encoding": packing.encode("latin-1")}
    unpacked = httpx.Response(200, headers=headers, stream=_Packed(response)).aiter_bytes()

    async def read() -> bytes:
        return await anext(unpacked, b"")

    return read


def _unpacking_gzip(response: HttpResponse, unpacker: Unpacker) -> Callable[[], Awaitable[bytes]]:
    """httpx stops in silence after the first of several members."""

    async def read() -> bytes:
        while piece := await response.read():
            try:
                if plain := b"".join(unpacker.feed(piece)):
                    return plain
            except zlib.error as error:
                raise httpx.DecodingError(str(error)) from error
        return b""

    return read


class _Packed(httpx.AsyncByteStream):
    def __init__(self, response: HttpResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._response.read():
            yield piece


def _is_stream(headers: Mapping[str, str], asked: bool) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return True
    return asked and kind not in ("application/json", "text/html")


def _cut(error: Exception) -> BrokenResponse:
    if isinstance(error, httpx.TimeoutException):
        return BrokenResponse(
            "Copilot fell silent in the middle of its answer.",
            hint="Try again; COPILOT_PROXY_READ_TIMEOUT sets how long is waited.",
        )
    return BrokenResponse(
        "The connection to Copilot broke in the middle of its answer.",
        hint="What came so far may be incomplete. Try again.",
    )
