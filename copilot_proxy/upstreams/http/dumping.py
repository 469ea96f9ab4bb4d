"""A transport that dumps the requests to Copilot and their responses."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeVar

import httpx

from copilot_proxy.dumps import DumpFile, Dumps
from copilot_proxy.upstreams.http.transport import (
    HttpRequest,
    HttpResponse,
    Transport,
    receive_by_reading,
)

_Result = TypeVar("_Result")

_CHUNK: Final = 256 * 1024


class DumpingTransport:
    """Wraps `transport` and dumps every attempt at a request that has a dump in `dumps`.

    Requests that were not caused by a client request, such as those for the model list, are not
    dumped.
    """

    def __init__(self, transport: Transport, dumps: Dumps) -> None:
        self._transport = transport
        self._dumps = dumps

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` and return its response with an unread body. Raises `httpx.HTTPError`."""
        dump = self._dumps.find(request.headers.get("x-request-id"))
        if dump is None:
            return await self._transport.send(request)
        name = dump.next_call()
        url = httpx.URL(request.url).copy_with(query=None)
        file = dump.add_file(f"{name}-request", f"{request.method} {url}", _raw(request.headers))
        try:
            content = request.body or b""
            for start in range(0, len(content), _CHUNK):
                file.write(content[start : start + _CHUNK])
                await asyncio.sleep(0)  # let other requests run between two writes
        finally:
            file.close()
        response = await self._transport.send(request)
        status_line = _status_line(response.status)
        file = dump.add_file(f"{name}-answer", status_line, _raw(response.headers))
        return _DumpingResponse(response, file)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


class _DumpingResponse:
    """A response that is dumped as it is read."""

    def __init__(self, response: HttpResponse, file: DumpFile) -> None:
        self._response = response
        self._file = file
        self.status = response.status
        self.headers = response.headers

    async def read(self) -> bytes:
        chunk = await self._response.read()
        self._file.write(chunk)
        return chunk

    async def receive(self, process: Callable[[bytes], _Result | None]) -> _Result | None:
        return await receive_by_reading(self.read, process)

    async def aclose(self) -> None:
        self._file.close()
        await self._response.aclose()


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
