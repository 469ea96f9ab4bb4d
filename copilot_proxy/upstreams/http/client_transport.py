"""Selects the transport to the Copilot API, and provides the transport that uses httpx."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import httpx

from copilot_proxy.network.certificates import tls_context
from copilot_proxy.network.proxies import is_direct
from copilot_proxy.upstreams.http.closing import shield_close
from copilot_proxy.upstreams.http.transport import (
    HttpRequest,
    HttpResponse,
    Transport,
    receive_by_reading,
)

_Result = TypeVar("_Result")


def make_transport(client: httpx.AsyncClient, *, many: bool) -> Transport:
    """Return a connection pool for `many` requests, otherwise a transport that uses `client`.

    If the environment configures a proxy, `client` is always used, because httpx supports all kinds
    of proxies.
    """
    if many and is_direct():
        # Imported here, because for a single request, the import takes longer than the pool saves.
        from copilot_proxy.upstreams.http.connection_pool import ConnectionPool

        return ConnectionPool(tls_context())
    return ClientTransport(client)


class ClientTransport:
    """Sends requests with an httpx client. Whoever created the client must close it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` and return its response with an unread body. Raises `httpx.HTTPError`."""
        httpx_request = httpx.Request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.body,
            extensions={"timeout": dict(request.timeouts)},
        )
        return _ClientResponse(shield_close(await self._client.send(httpx_request, stream=True)))

    async def aclose(self) -> None:
        """Do nothing."""


class _ClientResponse:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks = response.aiter_raw()
        self.status = response.status_code
        # One character per byte, as in the responses of the connection pool.
        response.headers.encoding = "latin-1"
        self.headers: Mapping[str, str] = dict(response.headers)

    async def read(self) -> bytes:
        return await anext(self._chunks, b"")

    async def receive(self, process: Callable[[bytes], _Result | None]) -> _Result | None:
        return await receive_by_reading(self.read, process)

    async def aclose(self) -> None:
        await self._response.aclose()
