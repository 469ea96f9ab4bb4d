"""Access checks on every route; the list of routes comes from the application.

Requests that no HTTP client would send are written to plain sockets.
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from copilot_proxy.formats.types import ErrorBody
from copilot_proxy.routes.router import make_router
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.selection import crossed, sample, share

BODY = '{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":1}'
ALLOWED = "http://localhost:3000"
_ROUTER = make_router()


class OpenProxy(Proxy):
    """A server whose routes can be listed."""

    def routes(self) -> Iterator[tuple[str, str]]:
        """Yield each method and path, and one unknown path."""
        router: Any = _ROUTER
        paths = {route.path_format: route.methods for route in router.routes}
        assert {"/v1/chat/completions", "/schema/openapi.json", "/health"} <= paths.keys()
        for path, methods in {**paths, "/nowhere": {"GET", "POST"}}.items():
            for method in sorted({"GET", "HEAD", "POST", "OPTIONS", "DELETE", *methods}):
                yield method, re.sub(r"\{.*?\}", "x", path)


@pytest.fixture
def server(simulator: Simulator) -> Iterator[OpenProxy]:
    """A server that has no key and allows one origin."""
    with OpenProxy(settings_at(simulator, cors_origins=(ALLOWED,), ollama=True)) as running:
        yield running


def code_of(body: ErrorBody) -> str:
    """Return the error code in any API's format."""
    error = body["error"]
    if isinstance(error, dict) and "details" in error:
        return str(error["details"][0]["reason"]).lower()  # on the Gemini API
    return str(body["code"] if isinstance(error, str) else error["code"])


def refusals(server: OpenProxy, headers: dict[str, str], methods: str = "") -> set[str]:
    """Return the error codes with which the routes refuse a request with these headers.

    Outside CI, each path is tried with one method and a quarter of the headers.
    """
    codes = set()
    routes = [
        (method, path) for method, path in server.routes() if not methods or method in methods
    ]
    routes = sample(routes, alike=lambda route: route[1])
    with server.client() as client:
        for method, path in share(routes, headers, 4):
            answer = client.request(method, path, content=BODY, headers=headers)
            assert 403 == answer.status_code, f"{method} {path}"
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert "set-cookie" not in answer.headers
            if method != "HEAD":
                codes.add(code_of(answer.json()))
    return codes


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:8000",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1@evil.example",
        "127.0.0.1:8000@evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1:evil",
        "127.0.0.1/evil",
        "[::1].evil.example",
        "[::1]evil.example",
        "[::1",
        "[2001:db8::1]:8000",
        "[::]",
        "::",
        "0.0.0.0",
        "0.0.0.0:8000",
        "192.0.2.1",
        "evil.example.",
        "*",
        "null",
        "",
        ":8000",
    ],
)
def test_unknown_hosts(server: OpenProxy, simulator: Simulator, host: str) -> None:
    """A page that uses DNS rebinding is refused on every route, whatever its host name."""
    assert {"host_not_allowed"} == refusals(server, {"host": host})
    assert [] == simulator.state.requests


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:1", "127.8.8.8", "localhost.", "LocalHost:8000", "[::1]", "::1"],
)
def test_own_hosts(server: OpenProxy, host: str) -> None:
    """Every spelling of a loopback host is allowed."""
    with server.client(headers={"host": host}) as client:
        assert 200 == client.get("/health").status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "NULL"},
        {"origin": "http://localhost:3001"},
        {"origin": "https://localhost:3000"},
        {"origin": "http://localhost:3000.evil.example"},
        {"origin": "http://localhost:3000@evil.example"},
        {"origin": "file://"},
        {"origin": "chrome-extension://abcdefgh"},
        {"origin": "*"},
        {"origin": "https://evil.example", "access-control-request-method": "POST"},
        {"origin": "null", "access-control-request-method": "POST"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
    ],
    ids=str,
)
def test_origins_that_are_not_allowed(
    server: OpenProxy, simulator: Simulator, headers: dict[str, str]
) -> None:
    """Pages from other origins are refused on every route, even preflights and unknown paths."""
    headers = {**headers, "content-type": "text/plain"}

    assert {"origin_not_allowed"} == refusals(server, headers)
    assert [] == simulator.state.requests


@crossed(mode=["no-cors", "cors", "websocket", None], site=["cross-site", "same-site"])
def test_pages_without_an_origin(server: OpenProxy, site: str, mode: str | None) -> None:
    """Images, scripts and other resources are refused if pages from other sites request them."""
    headers = {"sec-fetch-site": site} | ({"sec-fetch-mode": mode} if mode else {})

    assert {"origin_not_allowed"} == refusals(server, headers)


