"""Access: host names, origins, keys, paths, and which requests are logged."""

from typing import Any

import pytest

from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.middleware.access import AccessMiddleware
from copilot_proxy.middleware.host_header import host_name
from copilot_proxy.middleware.paths import normalize_path
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("//v1//chat//completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/v1/models/", "/v1/models"),
        ("/models/a/b", "/v1/models/a/b"),
        ("/v1/models/v1", "/v1/models/v1"),
        ("/health/", "/health"),
        ("/", "/"),
        ("", "/"),
        ("/v1", "/v1"),
        ("/v1/nothing", "/v1/nothing"),
    ],
)
def test_normalize_path(path: str, expected: str) -> None:
    """All spellings of a path that clients use are normalized."""
    assert expected == normalize_path(path)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8000", "127.0.0.1"),
        ("localhost", "localhost"),
        ("[::1]:8000", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("[::FFFF:127.0.0.1]", "::FFFF:127.0.0.1"),
        ("localhost.", "localhost."),
        ("my_host:1", "my_host"),
        ("", ""),
        (":8000", ""),
        ("evil.com:80:.localhost", ""),
        ("evil.com:80.localhost", ""),
        ("evil.com:.localhost", ""),
        ("evil.com/.localhost", ""),
        ("evil.com\\.localhost", ""),
        ("evil.com;.localhost", ""),
        ("evil.com%00.localhost", ""),
        ("evil.com, localhost", ""),
        ("evil.com .localhost", ""),
        ("evil.com..localhost", ""),
        ("me@localhost", ""),
        ("localhost#", ""),
        ("localhost?", ""),
        ("localhost:x", ""),
        ("localhost:-1", ""),
        ("localhost:123456", ""),
        ("localhost:80:80", ""),
        ("[::1", ""),
        ("::1]", ""),
        ("[::1]x", ""),
        ("[::1].localhost", ""),
        ("[127.0.0.1]", ""),
        ("[::1%lo]", ""),
        ("[localhost]", ""),
        ("::1:8000:x", ""),
        ("localhost\xb2", ""),
    ],
)
def test_host_name(host: str, expected: str) -> None:
    """The host name is the part before the port; a malformed header has none."""
    assert expected == host_name(host)


@pytest.mark.parametrize("path", ["/chat/completions", "//v1/chat/completions/", "/v1/v1/models"])
def test_paths_are_normalized(proxy: Proxy, path: str) -> None:
    """A client with an unusual base URL gets an answer."""
    with proxy.client() as client:
        answer = client.get(path) if "models" in path else client.post(path, json=CHAT)

    assert 200 == answer.status_code


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "192.0.2.1",
        "",
        "evil.com:80:.localhost",
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/", "/schema"])
def test_foreign_host_names(proxy: Proxy, path: str, host: str) -> None:
    """A page that uses DNS rebinding is refused."""
    with proxy.client() as client:
        answer = client.get(path, headers={"host": host})

    assert (403, "host_not_allowed") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "LOCALHOST", "[::1]:8000", "a.localhost"]
)
def test_loopback_host_names(proxy: Proxy, host: str) -> None:
    """Every loopback name is allowed."""
    with proxy.client() as client:
        assert 200 == client.get("/health", headers={"host": host}).status_code


def test_allowed_host_name(simulator: Simulator) -> None:
    """A name that the user has allowed works."""
    settings = settings_at(simulator, allowed_hosts=("host.docker.internal",))
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.get("/health", headers={"host": "host.docker.internal:8000"})

    assert 200 == answer.status_code


