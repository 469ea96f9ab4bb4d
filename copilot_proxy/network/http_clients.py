"""Creates the HTTP clients."""

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from copilot_proxy.headers import USER_AGENT
from copilot_proxy.network.certificates import check_paths, tls_context
from copilot_proxy.network.proxies import ProxyTransport, proxy_for
from copilot_proxy.settings import Settings

_KEEP_ALIVE: Final = 30.0
_WRITE_TIMEOUT: Final = 60.0
_ANONYMOUS_TIMEOUT: Final = 10.0
_ANONYMOUS_CONNECT_TIMEOUT: Final = 3.0


def make_client(settings: Settings) -> httpx.AsyncClient:
    """Create a client for GitHub and Copilot. It does not follow redirects, which could leak a
    token.

    Proxies come from the environment, certificates from the operating system. Raises `UsageError`
    if SSL_CERT_FILE, SSL_CERT_DIR or a proxy variable is invalid and the settings' URLs need it.
    """
    for url in filter(
        None, (settings.github_url, settings.github_api_url, settings.copilot_api_url)
    ):
        _check_reachable(url)
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=None, keepalive_expiry=_KEEP_ALIVE
    )
    return httpx.AsyncClient(
        transport=ProxyTransport(limits),
        trust_env=False,
        headers={"user-agent": USER_AGENT},
        cookies=_no_cookies(),
        timeout=httpx.Timeout(**timeouts(settings)),
    )


def _check_reachable(url: str) -> None:
    """Raise `UsageError` if `url` needs a proxy or certificates that cannot be used.

    This reports invalid environment variables at startup, but only those that affect `url`.
    """
    proxy_for(url)
    if url.startswith("https:"):
        check_paths()


def timeouts(settings: Settings) -> dict[str, float | None]:
    """Return the timeouts in seconds, under httpx's names."""
    return {
        "connect": settings.connect_timeout,
        "read": settings.read_timeout,
        "write": _WRITE_TIMEOUT,
        "pool": None,
    }


def make_anonymous_client() -> httpx.AsyncClient:
    """Create a client without credentials or a proxy, for URLs that come from requests.

    The only variables it reads are SSL_CERT_FILE and SSL_CERT_DIR.
    """
    return httpx.AsyncClient(
        verify=tls_context(),
        trust_env=False,
        headers={"user-agent": USER_AGENT},
        cookies=_no_cookies(),
        timeout=httpx.Timeout(_ANONYMOUS_TIMEOUT, connect=_ANONYMOUS_CONNECT_TIMEOUT),
    )


def make_collector_client() -> httpx.AsyncClient:
    """Create a client for an OpenTelemetry collector, with proxies from the environment."""
    limits = httpx.Limits(max_connections=2, keepalive_expiry=2 * _KEEP_ALIVE)
    return httpx.AsyncClient(
        transport=ProxyTransport(limits),
        trust_env=False,
        headers={"user-agent": USER_AGENT},
        cookies=_no_cookies(),
        timeout=_ANONYMOUS_TIMEOUT,
    )


def _no_cookies() -> CookieJar:
    """Return a jar that rejects all cookies, because the client is shared by all requests."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