def test_forms_without_an_origin(server: OpenProxy, simulator: Simulator) -> None:
    """A form on another site is refused even if the browser sends no Origin."""
    headers = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
        "content-type": "text/plain",
    }

    assert {"origin_not_allowed"} == refusals(server, headers, "POST DELETE OPTIONS")
    assert [] == simulator.state.requests


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
        {"sec-fetch-mode": "cors"},
    ],
    ids=str,
)
def test_opening_the_address(server: OpenProxy, headers: dict[str, str]) -> None:
    """Typing the address, following a link and using Node programs all work."""
    with server.client() as client:
        codes = [client.get(path, headers=headers).status_code for path in ("/", "/schema")]

    assert [200, 200] == codes


def test_no_page_in_a_frame_and_no_cookie(server: OpenProxy) -> None:
    """No response sets a cookie, runs scripts, or can be framed."""
    with server.client() as client:
        for method, path in server.routes():
            # Only the headers are read, because one of the routes is an endless stream.
            with client.stream(method, path, content="{" if method == "POST" else None) as answer:
                pass
            assert answer.status_code < 500 or answer.status_code == 501, f"{method} {path}"
            assert "set-cookie" not in answer.headers
            assert "access-control-allow-origin" not in answer.headers
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "nosniff" == answer.headers["x-content-type-options"]
            assert "Origin" in answer.headers["vary"]


def test_the_preflight_of_an_allowed_page(simulator: Simulator) -> None:
    """An allowed page's preflight succeeds on every API route, without a key."""
    preflight = {
        "origin": ALLOWED,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
        "access-control-request-private-network": "true",
    }
    settings = settings_at(simulator, cors_origins=(ALLOWED,), api_key="secret-key", ollama=True)
    with OpenProxy(settings) as server, server.client() as client:
        for path in {path for _, path in server.routes() if not path.startswith("/dashboard/")}:
            response = client.options(path, headers=preflight)
            assert (204, b"") == (response.status_code, response.content)
            assert {
                "access-control-allow-origin": ALLOWED,
                "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
                "access-control-allow-headers": "authorization,content-type,x-stainless-os",
                "access-control-allow-private-network": "true",
            }.items() <= dict(response.headers).items()
            assert "access-control-allow-credentials" not in response.headers
            assert {"origin", "access-control-request-headers"} <= set(
                response.headers["vary"].lower().split(", ")
            )
        refused = client.get("/v1/models", headers={"origin": ALLOWED})

    # The page may read the error.
    assert (401, ALLOWED) == (refused.status_code, refused.headers["access-control-allow-origin"])


def test_every_route_requires_the_key(simulator: Simulator) -> None:
    """Without the key, every route except /health answers 401, even for unknown paths."""
    with (
        OpenProxy(settings_at(simulator, api_key="secret-key")) as server,
        server.client() as client,
    ):
        for method, path in server.routes():
            answer = client.request(method, path, content=BODY if method == "POST" else None)
            assert (answer.status_code != 401) == (path == "/health"), f"{method} {path}"
            assert answer.status_code < 500
        odd = [
            client.get(path).status_code
            for path in (
                "/health%2f..%2fv1/models",
                "/health;/v1/models",
                "/health%00/v1/models",
                "/v1/health",
                "/health/x",
                "/HEALTH",
            )
        ]

    assert [401] * 6 == odd


@dataclass
class Outcome:
    status: int
    code: str | None