@pytest.mark.parametrize(
    ("allowed", "host", "expected"),
    [
        ((), "anything.example", 200),
        (("proxy.example",), "proxy.example:8000", 200),
        (("proxy.example",), "PROXY.example", 200),
        (("proxy.example",), "localhost:8000", 200),
        (("proxy.example",), "127.0.0.1", 200),
        (("proxy.example",), "anything.example", 403),
        (("proxy.example",), "192.0.2.1", 403),
    ],
)
def test_host_names_on_the_network(
    simulator: Simulator, allowed: tuple[str, ...], host: str, expected: int
) -> None:
    """A server on the network allows any name unless the user lists some."""
    key = "key-of-the-network"
    settings = settings_at(simulator, host="0.0.0.0", api_key=key, allowed_hosts=allowed)
    with Proxy(settings) as proxy, proxy.client() as client:
        assert expected == client.get("/health", headers={"host": host}).status_code


@pytest.mark.parametrize(
    ("address", "host", "is_allowed"),
    [
        ("192.0.2.1", "192.0.2.1:8000", True),
        ("::ffff:192.0.2.1", "192.0.2.1:8000", True),
        ("2001:db8::1", "[2001:DB8::1]:8000", True),
        ("192.0.2.1", "192.0.2.2:8000", False),
        ("192.0.2.1", "192.0.2.1.evil.example", False),
    ],
)
async def test_the_address_of_the_connection(address: str, host: str, is_allowed: bool) -> None:
    """Clients may also use the address at which they reach the server, even if it is not listed."""
    statuses: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    access = AccessMiddleware(
        app, host="0.0.0.0", keys=(), allowed_hosts=("proxy.example",), cors_origins=()
    )
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/health",
        "headers": [(b"host", host.encode())],
        "server": (address, 8000),
        "state": {},
    }
    await access(scope, None, send)  # type: ignore[arg-type]  # nothing is received
    assert [200 if is_allowed else 403] == statuses


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_foreign_origins(proxy: Proxy, simulator: Simulator, origin: str) -> None:
    """A web page cannot use the quota, even with a form post, which needs no preflight."""
    with proxy.client() as client:
        answer = client.post(
            "/v1/chat/completions",
            content='{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}',
            headers={"origin": origin, "content-type": "text/plain"},
        )

    assert (403, "origin_not_allowed") == (answer.status_code, answer.json()["error"]["code"])
    assert "access-control-allow-origin" not in answer.headers
    assert [] == [r for r in simulator.state.requests if r.path == "/chat/completions"]


@pytest.mark.parametrize(
    "odd",
    ["http://{}#", "//{}", "{}", "http://{}/", "http://{}?", "http://me@{}", "ftp://{}", "http:{}",
     "http://{}, http://evil.example", "http://{}.evil.example", "http://http://{}"],
)  # fmt: skip
def test_origins_similar_to_its_own(proxy: Proxy, odd: str) -> None:
    """Browsers send the exact origin, so other values with the server's name are refused."""
    origin = odd.format(proxy.url.removeprefix("http://"))
    with proxy.client() as client:
        answer = client.get("/v1/models", headers={"origin": origin})

    assert (403, "origin_not_allowed") == (answer.status_code, answer.json()["error"]["code"])


def test_own_origin(proxy: Proxy) -> None:
    """Pages served by this server may use it."""
    with proxy.client() as client:
        assert 200 == client.get("/v1/models", headers={"origin": proxy.url}).status_code


