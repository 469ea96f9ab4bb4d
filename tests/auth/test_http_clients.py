"""HTTP clients, and the messages about their failures."""

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import HTTPServer
from pathlib import Path

import httpx
import pytest
import trustme

from copilot_proxy.errors import UsageError
from copilot_proxy.network import certificates
from copilot_proxy.network.http_clients import make_anonymous_client, make_client
from copilot_proxy.network.http_errors import map_http_error
from copilot_proxy.network.proxies import proxy_for
from copilot_proxy.settings import Settings, load_settings
from copilot_proxy.simulator import Simulator
from tests.auth.scripted_server import Answer, ScriptedServer
from tests.conftest import Proxy, settings_at

SETTINGS = Settings(connect_timeout=5, read_timeout=5)


@pytest.fixture(autouse=True)
def fresh_contexts() -> Iterator[None]:
    """Do not reuse the TLS context of another test."""
    certificates._ssl_context.cache_clear()
    yield
    certificates._ssl_context.cache_clear()


@pytest.fixture
def authority() -> trustme.CA:
    """A company's certificate authority."""
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ScriptedServer]:
    """A server with a certificate of that authority."""
    server = ScriptedServer(Answer({"ok": True}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener: HTTPServer = server._server
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    listener.handle_error = lambda *args: None  # type: ignore[method-assign]
    server.url = server.url.replace("http:", "https:")
    with server:
        yield server


async def failure(url: str, settings: Settings = SETTINGS) -> httpx.HTTPError:
    """Return the exception that a request to `url` raises."""
    async with make_client(settings) as client:
        with pytest.raises(httpx.HTTPError) as caught:
            await client.get(url)
    return caught.value


async def test_the_client_sends_our_user_agent_and_follows_no_redirect() -> None:
    """The client sends our user agent, and does not follow redirects."""
    with ScriptedServer(Answer(status=302, headers={"location": "https://evil.example"})) as server:
        async with make_client(SETTINGS) as client:
            response = await client.get(server.url)

    assert 302 == response.status_code
    assert server.headers[0]["user-agent"].startswith("g-copilot-proxy/")


async def test_the_timeouts_are_those_of_the_settings() -> None:
    """Connect and read timeout come from the settings."""
    async with make_client(Settings(connect_timeout=3, read_timeout=600)) as client:
        timeout = client.timeout

    assert (3, 600) == (timeout.connect, timeout.read)


async def test_plain_http_loads_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client for plain http does not load certificates."""
    monkeypatch.setattr(
        certificates._Context,
        "_read_certificates",
        lambda self: pytest.fail("certificates were read"),
    )
    with ScriptedServer() as server:
        async with make_client(SETTINGS) as client:
            response = await client.get(server.url)

    assert 200 == response.status_code


def test_clients_share_one_tls_context() -> None:
    """All clients of a process share one TLS context."""

    assert certificates._ssl_context(None, None) is certificates._ssl_context(None, None)


async def test_ssl_cert_file_is_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: trustme.CA, secure: ScriptedServer
) -> None:
    """SSL_CERT_FILE makes the connection work, and certificates are read once."""
    file = tmp_path / "company.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with make_client(SETTINGS) as client:
        first = await client.get(secure.url)
        file.unlink()
        secure_again = await client.get(secure.url, headers={"connection": "close"})

    assert (200, 200) == (first.status_code, secure_again.status_code)


async def test_ssl_cert_dir_is_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secure: ScriptedServer
) -> None:
    """SSL_CERT_DIR is a separate store, which does not trust other authorities."""
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}:{tmp_path}")
    error = map_http_error(await failure(secure.url))

    assert "is not trusted" in error.message


async def test_an_untrusted_certificate_is_reported(secure: ScriptedServer) -> None:
    """The error names the usual reason, a company proxy, and the variable that helps."""
    error = map_http_error(await failure(secure.url))

    assert f"The certificate of {secure.url.removeprefix('https://')} is not trusted." == (
        error.message
    )
    assert "SSL_CERT_FILE" in str(error.hint)
    assert error.sent is False


async def test_the_systems_store_is_found_where_openssl_does_not_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: trustme.CA, secure: ScriptedServer
) -> None:
    """A Python that was built elsewhere still finds the distribution's store."""
    file = tmp_path / "ca-certificates.crt"
    authority.cert_pem.write_to_path(str(file))
    nowhere = ssl.DefaultVerifyPaths(None, None, "", "", "", "")  # type: ignore[arg-type]
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda self, purpose=None: None)
    monkeypatch.setattr(certificates, "CERTIFICATE_FILES", ("/nonexistent", str(file)))
    async with make_client(SETTINGS) as client:
        response = await client.get(secure.url)

    assert 200 == response.status_code


async def test_without_a_certificate_store_no_certificate_is_trusted(
    monkeypatch: pytest.MonkeyPatch, secure: ScriptedServer
) -> None:
    """Without a certificate store no certificate is trusted."""
    nowhere = ssl.DefaultVerifyPaths(None, None, "", "", "", "")  # type: ignore[arg-type]
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda self, purpose=None: None)
    monkeypatch.setattr(certificates, "CERTIFICATE_FILES", ())
    error = map_http_error(await failure(secure.url))

    assert "is not trusted" in error.message


