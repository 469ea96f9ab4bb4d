"""Behavior that all HTTP clients share."""

from collections.abc import Callable

import httpx
import pytest

from copilot_proxy.network.http_clients import make_anonymous_client, make_client
from copilot_proxy.settings import Settings, load_settings
from tests.auth.scripted_server import Answer, ScriptedServer
from tests.network.failures import SETTINGS


async def test_the_client_sends_our_user_agent_and_follows_no_redirect() -> None:
    """The client sends our user agent, and does not follow redirects."""
    with ScriptedServer(Answer(status=302, headers={"location": "https://evil.example"})) as server:
        async with make_client(SETTINGS) as client:
            response = await client.get(server.url)

    assert 302 == response.status_code
    assert server.headers[0]["user-agent"].startswith("g-copilot-proxy/")


async def test_the_timeouts_are_those_of_the_settings() -> None:
    """Connect and read timeouts come from the settings."""
    async with make_client(Settings(connect_timeout=3, read_timeout=600)) as client:
        timeout = client.timeout

    assert (3, 600) == (timeout.connect, timeout.read)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NO_PROXY", "[::1]"),
        ("NO_PROXY", "127.0.0.0/8,fe80::/10,::1/128"),
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("SSL_CERT_FILE", "/nonexistent/company.pem"),
    ],
)
async def test_unused_settings_are_not_checked(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """A wrong proxy or certificate setting does not affect requests that stay on this machine."""
    monkeypatch.setenv(variable, value)
    with ScriptedServer(Answer("direct")) as server:
        local = Settings(github_url=server.url, github_api_url=server.url)
        async with make_client(local) as client:
            response = await client.get(server.url)

    assert "direct" == response.text


@pytest.mark.parametrize("make", [lambda: make_client(load_settings()), make_anonymous_client])
async def test_no_cookie_is_kept(make: Callable[[], httpx.AsyncClient]) -> None:
    """Cookies from one answer are not sent with other requests."""
    with ScriptedServer(Answer(headers={"set-cookie": "visitor=somebody; Path=/"})) as server:
        async with make() as client:
            for _ in range(2):
                await client.get(server.url)
    assert [False, False] == ["cookie" in headers for headers in server.headers]
