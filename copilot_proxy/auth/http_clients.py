"""The one place that makes HTTP clients."""

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
_OUR_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")


def make_client(settings: Settings) -> httpx.AsyncClient:
    """A client for GitHub and Copilot: follows no redirect, so that a token goes nowhere else.

    Proxies come from the environment, certificates from the operating system. Raises `UsageError`
    when SSL_CERT_FILE, SSL_CERT_DIR or a proxy variable cannot work.
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
            # What runs on this machine is never behind a proxy, whatever NO_PROXY forgets.
            mounts={f"all://{host}": None for host in _OUR_HOSTS},
        )
    except (ImportError, ValueError, httpx.InvalidURL):
        # What they say quotes the address, with the password in it.
        raise UsageError(
            "The proxy that the environment names cannot be used.",
            hint="Set HTTPS_PROXY to an address such as http://proxy.example:8080 (SOCKS is not "
            "supported), or unset HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.",
        ) from None


def timeouts(settings: Settings) -> dict[str, float | None]:
    """Seconds, under the names that httpx has for them."""
    return {
        "connect": settings.connect_timeout,
        "read": settings.read_timeout,
        "write": _WRITE_TIMEOUT,
        "pool": None,
    }


def is_direct() -> bool:
    """Whether the environment names no proxy at all."""
    return not {"http", "https", "all"} & urllib.request.getproxies().keys()


def proxy_for(url: str) -> str | None:
    """The address of the proxy, with its password if it has one, through which `url` is asked by
    programs that are told so; None: directly. By the rules of `make_client`."""
    asked = urlsplit(url)
    host = asked.hostname or ""
    if host in _OUR_HOSTS or host == "::1" or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(asked.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def make_anonymous_client() -> httpx.AsyncClient:
    """A client for addresses that somebody else chose: it carries nothing of ours, and goes there
    directly; of the environment it takes only where certificates are."""
    return httpx.AsyncClient(
        verify=tls_context(),
        trust_env=False,
        headers={"user-agent": USER_AGENT},
        cookies=_no_cookies(),
        timeout=httpx.Timeout(_ANONYMOUS_TIMEOUT, connect=_ANONYMOUS_CONNECT_TIMEOUT),
    )


def _no_cookies() -> CookieJar:
    """A jar that keeps nothing: what one answer sets would go along with everybody's requests."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
