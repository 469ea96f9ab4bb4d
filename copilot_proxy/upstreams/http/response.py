"""A successful response from Copilot, read as a stream of events or as JSON, with size limits."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import httpx
import msgspec

from copilot_proxy.errors import BrokenResponse, UpstreamRefusal
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.decompression import ENCODINGS, DecompressionError, Decompressor
from copilot_proxy.formats.lenient_json import decode_leniently
from copilot_proxy.formats.sizes import size_text
from copilot_proxy.formats.sse import EventDecoder, EventTooLarge
from copilot_proxy.upstreams.base import ignore_refusal
from copilot_proxy.upstreams.http.transport import HttpResponse, receive_by_reading

_Result = TypeVar("_Result")

_MAX_BODY: Final = 64 * 1024 * 1024
"""Maximum size in bytes of a body that is not streamed; embeddings can reach 20 MB."""
_PAUSE_AFTER: Final = 4 * 1024 * 1024
"""Bytes to decompress before other requests get a turn; decompressing them takes about 10 ms."""
_Read = Callable[[], Awaitable[bytes]]
_DRAIN_TIMEOUT: Final = 0.3
"""Seconds for reading the end of a complete response, usually an empty chunk."""


class CopilotResponse:
    """A successful response from Copilot, whose body has not been read."""

    def __init__(
        self,
        response: HttpResponse,
        *,
        stream_requested: bool,
        refused: Callable[[UpstreamRefusal], None] = ignore_refusal,
    ) -> None:
        self.refused = refused
        self._response = response
        self.headers = response.headers
        self.is_stream = _is_stream(response.headers, stream_requested)
        self._read = body_reader(response)
        is_plain = "content-encoding" not in response.headers
        self._receive = response.receive if is_plain else partial(receive_by_reading, self._read)
        self._decoder = EventDecoder()
        self._is_complete = False

    async def whole(self) -> Any:
        """Return the decoded JSON of the body. Raises `BrokenResponse`."""
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := await self._read():
                chunks.append(chunk)
                size += len(chunk)
                if size > _MAX_BODY:
                    raise BrokenResponse(
                        f"Copilot's response is larger than {size_text(_MAX_BODY)}."
                    )
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _interrupted(error) from error
        return decode_body(b"".join(chunks))

    async def receive(self, process: Callable[[list[bytes]], _Result | None]) -> _Result | None:
        """Call `process` with the data of events as they arrive, until it returns a result.

        Returns the result, or None if the events end first. Raises `BrokenResponse`.
        """
        feed = self._decoder.feed

        def decode(chunk: bytes) -> _Result | None:
            events = feed(chunk)
            return process(events) if events else None

        try:
            return await self._receive(decode)
        except EventTooLarge as error:
            raise BrokenResponse(f"Copilot sent {error}.") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _interrupted(error) from error

    def finish(self) -> None:
        """Report that the response is complete, even if its body has not been read to the end."""
        self._is_complete = True

    async def aclose(self) -> None:
        """Close the response. If it is complete, read to its end to make the connection
        reusable."""
        try:
            if self._is_complete:
                with contextlib.suppress(TimeoutError, httpx.HTTPError, httpx.StreamError):
                    async with asyncio.timeout(_DRAIN_TIMEOUT):
                        while await self._read():
                            pass
        finally:
            # This completes even if the client disconnects here, as many clients do after the last
            # event.
            await self._response.aclose()


def decode_body(body: bytes) -> Any:
    """Decode the JSON of a complete response. Raises `BrokenResponse`."""
    if not body.strip():
        raise broken_responses.empty_answer()
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        with contextlib.suppress(ValueError):
            return decode_leniently(body)
        if body[:200].lstrip().lower().startswith((b"<!doctype", b"<html")):
            raise BrokenResponse(
                "A web page was sent instead of Copilot's response.",
                hint="A proxy may have sent the page. Check HTTPS_PROXY.",
            ) from None
        raise BrokenResponse("Copilot's response is not valid JSON.", hint="Try again.") from None


def body_reader(response: HttpResponse) -> _Read:
    """Return a function that reads the next decompressed bytes of the body, or b"" at the end.

    The function returns small chunks, so that a body that expands to gigabytes is noticed in time.
    The function raises `httpx.HTTPError`.
    """
    read: _Read = response.read
    encodings = response.headers.get("content-encoding")
    if encodings is None:
        return read
    for encoding in map(str.strip, reversed(encodings.lower().split(","))):
        if encoding in ENCODINGS:
            read = _decompressing(read, Decompressor(encoding))
    return read


def _decompressing(read: _Read, decompressor: Decompressor) -> _Read:
    """Return a function that decompresses the result of `read`."""
    chunks: Iterator[bytes] = iter(())
    size = 0

    async def read_plain() -> bytes:
        nonlocal chunks, size
        while True:
            try:
                chunk = next(chunks, b"")
            except DecompressionError as error:
                raise httpx.DecodingError(str(error)) from error
            if chunk:
                size += len(chunk)
                # decompressing the data that has arrived may take a long time
                if size >= _PAUSE_AFTER:
                    size = 0
                    await asyncio.sleep(0)
                return chunk
            if not (piece := await read()):
                return b""
            chunks = decompressor.feed(piece)

    return read_plain


def _is_stream(headers: Mapping[str, str], stream_requested: bool) -> bool:
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "text/event-stream":
        return True
    return stream_requested and content_type not in ("application/json", "text/html")


def _interrupted(error: Exception) -> BrokenResponse:
    if isinstance(error, httpx.TimeoutException):
        return broken_responses.timed_out()
    return broken_responses.connection_lost()
