"""Which proxy is used, and the errors for unusable proxies."""

import pytest

from copilot_proxy.errors import UsageError
from copilot_proxy.network.http_clients import make_client
from copilot_proxy.network.http_errors import map_http_error
from copilot_proxy.network.proxies import proxy_for
from tests.auth.scripted_server import Answer, ScriptedServer
from tests.network.failures import SETTINGS, failure


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("socks5://127.0.0.1:1", "socks5://127.0.0.1:1"),
        ("socks://user:secret@127.0.0.1:1", "socks://***@127.0.0.1:1"),
        ("ftp://127.0.0.1:1", "ftp://127.0.0.1:1"),
        ("http://a:b:c", "http://a:b:c"),
        ("user:secret@a:b:c", "***@a:b:c"),
        ("http://", "http://"),
        ("http://127.0.0.1:65536", "http://127.0.0.1:65536"),
        ("http://127.0.0.1:-1", "http://127.0.0.1:-1"),
    ],
)
def test_unusable_proxies_are_reported(
    monkeypatch: pytest.MonkeyPatch, proxy: str, shown: str
) -> None:
    """SOCKS proxies, unknown schemes and malformed addresses are reported at startup."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UsageError) as caught:
        make_client(SETTINGS)

    assert caught.value.message == f"ALL_PROXY is set to {shown}, which cannot be used."
    assert "Set ALL_PROXY" in str(caught.value.hint)


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy in the environment is used without any settings."""
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
    """The most specific variable applies, unless NO_PROXY lists the host."""
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


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://me:secret@127.0.0.1:9", "refused the connection"),
        ("http://proxy.invalid:8080", "could not be found"),
    ],
)
async def test_a_proxy_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str, reason: str
) -> None:
    """The error names the proxy and its variable instead of blaming GitHub."""
    monkeypatch.setenv(variable, proxy)
    error = map_http_error(await failure("https://api.github.com/user"))

    assert f": the proxy {proxy.replace('me:secret', '***')} {reason}" in error.message
    assert f"Correct {variable}, or unset it if there is no proxy." == error.hint
    assert error.sent is False


async def test_a_refusal_by_a_proxy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's refusal is reported as the proxy's, and the request as not sent."""
    with ScriptedServer(Answer(status=407)) as proxy:
        proxy.handler.do_CONNECT = proxy.handler.do_GET  # type: ignore[attr-defined]
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = map_http_error(await failure("https://api.github.com/user"))

    assert error.message.startswith("The proxy refused to connect to api.github.com: 407")
    assert "HTTPS_PROXY" in str(error.hint)
    assert error.sent is False
