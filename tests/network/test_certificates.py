"""Which certificates are trusted, and the errors for untrusted certificates."""

import ssl
import sys
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path

import pytest
import trustme

from copilot_proxy.errors import UsageError
from copilot_proxy.network import certificates
from copilot_proxy.network.http_clients import make_client
from copilot_proxy.network.http_errors import map_http_error
from copilot_proxy.simulator import Simulator
from tests.auth.scripted_server import Answer, ScriptedServer
from tests.conftest import Proxy, settings_at
from tests.network.failures import SETTINGS, failure


@pytest.fixture
def authority() -> trustme.CA:
    """A company's certificate authority."""
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ScriptedServer]:
    """A server with a certificate from `authority`."""
    server = ScriptedServer(Answer({"ok": True}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener: HTTPServer = server._server
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    listener.handle_error = lambda *args: None  # type: ignore[method-assign]
    server.url = server.url.replace("http:", "https:")
    with server:
        yield server


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
    """All clients in a process share one TLS context."""

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
    """If SSL_CERT_DIR is set, only the authorities in its folders are trusted."""
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}:{tmp_path}")
    error = map_http_error(await failure(secure.url))

    assert "is not trusted" in error.message


async def test_an_untrusted_certificate_is_reported(secure: ScriptedServer) -> None:
    """The error names the usual cause (a company proxy) and the variable that adds certificates."""
    error = map_http_error(await failure(secure.url))

    assert f"The certificate of {secure.url.removeprefix('https://')} is not trusted." == (
        error.message
    )
    assert "SSL_CERT_FILE" in str(error.hint)
    assert error.sent is False


async def test_the_systems_store_is_found_where_openssl_does_not_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: trustme.CA, secure: ScriptedServer
) -> None:
    """A Python built elsewhere still finds the distribution's certificate store."""
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
    """Without a certificate store, no certificate is trusted."""
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
    """A wrong certificate path is reported immediately, not as a failed handshake."""
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
