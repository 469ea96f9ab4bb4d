"""Decides which proxy to use for a URL, based on the environment or the system's settings.

httpx reads all proxy variables when a client is created, and fails if any of them is invalid, even
if no request needs it. Here, a variable only matters for requests that it applies to.
"""

import ipaddress
import os
import re
import urllib.request
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

import httpx

from copilot_proxy.errors import UsageError
from copilot_proxy.host_names import is_loopback
from copilot_proxy.network.certificates import tls_context

_SCHEMES: Final = ("http", "https")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


_HIDDEN: Final = "a value without http://"
"""Shown instead of a value without a scheme, which may be anything, even just a password."""


class ProxyInUse(NamedTuple):
    """The proxy for requests to some URL."""

    setting: str
    """The variable that defines the proxy, or words that describe the system's setting."""
    shown: str
    """The proxy's URL without username and password, for the sentence "It is set to ..."."""
    host: str
    port: int

    @property
    def described(self) -> str:
        """The proxy as the subject of a sentence."""
        return (
            f"the proxy in {self.setting}" if self.shown == _HIDDEN else f"the proxy {self.shown}"
        )


def is_direct() -> bool:
    """Return whether no proxy is configured."""
    return not {"http", "https", "all"} & urllib.request.getproxies().keys()


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for requests to `url`, including any password, or None.

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


def proxy_in_use(url: str) -> ProxyInUse | None:
    """Return the proxy for requests to `url`, or None. Raises `UsageError`, like `proxy_for`."""
    proxy = proxy_for(url)
    if proxy is None:
        return None
    proxies = urllib.request.getproxies()
    scheme = urlsplit(url).scheme
    name = scheme if proxies.get(scheme, "").strip() else "all"
    address = httpx.URL(proxy)
    return ProxyInUse(
        setting=_variable(name, proxies[name].strip()) or "the system's proxy setting",
        shown=_without_password(proxy) if "://" in proxies[name] else _HIDDEN,
        host=address.host,
        port=address.port or _DEFAULT_PORTS[address.scheme],
    )


def local_proxy_variable(url: str) -> str | None:
    """Return the variable that makes other programs use a proxy for the local URL `url`, or None.

    Unlike this program, many HTTP libraries use a proxy unless NO_PROXY lists the host.
    """
    target = urlsplit(url)
    proxies = urllib.request.getproxies_environment()
    if _is_excluded(target):
        return None
    return next(
        (
            _variable(name, proxies[name].strip())
            for name in (target.scheme, "all")
            if proxies.get(name, "").strip()
        ),
        None,
    )


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
        url = httpx.Proxy(proxy).url
    except (ValueError, httpx.InvalidURL):
        return False
    # httpx accepts ports that do not exist, and then fails unexpectedly.
    return url.scheme in _SCHEMES and bool(url.host) and (url.port or 0) in range(65536)


def _unusable(name: str, proxy: str) -> UsageError:
    variable, shown = _variable(name, proxy), _without_password(proxy)
    subject = variable or "The system's proxy setting"
    is_set = "is set to" if variable else "is"
    return UsageError(
        f"{subject} {is_set} {shown}, which cannot be used.",
        hint=f"Set {variable or 'HTTPS_PROXY'} to a URL such as http://proxy.example:8080 (SOCKS "
        "is not supported)" + (", or unset it." if variable else "."),
    )


def _variable(name: str, proxy: str) -> str | None:
    """Return which variable, ``https_proxy`` or ``HTTPS_PROXY`` for example, is set to `proxy`."""
    spellings = (f"{name}_proxy", f"{name.upper()}_PROXY")
    return next((one for one in spellings if os.environ.get(one, "").strip() == proxy), None)


def _without_password(proxy: str) -> str:
    # A password may contain a slash, so remove everything between the scheme and the last @.
    return re.sub(r"^([\w+.-]*://)?.*@", r"\1***@", proxy, flags=re.DOTALL)[:200]


def _is_excluded(target: SplitResult) -> bool:
    """Return whether the host is excluded by NO_PROXY or, if that is unset, the system's settings.

    An entry is a domain (which includes its subdomains), an address or a range of addresses, each
    optionally with a port, or ``*``. Invalid entries are ignored, as in other programs.
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