def test_macos_and_windows_use_the_systems_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows, truststore uses the system's store."""
    import truststore

    monkeypatch.setattr(sys, "platform", "darwin")

    assert isinstance(certificates._ssl_context(None, None), truststore.SSLContext)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_wrong_certificate_path_is_reported(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A wrong certificate path is reported at once, not as a failed handshake."""
    monkeypatch.setenv(variable, "/nonexistent/company.pem")
    with pytest.raises(UsageError, match=f"{variable} is set to /nonexistent/company.pem"):
        make_client(SETTINGS)


async def test_a_certificate_file_that_is_not_pem_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secure: ScriptedServer
) -> None:
    """A file that is not PEM, such as DER or HTML, is reported."""
    file = tmp_path / "company.der"
    file.write_bytes(b"\x30\x82 no PEM")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with make_client(SETTINGS) as client:
        with pytest.raises(UsageError, match="has no certificates in PEM format"):
            await client.get(secure.url)


def test_clients_get_certificate_errors_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, simulator: Simulator
) -> None:
    """Clients get a code and a hint for certificate errors."""
    file = tmp_path / "company.der"
    file.write_bytes(b"\x30\x82 no PEM")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    secure = simulator.url.replace("http:", "https:")
    settings = settings_at(simulator, github_api_url=secure)
    asked = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]}
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.post("/v1/chat/completions", json=asked)

    error = answer.json()["error"]
    assert (500, "server_misconfigured") == (answer.status_code, error["code"])
    assert "has no certificates in PEM format" in error["message"]
    assert "Unset it to use the system's certificates" in error["hint"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("socks5://127.0.0.1:1", "socks5://127.0.0.1:1"),
        ("socks://user:secret@127.0.0.1:1", "socks://***@127.0.0.1:1"),
        ("ftp://127.0.0.1:1", "ftp://127.0.0.1:1"),
        ("http://a:b:c", "http://a:b:c"),
        ("user:secret@a:b:c", "***@a:b:c"),
        ("http://", "http://"),
    ],
)
def test_unusable_proxies_are_reported(
    monkeypatch: pytest.MonkeyPatch, proxy: str, shown: str
) -> None:
    """SOCKS proxies, unknown schemes and malformed addresses are reported at the start."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UsageError) as caught:
        make_client(SETTINGS)

    assert caught.value.message == f"ALL_PROXY is set to {shown}, which cannot be used."
    assert "Set ALL_PROXY" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NO_PROXY", "[::1]"),
        ("NO_PROXY", "127.0.0.0/8,fe80::/10,::1/128"),
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("SSL_CERT_FILE", "/nonexistent/company.pem"),
    ],
)
async def test_what_is_not_needed_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Nothing but what a request needs has to be right: this one stays on this machine."""
    monkeypatch.setenv(variable, value)
    with ScriptedServer(Answer("direct")) as server:
        local = Settings(github_url=server.url, github_api_url=server.url)
        async with make_client(local) as client:
            response = await client.get(server.url)

    assert "direct" == response.text


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the environment is used without further settings."""
    with ScriptedServer(Answer("from the proxy")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with make_client(SETTINGS) as client:
            response = await client.get("http://elsewhere.example/x")

    assert "from the proxy" == response.text
    assert ["http://elsewhere.example/x"] == proxy.paths


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://api.example", None),
        ({"HTTPS_PROXY": "http://a:1"}, "https://api.example", "http://a:1"),
        ({"HTTPS_PROXY": "a:1"}, "https://api.example", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1"}, "https://api.example", None),
        ({"ALL_PROXY": "http://u:p@a:1"}, "https://api.example", "http://u:p@a:1"),
        (
            {"ALL_PROXY": "http://a:1", "https_proxy": "http://b:1"},
            "https://x.example",
            "http://b:1",
        ),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": ".example"}, "https://api.example", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "api.example"}, "https://api.example", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "*.example"}, "https://api.example", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "x, EXAMPLE."}, "https://api.example", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "*"}, "https://api.example", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "api.example:443"}, "https://api.example", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "a.example:1"}, "https://a.example", "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "example.com"}, "https://x.example", "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "ample"}, "https://example", "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "10.0.0.0/8"}, "http://10.1.2.3", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "10.0.0.0/8"}, "http://11.1.2.3", "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "[fd00::/8]"}, "http://[fd00::1]:5", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "[fd00::1]"}, "http://[fd00::1]:5", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "[fd00::1"}, "http://[fd00::1]:5", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "//,/,:, ,"}, "https://x.example", "http://a:1"),
        ({"HTTPS_PROXY": "http://b:1", "ALL_PROXY": "socks://a:1"}, "https://x", "http://b:1"),
        ({"ALL_PROXY": "http://a:1"}, "http://127.0.0.1:8000", None),
        ({"ALL_PROXY": "http://a:1"}, "http://localhost", None),
        ({"ALL_PROXY": "http://a:1"}, "http://[::1]:8000", None),
    ],
)
def test_which_proxy_is_used(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: str, proxy: str | None
) -> None:
    """The most specific variable counts, unless NO_PROXY lists the host."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert proxy == proxy_for(url)


async def test_loopback_is_never_accessed_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loopback is never accessed through a proxy, whatever NO_PROXY says."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with ScriptedServer(Answer("direct")) as server:
        async with make_client(SETTINGS) as client:
            response = await client.get(server.url)

    assert "direct" == response.text


async def test_a_refusal_by_a_proxy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's refusal is reported as such, and as not sent."""
    with ScriptedServer(Answer(status=407)) as proxy:
        proxy.handler.do_CONNECT = proxy.handler.do_GET  # type: ignore[attr-defined]
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = map_http_error(await failure("https://api.github.com/user"))

    assert error.message.startswith("The proxy refused to connect to api.github.com: 407")
    assert "HTTPS_PROXY" in str(error.hint)
    assert error.sent is False


