"""Maps httpx's errors to `UpstreamUnreachable`, and determines whether anything was sent."""

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import httpx

from copilot_proxy.errors import UpstreamUnreachable, UsageError
from copilot_proxy.network.proxies import ProxyInUse, proxy_in_use

_CLOSED: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The errors raised if a server closes the connection during the handshake, as busy servers do."""


def map_http_error(error: httpx.HTTPError, url: str | None = None) -> UpstreamUnreachable:
    """Return the error for a failed request to `url`, by default the URL in `error`.

    The error's `sent` is false only if it is certain that nothing was sent.
    """
    host = _host(error) if url is None else httpx.URL(url).netloc.decode("ascii")
    proxy = _proxy(error, url)
    if proxy is not None and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _proxy_not_connected(error, host, proxy)
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return UpstreamUnreachable(
            f"Connecting to {host} took too long.",
            hint="Check the network. Behind a company proxy, set HTTPS_PROXY.",
            sent=False,
            status=504,
        )
    if isinstance(error, httpx.TimeoutException):
        return UpstreamUnreachable(
            f"{host} did not answer in time.",
            hint="Try again. To wait longer, set COPILOT_PROXY_READ_TIMEOUT.",
            sent=True,
            status=504,
        )
    if isinstance(error, httpx.ProxyError):
        return UpstreamUnreachable(
            f"The proxy refused to connect to {host}: {_proxy_reason(error)}.",
            hint=f"Check {proxy.setting if proxy else 'HTTPS_PROXY'}, and include the user and "
            "password if the proxy requires them. To bypass the proxy for some hosts, list "
            "them in NO_PROXY.",
            sent=False,
        )
    if isinstance(error, httpx.UnsupportedProtocol):
        return UpstreamUnreachable(
            f"The URL of {host} is neither http nor https.",
            hint="Check the URLs in the settings.",
            sent=False,
        )
    if isinstance(error, httpx.ConnectError):
        return _not_connected(error, host)
    return UpstreamUnreachable(
        f"The connection to {host} was lost before the answer was complete.",
        hint="Try again. If it happens often, check for a proxy or VPN that drops connections.",
        sent=True,
    )


def _proxy_reason(error: httpx.ProxyError) -> str:
    """Return the proxy's status with its standard phrase. The proxy's own text might contain the
    credentials that were sent to it."""
    code = str(error)[:3]
    try:
        return f"{code} {HTTPStatus(int(code)).phrase}"
    except ValueError:
        return "it gave no reason"


def _proxy(error: httpx.HTTPError, url: str | None) -> ProxyInUse | None:
    """Return the proxy used for the request, or None."""
    try:
        return proxy_in_use(str(error.request.url) if url is None else url)
    except (RuntimeError, UsageError):
        return None


def _proxy_not_connected(
    error: httpx.ConnectError | httpx.ConnectTimeout, host: str, proxy: ProxyInUse
) -> UpstreamUnreachable:
    """Return the error for a request that did not get through its proxy.

    Most errors look the same whether the proxy or the host behind it caused them. If a name lookup
    or a connection failed, the proxy is what could not be reached: a proxy that cannot reach the
    host answers with a status.
    """
    causes = list(_causes(error))
    if isinstance(error, httpx.ConnectError) and any(
        isinstance(cause, ssl.SSLError) for cause in causes
    ):
        found = _not_connected(error, host)
        found.hint = (found.hint or "").replace("HTTPS_PROXY", proxy.setting)
        return found
    is_late = isinstance(error, httpx.ConnectTimeout)
    if is_late:
        reason = "did not respond in time"
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        reason = "could not be found: its host name could not be resolved"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        reason = "refused the connection"
    else:
        reason = "could not be reached"
    return UpstreamUnreachable(
        f"{host} could not be reached: {proxy.described} {reason}.",
        hint=f"Correct {proxy.setting}, or unset it if there is no proxy.",
        sent=False,
        temporary=not is_late,
        status=504 if is_late else 502,
    )


def _not_connected(error: httpx.ConnectError, host: str) -> UpstreamUnreachable:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return UpstreamUnreachable(
            f"The certificate of {host} is not trusted.",
            hint="Set SSL_CERT_FILE to a file with your company's certificate authority: a "
            "company proxy may be intercepting the connection.",
            sent=False,
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return UpstreamUnreachable(
            f"The TLS handshake with {host} failed.",
            hint="Check HTTPS_PROXY, and SSL_CERT_FILE if your company inspects traffic.",
            sent=False,
            temporary=any(isinstance(cause, _CLOSED) for cause in causes),
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return UpstreamUnreachable(
            f"The host name {host} could not be resolved.",
            hint="Check the network connection. Behind a company proxy, set HTTPS_PROXY.",
            sent=False,
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return UpstreamUnreachable(
            f"{host} refused the connection.",
            hint="Check the address, and HTTPS_PROXY if you are behind a company proxy.",
            sent=False,
            temporary=True,
        )
    return UpstreamUnreachable(
        f"{host} could not be reached.",
        hint="Check the network connection. Behind a company proxy, set HTTPS_PROXY.",
        sent=False,
        temporary=True,
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error` and all its causes, including those in exception groups."""
    while error is not None:
        # These two errors only say that TLS needs more data.
        if not isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__


def _host(error: httpx.HTTPError) -> str:
    try:
        return error.request.url.netloc.decode("ascii")
    except RuntimeError:
        return "GitHub"