def send(proxy: Proxy, text: str) -> Outcome:
    """Send these bytes, and return the status and error code of the response."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
        conn.sendall(text.replace("\n", "\r\n").encode("latin-1"))
        conn.shutdown(socket.SHUT_WR)
        read = b""
        while part := conn.recv(65536):
            read += part
    start, _, body = read.partition(b"\r\n\r\n")
    code = re.search(rb'"code":"(\w+)"', body)
    return Outcome(int(start.split()[1]), code[1].decode() if code else None)


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        ("GET /health HTTP/1.1\n\n", 403, "host_not_allowed"),
        ("GET /health HTTP/1.0\n\n", 403, "host_not_allowed"),
        ("GET /health HTTP/1.1\nHost: localhost\nHost: evil\n\n", 400, "invalid_host"),
        ("GET /health HTTP/1.1\nHost: evil\nHost: localhost\n\n", 400, "invalid_host"),
        ("GET /health HTTP/1.1\nHost: localhost\nhost: localhost\n\n", 400, "invalid_host"),
        ("GET http://evil/health HTTP/1.1\nHost: localhost\n\n", 403, "host_not_allowed"),
        ("GET http://evil/health HTTP/1.1\n\n", 403, "host_not_allowed"),
        ("GET http://127.0.0.1@evil/health HTTP/1.1\nHost: localhost\n\n", 403, "host_not_allowed"),
        ("GET http://evil@127.0.0.1/health HTTP/1.1\nHost: localhost\n\n", 403, "host_not_allowed"),
        ("GET http://localhost/health HTTP/1.1\nHost: localhost\n\n", 200, None),
        ("GET http://localhost/health HTTP/1.1\nHost: evil\n\n", 200, None),
        ("GET http://localhost/health HTTP/1.1\nHost: a\nHost: b\n\n", 400, "invalid_host"),
        ("GET http://localhost HTTP/1.1\nHost: localhost\n\n", 400, "invalid_http"),
        ("OPTIONS * HTTP/1.1\nHost: localhost\n\n", 404, "unknown_url"),
        ("CONNECT evil:443 HTTP/1.1\nHost: localhost\n\n", 400, "invalid_http"),
        ("CONNECT localhost:80 HTTP/1.1\nHost: localhost\n\n", 400, "invalid_http"),
        ("BREW /health HTTP/1.1\nHost: localhost\n\n", 400, "invalid_http"),
        ("TRACE /health HTTP/1.1\nHost: localhost\n\n", 405, "method_not_supported"),
        ("PROPFIND /v1/models HTTP/1.1\nHost: localhost\n\n", 405, "method_not_supported"),
        (
            "GET /health HTTP/1.1\nHost: localhost\nOrigin: http://localhost\nOrigin: http://a\n\n",
            400,
            "invalid_origin",
        ),
        ("GET /health HTTP/1.1\nHost: localhost\nHost : evil\n\n", 400, "invalid_http"),
        ("GET /health HTTP/1.1\n Host: localhost\n\n", 400, "invalid_http"),
        ("GET /health HTTP/1.1\nHost: local\x01host\n\n", 400, "invalid_http"),
        (
            "POST /v1/embeddings HTTP/1.1\nHost: localhost\nContent-Length: 3\n"
            "Transfer-Encoding: chunked\n\n0\n\n",
            400,
            "invalid_http",
        ),
        (
            "POST /v1/embeddings HTTP/1.1\nHost: localhost\nContent-Length: -1\n\n",
            400,
            "invalid_http",
        ),
        (
            "POST /v1/embeddings HTTP/1.1\nHost: localhost\nContent-Length: 1, 2\n\nx",
            400,
            "invalid_http",
        ),
    ],
)
def test_ambiguous_requests(
    simulator: Simulator, request_text: str, status: int, code: str | None
) -> None:
    """Requests that two programs could interpret differently are refused."""
    with OpenProxy(settings_at(simulator)) as server, server.client() as client:
        # Load the router first: `send` closes its side early, which ends requests that wait for it.
        client.get("/nowhere")
        assert Outcome(status, code) == send(server, request_text)


def test_a_preflight_cannot_inject_headers(simulator: Simulator) -> None:
    """The requested headers are echoed unchanged, or the request is refused."""
    text = (
        f"OPTIONS /v1/models HTTP/1.1\nHost: localhost\nOrigin: {ALLOWED}\n"
        "Access-Control-Request-Method: POST\nAccess-Control-Request-Headers: {}\n\n"
    )
    with OpenProxy(settings_at(simulator, cors_origins=(ALLOWED,))) as server:
        assert 204 == send(server, text.format("x-a")).status
        assert send(server, text.format("x\x01a")).status == 400
        assert send(server, text.format("x\ra")).status == 400


@pytest.mark.parametrize(
    ("request_text", "hint"),
    [
        ("post /v1/embeddings HTTP/1.1\n\n", "uppercase"),
        ("GET /health HTTP/1.1\nHost : evil\n\n", "as one line"),
        ("GET /a b HTTP/1.1\n\n", "Check for a proxy"),
        ("GET /ä HTTP/1.1\n\n", "Encode them"),
        ("PRI * HTTP/2.0\n\nSM\n\n", "Turn off HTTP/2"),
        ("POST / HTTP/1.1\nContent-Length: 3\nContent-Length: 3\n\n", "Send only one"),
        ("POST / HTTP/1.1\nContent-Length: x\n\n", "the length of the body"),
        (
            "POST / HTTP/1.1\nContent-Length: 3\nTransfer-Encoding: chunked\n\n",
            "Send only one of them",
        ),
        (
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 3\n\n",
            "Send only one of them",
        ),
        ("POST / HTTP/1.1\nTransfer-Encoding: gzip\n\n", "Use `chunked`"),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\nxyz\n", "in hexadecimal"),
    ],
)
def test_hints_for_invalid_http(proxy: Proxy, request_text: str, hint: str) -> None:
    """Each hint says what is wrong; only TLS gets the advice to use http://."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 10) as conn:
        conn.sendall(request_text.replace("\n", "\r\n").encode())
        answer = b"".join(iter(lambda: conn.recv(65536), b"")).decode()

    assert answer.startswith("HTTP/1.1 400 ")
    assert hint in answer
    assert "https://" not in answer
