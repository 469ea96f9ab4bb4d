"""Decides through which proxy a URL is reached, by the environment or the system's settings.

httpx reads all proxy variables when a client is created, and fails because of one that no request
needs. Here a variable only matters to a request that it applies to.
"""

import ipaddress
import os
import re
import urllib.request
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx

from copilot_proxy.auth.certificates import tls_context
from copilot_proxy.errors import UsageError
from copilot_proxy.host_names import is_loopback

_SCHEMES: Final = ("http", "https")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_direct() -> bool:
    """Return whether no proxy is configured at all."""
    return not {"http", "https", "all"} & urllib.request.getproxies().keys()


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for requests to `url`, with its password, or None.

    Raises `UsageError` if the proxy cannot be used.
    """
    target = urlsplit(url)
    if is_loopback(target.hostname or "") or _is_excluded(target):
        return None
    proxies = urllib.request.getproxies()
    for name in (target.scheme, "all"):
        if proxy := proxies.get(name, "").strip():
            full = proxy if "://" in proxy else f"http://{proxy}"
            if not _is_usable(full):
                raise _unusable(name, proxy)
            return full
    return None


class ProxyTransport(httpx.AsyncBaseTransport):
    """Sends each request directly or through the proxy that applies to its URL."""

    def __init__(self, limits: httpx.Limits) -> None:
        self._limits = limits
        self._transports: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_for(str(request.url))
        transport = self._transports.get(proxy)
        if transport is None:
            transport = httpx.AsyncHTTPTransport(
                verify=tls_context(), limits=self._limits, proxy=proxy, trust_env=False
            )
            self._transports[proxy] = transport
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


def _is_usable(proxy: str) -> bool:
    try:
        return httpx.URL(proxy).scheme in _SCHEMES and bool(httpx.Proxy(proxy).url.host)
    except (ValueError, httpx.InvalidURL):
        return False


def _unusable(name: str, proxy: str) -> UsageError:
    spellings = (f"{name}_proxy", f"{name.upper()}_PROXY")
    variable = next((one for one in spellings if os.environ.get(one, "").strip() == proxy), None)
    # A password may itself contain a slash, so everything between the scheme and the last @ goes.
    shown = re.sub(r"^([\w+.-]*://)?.*@", r"\1***@", proxy, flags=re.DOTALL)[:200]
    subject = variable or "The system's proxy setting"
    is_set = "is set to" if variable else "is"
    return UsageError(
        f"{subject} {is_set} {shown}, which cannot be used.",
        hint=f"Set {variable or 'HTTPS_PROXY'} to a URL such as http://proxy.example:8080 (SOCKS "
        "is not supported)" + (", or unset it." if variable else "."),
    )


def _is_excluded(target: SplitResult) -> bool:
    """Return whether NO_PROXY lists the host, or else the system's settings do.

    An entry is a domain, which includes its subdomains, an address, a range of addresses, each
    optionally with a port, or ``*``. Invalid entries are ignored, as by other programs.
    """
    host = target.hostname or ""
    excluded = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    if excluded is None:
        return bool(urllib.request.proxy_bypass(host))
    port = target.port or _DEFAULT_PORTS.get(target.scheme)
    return any(_matches(entry, host, port) for entry in re.split(r"[,\s]+", excluded) if entry)


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(
            re.sub(r"[\[\]]", "", entry), strict=False
        )
    except ValueError:
        pass  # one of the two is a name, or the entry has a port
    name, _, number = entry.rpartition(":")
    if name and number.isdecimal():
        return int(number) == port and _matches(name, host, port)
    domain = entry.lower().lstrip("*").strip(".")
    host = host.lower().rstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
