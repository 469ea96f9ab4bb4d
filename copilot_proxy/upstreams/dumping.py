"""Dumps what is sent to Copilot and what comes back, on its way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, cast

import httpx

from copilot_proxy.dumps import Dumps, Part

_PIECE: Final = 256 * 1024


class DumpingTransport(httpx.AsyncBaseTransport):
    """Goes by `transport`, and writes down each call for a request that `dumps` knows, every try
    of it; the list of models is not written down."""

    def __init__(self, transport: httpx.AsyncBaseTransport, dumps: Dumps) -> None:
        self._transport = transport
        self._dumps = dumps

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to `request`, its body unread; raises `httpx.HTTPError`."""
        dump = self._dumps.of(request.headers.get("x-request-id"))
        if dump is None:
            return await self._transport.handle_async_request(request)
        name = dump.next_call()
        url = request.url.copy_with(query=None)
        part = dump.part(f"{name}-request", f"{request.method} {url}", request.headers.raw)
        try:
            content = request.content
            for start in range(0, len(content), _PIECE):
                part.write(content[start : start + _PIECE])
                await asyncio.sleep(0)  # others wait while this one writes
        finally:
            part.close()
        response = await self._transport.handle_async_request(request)
        first = f"{response.status_code} {response.reason_phrase}".rstrip()
        part = dump.part(f"{name}-answer", first, response.headers.raw)
        response.stream = _Copied(response.stream, part)
        return response

    async def aclose(self) -> None:
        """Closes the transport."""
        await self._transport.aclose()


class _Copied(httpx.AsyncByteStream):
    """An answer's body, which is written down on its way."""

    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream, part: Part) -> None:
        self._stream = cast(httpx.AsyncByteStream, stream)  # as it is for an asynchronous client
        self._part = part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._part.write(chunk)
            yield chunk

    async def aclose(self) -> None:
        self._part.close()
        await self._stream.aclose()
