"""Dumps what is sent to Copilot and what comes back, on the wire of the HTTP client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, cast

import httpx

from copilot_proxy.dumps import Dumps, Part

_NAME: Final = "copilot_proxy.dump"
"""Where a request carries the name of its call, for its answer."""
_PIECE: Final = 256 * 1024


def dump_calls(client: httpx.AsyncClient, dumps: Dumps) -> None:
    """From now on each call of `client` for a request that `dumps` knows is dumped, every try of
    it; the list of models and the token exchange are not."""

    async def asking(request: httpx.Request) -> None:
        dump = dumps.of(request.headers.get("x-request-id"))
        if dump is None:
            return
        name = request.extensions[_NAME] = dump.next_call()
        url = request.url.copy_with(query=None)
        part = dump.part(f"{name}-request", f"{request.method} {url}", request.headers.raw)
        try:
            content = request.content
            for start in range(0, len(content), _PIECE):
                part.write(content[start : start + _PIECE])
                await asyncio.sleep(0)  # others wait while this one writes
        finally:
            part.close()

    async def answered(response: httpx.Response) -> None:
        dump = dumps.of(response.request.headers.get("x-request-id"))
        if dump is None:
            return
        name = response.request.extensions[_NAME]
        first = f"{response.status_code} {response.reason_phrase}".rstrip()
        part = dump.part(f"{name}-answer", first, response.headers.raw)
        response.stream = _Copied(response.stream, part)

    client.event_hooks = {"request": [asking], "response": [answered]}


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
