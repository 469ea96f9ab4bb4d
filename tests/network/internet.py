"""A simulated internet: names, public addresses, and one https server behind all of them."""

import base64
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import trustme

from copilot_proxy.errors import RequestError
from copilot_proxy.network.http_clients import make_anonymous_client
from copilot_proxy.network.image_fetcher import TIMEOUT, ImageFetcher

PUBLIC = "93.184.215.14"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
HOST = "pictures.example"
URL = f"https://{HOST}/a.png"
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
REFUSED = "The image cannot be fetched: its URL is not allowed or cannot be reached."


@dataclass
class Page:
    """The answer at a path; the server waits for `gate` between the headers and the body."""

    body: bytes = PNG
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None


@dataclass(frozen=True)
class Received:
    """A connection to a target, and the data sent over it."""

    address: str
    port: int
    sni: object
    headers: httpx.Headers


class Internet:
    """Names resolve to `PUBLIC` unless `names` has other results; the last result is repeated.

    The guard is not replaced: connections that pass it are redirected to the server on this
    machine.
    """

    def __init__(self, authority: trustme.CA, *hosts: str) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.pages: dict[str, Page] = {"/a.png": Page()}
        self.looked_up: list[str] = []
        self.connections: list[Received] = []
        self.requests: list[Mapping[str, str]] = []
        self.unreachable: set[str] = set()
        """Addresses that do not accept connections."""
        internet = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                internet._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *args: None  # type: ignore[method-assign]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*hosts).configure_cert(context)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for page in self.pages.values():
            if page.gate:
                page.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fetcher(self, timeout: float = TIMEOUT) -> ImageFetcher:
        """An image fetcher inside the simulated internet."""
        return ImageFetcher(self.look_up, self.make_client, timeout)

    async def look_up(self, host: str) -> list[str]:
        """Replace the system's name lookup."""
        self.looked_up.append(host)
        answers = self.names.get(host, [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def make_client(self) -> httpx.AsyncClient:
        """Return the product's client with the last step of its transport replaced."""
        client = make_anonymous_client()
        client._transport = _Detour(self, client._transport)
        return client

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append({name.lower(): value for name, value in handler.headers.items()})
        page = self.pages[handler.path]
        handler.send_response_only(page.status)
        for name, value in {"content-length": str(len(page.body)), **page.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if page.gate:
            page.gate.wait(60)
        handler.wfile.write(page.body)


class _Detour(httpx.AsyncBaseTransport):
    """Redirects connections for any address to the server of `internet`."""

    def __init__(self, internet: Internet, inner: httpx.AsyncBaseTransport) -> None:
        self._internet = internet
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        sni = request.extensions["sni_hostname"]
        self._internet.connections.append(Received(url.host, url.port or 443, sni, request.headers))
        if url.host in self._internet.unreachable:
            raise httpx.ConnectError("nobody is there", request=request)
        request.url = url.copy_with(host="127.0.0.1", port=self._internet.port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def chat(*urls: str) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]}


async def refusal(internet: Internet, *urls: str, timeout: float = 10) -> RequestError:
    """Return the error for a chat with these images."""
    with pytest.raises(RequestError) as caught:
        await internet.fetcher(timeout).inline(chat(*urls))
    assert (400, "invalid_image_url") == (caught.value.status, caught.value.code)
    assert "base64" in str(caught.value.hint)
    return caught.value


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Internet]:
    """A simulated internet whose certificate authority is trusted."""
    authority = trustme.CA()
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with Internet(authority, HOST, "mirror.example") as running:
        yield running
