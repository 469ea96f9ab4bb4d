"""Dumps what is sent to Copilot and what comes back, on its way."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import httpx

from copilot_proxy.dumps import Dumps, Part
from copilot_proxy.upstreams.http.transport import HttpRequest, HttpResponse, Transport

_PIECE: Final = 256 * 1024


class DumpingTransport:
    """Goes by `transport`, and writes down each call for a request that `dumps` knows, every try
    of it; the list of models is not written down."""

    def __init__(self, transport: Transport, dumps: Dumps) -> None:
        self._transport = transport
        self._dumps = dumps

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer to `request`, its body unread; raises `httpx.HTTPError`."""
        dump = self._dumps.of(request.headers.get("x-request-id"))
        if dump is None:
            return await self._transport.send(request)
        name = dump.next_call()
        url = httpx.URL(request.url).copy_with(query=None)
        part = dump.part(f"{name}-request", f"{request.method} {url}", _raw(request.headers))
        try:
            content = request.body or b""
            for start in range(0, len(content), _PIECE):
                part.write(content[start : start + _PIECE])
                await asyncio.sleep(0)  # others wait while this one writes
        finally:
            part.close()
        response = await self._transport.send(request)
        part = dump.part(f"{name}-answer", _first_line(response.status), _raw(response.headers))
        return _Copied(response, part)

    async def aclose(self) -> None:
        """Closes the transport."""
        await self._transport.aclose()


class _Copied:
    """An answer that is written down on its way."""

    def __init__(self, response: HttpResponse, part: Part) -> None:
        self._response = response
        self._part = part
        self.status = response.status
        self.headers = response.headers

    async def read(self) -> bytes:
        piece = await self._response.read()
        self._part.write(piece)
        return piece

    async def aclose(self) -> None:
        self._part.close()
        await self._response.aclose()


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _first_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
