"""Puts the failures of HTTP clients into words, and says whether a call may have been sent."""

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import httpx

from copilot_proxy.errors import UpstreamUnreachable

_ENDS: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""A handshake in which the other side hung up, as one of a busy server does."""


def describe(error: httpx.HTTPError, address: str | None = None) -> UpstreamUnreachable:
    """What a failed call to `address` means for a person, where the error does not say to which;
    `sent` is false only if surely nothing was sent."""
    host = _host(error) if address is None else httpx.URL(address).netloc.decode("ascii")
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
            hint="Try again; COPILOT_PROXY_READ_TIMEOUT sets how long is waited.",
            sent=True,
            status=504,
        )
    if isinstance(error, httpx.ProxyError):
        return UpstreamUnreachable(
            f"The proxy on the way to {host} refused: {_proxys_reason(error)}.",
            hint="Check HTTPS_PROXY, with user and password if the proxy wants them; NO_PROXY "
            "names hosts to be reached directly.",
            sent=False,
        )
    if isinstance(error, httpx.UnsupportedProtocol):
        return UpstreamUnreachable(
            f"The address of {host} is neither http nor https.",
            hint="Check the addresses that are set.",
            sent=False,
        )
    if isinstance(error, httpx.ConnectError):
        return _not_connected(error, host)
    return UpstreamUnreachable(
        f"The connection to {host} broke before the answer was complete.",
        hint="Try again. If it happens often, look for a proxy or VPN that cuts connections.",
        sent=True,
    )


def _proxys_reason(error: httpx.ProxyError) -> str:
    """The status; its words are the proxy's own, which may repeat what it was sent."""
    code = str(error)[:3]
    try:
        return f"{code} {HTTPStatus(int(code)).phrase}"
    except ValueError:
        return "it gave no reason"


def _not_connected(error: httpx.ConnectError, host: str) -> UpstreamUnreachable:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return UpstreamUnreachable(
            f"The certificate of {host} is not trusted.",
            hint="A company proxy may be in between: set SSL_CERT_FILE to a file with your "
            "company's certificate authority.",
            sent=False,
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return UpstreamUnreachable(
            f"No secure connection to {host} could be made.",
            hint="Something in between may speak another protocol: check HTTPS_PROXY, and "
            "SSL_CERT_FILE if your company inspects traffic.",
            sent=False,
            passing=any(isinstance(cause, _ENDS) for cause in causes),
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return UpstreamUnreachable(
            f"The name {host} could not be looked up.",
            hint="Check the network connection. Behind a company proxy, set HTTPS_PROXY.",
            sent=False,
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return UpstreamUnreachable(
            f"{host} refused the connection.",
            hint="Check the address, and HTTPS_PROXY if you are behind a company proxy.",
            sent=False,
            passing=True,
        )
    return UpstreamUnreachable(
        f"{host} could not be reached.",
        hint="Check the network connection. Behind a company proxy, set HTTPS_PROXY.",
        sent=False,
        passing=True,
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and everything that it came from, groups included."""
    while error is not None:
        if not isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):  # no failures
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
