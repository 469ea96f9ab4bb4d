"""Error messages for failed requests."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from copilot_proxy.network.http_errors import map_http_error
from copilot_proxy.settings import Settings
from tests.auth.scripted_server import ScriptedServer
from tests.network.failures import failure


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
    """A port that accepts connections without answering; setting the event closes them."""
    hang_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                hang_up.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", hang_up
        hang_up.set()
        thread.join()


async def test_an_answer_that_never_comes(mute: tuple[str, threading.Event]) -> None:
    """A request with a read timeout counts as sent, so it is not retried."""
    error = map_http_error(await failure(mute[0], Settings(read_timeout=0.05)))

    assert "did not answer in time" in error.message
    assert (504, True, "false") == (error.status, error.sent, error.headers["x-should-retry"])


async def test_a_connection_that_closes_without_an_answer(
    mute: tuple[str, threading.Event],
) -> None:
    """If the connection closes without an answer, the request counts as sent."""
    mute[1].set()
    error = map_http_error(await failure(mute[0]))

    assert "was lost before the answer was complete" in error.message
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
    """An error without a request also has a message."""

    assert "GitHub could not be reached." == map_http_error(httpx.ConnectError("x")).message


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://me:pw@proxy.example:8080", "the proxy http://***@proxy.example:8080"),
        ("proxy.example:8080", "the proxy in HTTPS_PROXY"),
    ],
)
def test_a_proxy_that_does_not_respond(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    """The message names the proxy or, if its address may contain a password, only the variable."""
    monkeypatch.setenv("HTTPS_PROXY", value)

    error = map_http_error(httpx.ConnectTimeout("x"), "https://api.example/x")

    expected = f"api.example could not be reached: {said} did not respond in time."
    assert expected == error.message


def test_the_cause_is_found_inside_a_group() -> None:
    """The cause is found in an exception group from several connection attempts."""
    error = httpx.ConnectError("x", request=REQUEST)
    error.__cause__ = OSError("All connection attempts failed")
    error.__cause__.__cause__ = ExceptionGroup("two", [OSError("v6"), ConnectionRefusedError("v4")])

    assert "api.github.com refused the connection." == map_http_error(error).message