async def test_a_refused_connection() -> None:
    """A refused connection is reported as not sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        error = map_http_error(await failure(f"http://{address}/x"))

    assert f"{address} refused the connection." == error.message
    assert (502, False) == (error.status, error.sent)


async def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed name lookup is distinguished from later failures."""

    def nothing(*args: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    error = map_http_error(await failure("http://nowhere.invalid/x"))

    assert "The host name nowhere.invalid could not be resolved." == error.message
    assert error.sent is False


async def test_tls_to_a_plain_http_port() -> None:
    """TLS to a plain http port is reported as a wrong protocol."""
    with ScriptedServer() as server:
        error = map_http_error(await failure(server.url.replace("http:", "https:")))

    assert error.message.startswith("The TLS handshake with 127.0.0.1:")
    assert error.sent is False


@pytest.fixture
def mute() -> Iterator[tuple[str, threading.Event]]:
    """A port that accepts connections without answering; the event makes it close them."""
    hang_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                hang_up.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", hang_up
        hang_up.set()
        thread.join()


async def test_an_answer_that_never_comes(mute: tuple[str, threading.Event]) -> None:
    """A read timeout counts as sent, so the request is not retried."""
    error = map_http_error(await failure(mute[0], Settings(read_timeout=0.05)))

    assert "did not answer in time" in error.message
    assert (504, True, "false") == (error.status, error.sent, error.headers["x-should-retry"])


async def test_a_connection_that_closes_without_an_answer(
    mute: tuple[str, threading.Event],
) -> None:
    """A connection closed without an answer counts as sent."""
    mute[1].set()
    error = map_http_error(await failure(mute[0]))

    assert "broke before the answer was complete" in error.message
    assert (502, True) == (error.status, error.sent)


REQUEST = httpx.Request("GET", "https://api.github.com/user")


@pytest.mark.parametrize(
    ("error", "status", "sent"),
    [
        (httpx.ConnectTimeout("", request=REQUEST), 504, False),
        (httpx.PoolTimeout("", request=REQUEST), 504, False),
        (httpx.ReadTimeout("", request=REQUEST), 504, True),
        (httpx.WriteTimeout("", request=REQUEST), 504, True),
        (httpx.ConnectError("", request=REQUEST), 502, False),
        (httpx.ReadError("", request=REQUEST), 502, True),
        (httpx.WriteError("", request=REQUEST), 502, True),
        (httpx.CloseError("", request=REQUEST), 502, True),
        (httpx.ProxyError("", request=REQUEST), 502, False),
        (httpx.UnsupportedProtocol("", request=REQUEST), 502, False),
        (httpx.LocalProtocolError("", request=REQUEST), 502, True),
        (httpx.RemoteProtocolError("", request=REQUEST), 502, True),
        (httpx.DecodingError("", request=REQUEST), 502, True),
        (httpx.TooManyRedirects("", request=REQUEST), 502, True),
    ],
)
def test_every_httpx_error_has_a_message(error: httpx.HTTPError, status: int, sent: bool) -> None:
    """`sent` is false only if nothing can have been sent."""
    ours = map_http_error(error)

    assert (status, sent) == (ours.status, ours.sent)
    assert ours.message.endswith(".")


def test_every_httpx_error_class_is_covered() -> None:
    """Every transport error class of httpx has a message."""
    known = {
        "CloseError", "ConnectError", "ConnectTimeout", "LocalProtocolError", "NetworkError",
        "PoolTimeout", "ProtocolError", "ProxyError", "ReadError", "ReadTimeout",
        "RemoteProtocolError", "TimeoutException", "TransportError", "UnsupportedProtocol",
        "WriteError", "WriteTimeout",
    }  # fmt: skip
    found = {
        name
        for name, value in vars(httpx).items()
        if isinstance(value, type) and issubclass(value, httpx.TransportError)
    }

    assert known == found


def test_an_error_without_its_request_has_a_message() -> None:
    """An error without a request has a message, too."""

    assert "GitHub could not be reached." == map_http_error(httpx.ConnectError("x")).message


def test_the_cause_is_found_inside_a_group() -> None:
    """The cause is found in an exception group of several connection attempts."""
    error = httpx.ConnectError("x", request=REQUEST)
    error.__cause__ = OSError("All connection attempts failed")
    error.__cause__.__cause__ = ExceptionGroup("two", [OSError("v6"), ConnectionRefusedError("v4")])

    assert "api.github.com refused the connection." == map_http_error(error).message


@pytest.mark.parametrize("make", [lambda: make_client(load_settings()), make_anonymous_client])
async def test_no_cookie_is_kept(make: Callable[[], httpx.AsyncClient]) -> None:
    """Cookies of one answer are not sent with other requests."""
    with ScriptedServer(Answer(headers={"set-cookie": "attribution=somebody; Path=/"})) as server:
        async with make() as client:
            for _ in range(2):
                await client.get(server.url)
    assert [False, False] == ["cookie" in headers for headers in server.headers]
