"""The door on every route that there is, asked of the application itself so that none is forgotten.

What programs send that are no browsers goes over plain sockets: no client would send it.
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from copilot_proxy.app import make_router
from copilot_proxy.routes.services import Services
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

BODY = '{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":1}'
NAMED = "http://localhost:3000"


class OpenProxy(Proxy):
    """A server that tells which routes it has, and some that it has not."""

    def services(self) -> Services:
        self.made = super().services()
        return self.made

    def routes(self) -> Iterator[tuple[str, str]]:
        """Each method and path."""
        paths = {route.path_format: route.methods for route in make_router(self.made).routes}  # type: ignore[union-attr]
        assert {"/v1/chat/completions", "/schema/openapi.json", "/health"} <= paths.keys()
        for path, methods in {**paths, "/nowhere": {"GET", "POST"}}.items():
            for method in sorted({"GET", "HEAD", "POST", "OPTIONS", "DELETE", *methods}):
                yield method, re.sub(r"\{.*?\}", "x", path)


@pytest.fixture
def door(simulator: Simulator) -> Iterator[OpenProxy]:
    """A server that anybody on the machine may use, and one page."""
    with OpenProxy(settings_at(simulator, cors_origins=(NAMED,))) as running:
        yield running


def refusals(door: OpenProxy, headers: dict[str, str], methods: str = "") -> set[str]:
    """The codes with which every route refuses a request with these headers."""
    codes = set()
    with door.client() as client:
        for method, path in door.routes():
            if methods and method not in methods:
                continue
            answer = client.request(method, path, content=BODY, headers=headers)
            assert 403 == answer.status_code, f"{method} {path}"
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert "set-cookie" not in answer.headers
            if method != "HEAD":
                codes.add(answer.json()["error"]["code"])
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
def test_strange_hosts(door: OpenProxy, simulator: Simulator, host: str) -> None:
    """A page that makes a name of its own point here is refused everywhere, whatever the name."""
    assert {"host_not_allowed"} == refusals(door, {"host": host})
    assert [] == simulator.state.requests


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:1", "127.8.8.8", "localhost.", "LocalHost:8000", "[::1]", "::1"],
)
def test_own_hosts(door: OpenProxy, host: str) -> None:
    """Every spelling of this machine is answered to."""
    with door.client(headers={"host": host}) as client:
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
def test_strange_pages(door: OpenProxy, simulator: Simulator, headers: dict[str, str]) -> None:
    """A page that nobody named is refused everywhere, preflight and error pages included."""
    headers = {**headers, "content-type": "text/plain"}

    assert {"origin_not_allowed"} == refusals(door, headers)
    assert [] == simulator.state.requests


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", ["no-cors", "cors", "websocket", None])
def test_what_a_page_does_without_an_origin(door: OpenProxy, site: str, mode: str | None) -> None:
    """Images, scripts and the like that a page of another site names are not answered."""
    headers = {"sec-fetch-site": site} | ({"sec-fetch-mode": mode} if mode else {})

    assert {"origin_not_allowed"} == refusals(door, headers)


def test_forms_without_an_origin(door: OpenProxy, simulator: Simulator) -> None:
    """A form of another site is refused also where the browser does not say which page has it."""
    headers = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
        "content-type": "text/plain",
    }

    assert {"origin_not_allowed"} == refusals(door, headers, "POST DELETE OPTIONS")
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
def test_who_opens_the_address(door: OpenProxy, headers: dict[str, str]) -> None:
    """A person who types the address or follows a link gets there, and so do Node's programs."""
    with door.client() as client:
        codes = [client.get(path, headers=headers).status_code for path in ("/", "/schema")]

    assert [200, 200] == codes


def test_no_page_in_a_frame_and_no_cookie(door: OpenProxy) -> None:
    """No answer sets a cookie, runs anything, or lets itself be put into another page."""
    with door.client() as client:
        for method, path in door.routes():
            answer = client.request(method, path, content="{" if method == "POST" else None)
            assert answer.status_code < 500, f"{method} {path}"
            assert "set-cookie" not in answer.headers
            assert "access-control-allow-origin" not in answer.headers
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "nosniff" == answer.headers["x-content-type-options"]
            assert "Origin" in answer.headers["vary"]


def test_the_preflight_of_a_named_page(simulator: Simulator) -> None:
    """A named page gets what it asks for on every route, before a key is asked for."""
    asked = {
        "origin": NAMED,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
        "access-control-request-private-network": "true",
    }
    settings = settings_at(simulator, cors_origins=(NAMED,), api_key="secret-key")
    with OpenProxy(settings) as door, door.client() as client:
        for path in {path for _, path in door.routes()}:
            told = client.options(path, headers=asked)
            assert (204, b"") == (told.status_code, told.content)
            assert {
                "access-control-allow-origin": NAMED,
                "access-control-allow-methods": "GET, POST, OPTIONS",
                "access-control-allow-headers": "authorization,content-type,x-stainless-os",
                "access-control-allow-private-network": "true",
            }.items() <= dict(told.headers).items()
            assert "access-control-allow-credentials" not in told.headers
            assert {"origin", "access-control-request-headers"} <= set(
                told.headers["vary"].lower().split(", ")
            )
        refused = client.get("/v1/models", headers={"origin": NAMED})

    # The page may read why it was refused.
    assert (401, NAMED) == (refused.status_code, refused.headers["access-control-allow-origin"])


def test_a_key_is_asked_for_everywhere(simulator: Simulator) -> None:
    """With a key, a stranger learns from no route but /health that there is one."""
    with OpenProxy(settings_at(simulator, api_key="secret-key")) as door, door.client() as client:
        for method, path in door.routes():
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
class Told:
    status: int
    code: str | None


def say(proxy: Proxy, text: str) -> Told:
    """What the server says to these very bytes."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 10) as conn:
        conn.sendall(text.replace("\n", "\r\n").encode("latin-1"))
        conn.shutdown(socket.SHUT_WR)
        read = b""
        while part := conn.recv(65536):
            read += part
    start, _, body = read.partition(b"\r\n\r\n")
    code = re.search(rb'"code":"(\w+)"', body)
    return Told(int(start.split()[1]), code[1].decode() if code else None)


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
def test_what_no_browser_sends(
    simulator: Simulator, request_text: str, status: int, code: str | None
) -> None:
    """Requests that two readers could understand in two ways are refused, in words where it is
    HTTP."""
    with OpenProxy(settings_at(simulator)) as door:
        assert Told(status, code) == say(door, request_text)


def test_a_preflight_cannot_put_anything_into_headers(simulator: Simulator) -> None:
    """What a page asks for is echoed as it is, or not at all."""
    text = (
        f"OPTIONS /v1/models HTTP/1.1\nHost: localhost\nOrigin: {NAMED}\n"
        "Access-Control-Request-Method: POST\nAccess-Control-Request-Headers: {}\n\n"
    )
    with OpenProxy(settings_at(simulator, cors_origins=(NAMED,))) as door:
        assert 204 == say(door, text.format("x-a")).status
        assert say(door, text.format("x\x01a")).status == 400
        assert say(door, text.format("x\ra")).status == 400
