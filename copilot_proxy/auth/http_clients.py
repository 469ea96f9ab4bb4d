"""Creates the HTTP clients, and reads the proxy settings of the environment."""

import urllib.request
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import httpx

from copilot_proxy.auth.certificates import tls_context
from copilot_proxy.errors import UsageError
from copilot_proxy.headers import USER_AGENT
from copilot_proxy.settings import Settings

_KEEP_ALIVE: Final = 30.0
_WRITE_TIMEOUT: Final = 60.0
_ANONYMOUS_TIMEOUT: Final = 10.0
_ANONYMOUS_CONNECT_TIMEOUT: Final = 3.0
_LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")


def make_client(settings: Settings) -> httpx.AsyncClient:
    """Create a client for GitHub and Copilot. It follows no redirects, which could leak a token.

    Proxies come from the environment, certificates from the operating system. Raises `UsageError`
    if SSL_CERT_FILE, SSL_CERT_DIR or a proxy variable is invalid.
    """
    try:
        return httpx.AsyncClient(
            verify=tls_context(),
            headers={"user-agent": USER_AGENT},
            cookies=_no_cookies(),
            timeout=httpx.Timeout(**timeouts(settings)),
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=None,
                keepalive_expiry=_KEEP_ALIVE,
            ),
            # Never use a proxy for this machine, even if NO_PROXY does not list it.
            mounts={f"all://{host}": None for host in _LOCAL_HOSTS},
        )
    except (ImportError, ValueError, httpx.InvalidURL):
        # Their messages contain the proxy's URL, which may include a password.
        raise UsageError(
            "The proxy in the environment variables is invalid.",
            hint="Set HTTPS_PROXY to a URL such as http://proxy.example:8080 (SOCKS is not "
            "supported), or unset HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.",
        ) from None


def timeouts(settings: Settings) -> dict[str, float | None]:
    """Return the timeouts in seconds, under httpx's names."""
    return {
        "connect": settings.connect_timeout,
        "read": settings.read_timeout,
        "write": _WRITE_TIMEOUT,
        "pool": None,
    }


def is_direct() -> bool:
    """Return whether the environment configures no proxy at all."""
    return not {"http", "https", "all"} & urllib.request.getproxies().keys()


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for requests to `url`, with its password, or None.

    Follows the same rules as `make_client`, for HTTP clients of other processes.
    """
    target = urlsplit(url)
    host = target.hostname or ""
    if host in _LOCAL_HOSTS or host == "::1" or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def make_anonymous_client() -> httpx.AsyncClient:
    """Create a client for URLs from requests, which sends no credentials and uses no proxy.

    From the environment, it only reads SSL_CERT_FILE and SSL_CERT_DIR.
    """
    return httpx.AsyncClient(
        verify=tls_context(),
        trust_env=False,
        headers={"user-agent": USER_AGENT},
        cookies=_no_cookies(),
        timeout=httpx.Timeout(_ANONYMOUS_TIMEOUT, connect=_ANONYMOUS_CONNECT_TIMEOUT),
    )


def _no_cookies() -> CookieJar:
    """Return a jar that rejects all cookies, because the client is shared by all requests."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