def test_allowed_origin(simulator: Simulator) -> None:
    """An allowed origin may use the server, and gets a preflight response; other origins do not."""
    settings = settings_at(simulator, cors_origins=("http://localhost:3000",), api_key="k")
    with Proxy(settings) as proxy, proxy.client() as client:
        preflight = client.options(
            "/v1/chat/completions",
            headers={
                "origin": "http://localhost:3000",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,x-stainless-os",
                "access-control-request-private-network": "true",
            },
        )
        answer = client.get(
            "/v1/models", headers={"origin": "http://localhost:3000", "x-api-key": "k"}
        )
        answered = client.post(
            "/v1/chat/completions",
            json={"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]},
            headers={"origin": "http://localhost:3000", "x-api-key": "k"},
        )
        other = client.options(
            "/v1/chat/completions",
            headers={"origin": "http://other.example", "access-control-request-method": "POST"},
        )

    assert 204 == preflight.status_code
    assert "authorization,x-stainless-os" == preflight.headers["access-control-allow-headers"]
    assert "true" == preflight.headers["access-control-allow-private-network"]
    for one in (preflight, answer):
        assert "http://localhost:3000" == one.headers["access-control-allow-origin"]
        assert one.headers["vary"].startswith("Origin")
    exposed = answered.headers["access-control-expose-headers"].split(", ")
    quota = {name for name in answered.headers if name.startswith(("x-quota-", "x-usage-"))}
    assert quota
    assert {"retry-after", *quota} <= set(exposed)
    assert 403 == other.status_code
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Bearer secre"}, 401),
        ({"x-api-key": "wrong"}, 401),
        ({"authorization": "Bearer secret"}, 200),
        ({"authorization": "bearer  secret"}, 200),
        ({"authorization": "secret"}, 200),
        ({"x-api-key": "secret"}, 200),
        ({"authorization": "Bearer other", "x-api-key": "secret"}, 200),
    ],
)
def test_api_key(simulator: Simulator, headers: dict[str, str], status: int) -> None:
    """With a key, only requests with the key in one of the two headers are accepted."""
    with Proxy(settings_at(simulator, api_key="secret")) as proxy, proxy.client() as client:
        answer = client.get("/v1/models", headers=headers)

    assert status == answer.status_code
    if status == 401:
        error = answer.json()["error"]
        assert ("invalid_request_error", "invalid_api_key") == (error["type"], error["code"])
        assert "secret" not in answer.text.replace("secret key", "")


def test_only_health_needs_no_key(simulator: Simulator) -> None:
    """Without the key, only /health works, and it does not name the account."""
    with Proxy(settings_at(simulator, api_key="secret")) as proxy, proxy.client() as client:
        open_paths = [
            path
            for path in (
                "/",
                "/health",
                "/schema",
                "/schema/openapi.json",
                "/v1/models",
                "/nothing",
            )
            if client.get(path).status_code != 401
        ]
        health = client.get("/health").json()

    assert ["/health"] == open_paths
    assert {
        "status",
        "version",
        "simulated",
        "settings_read_at",
        "upstream",
        "signed_in",
        "token_expires_in",
        "cooldowns",
        "last_error",
        "quota",
        "profile",
        "instance",
    } == set(health)


def test_request_ids(proxy: Proxy, simulator: Simulator) -> None:
    """Every response has its own request id, which is also sent to Copilot."""
    with proxy.client() as client:
        first = client.post("/v1/chat/completions", json=CHAT)
        second = client.get("/nothing")

    asked = [r for r in simulator.state.requests if r.path == "/chat/completions"]
    assert asked[0].headers["x-request-id"] == first.headers["x-request-id"]
    assert second.json()["error"]["request_id"] == second.headers["x-request-id"]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_logged_requests(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors and model lookups have a log line; other successful requests have none."""
    headers = {"authorization": "Bearer k"}
    with (
        logging_to_stderr("text", Reporter()),
        Proxy(settings_at(simulator, api_key="k")) as proxy,
        proxy.client() as client,
    ):
        client.get("/health?x=1")
        client.get("/", headers=headers)
        client.get("/v1/models?key=secret", headers=headers)
        client.post("/v1/chat/completions?key=secret")
        client.post("/v1/messages", headers=headers, content="{")
        client.delete("/v1/models", headers=headers)

    lines = [line[9:] for line in capsys.readouterr().err.splitlines()]
    assert [line.split(" ")[:3] for line in lines] == [
        ["200", "GET", "/v1/models"],
        ["401", "POST", "/v1/chat/completions"],
        ["400", "POST", "/v1/messages"],
        ["405", "DELETE", "/v1/models"],
    ]
