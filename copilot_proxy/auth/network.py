"""The one place that makes HTTP clients, and that puts their failures into words."""

import os
import socket
import ssl
import sys
import threading
import urllib.request
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from copilot_proxy.errors import Unreachable, UsageError
from copilot_proxy.headers import USER_AGENT
from copilot_proxy.settings import Settings

_KEEP_ALIVE: Final = 30.0
_WRITE_TIMEOUT: Final = 60.0
_ANONYMOUS_TIMEOUT: Final = 10.0
_ANONYMOUS_CONNECT_TIMEOUT: Final = 3.0
CERTIFICATE_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, BSD
)
"""Where distributions keep the store, for a Python whose OpenSSL looks somewhere else."""

_CERTIFICATES: Final = (
    "Unset it to trust what the system trusts, or name certificates in PEM format; then start "
    "copilot-proxy again."
)
_ENDS: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""A handshake in which the other side hung up, as one of a busy server does."""

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


def tls_context() -> ssl.SSLContext:
    """How certificates are checked; raises `UsageError` when the environment names none."""
    return _ssl_context(*_certificate_paths())


def _no_cookies() -> CookieJar:
    """A jar that keeps nothing: what one answer sets would go along with everybody's requests."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


def _certificate_paths() -> tuple[str | None, str | None]:
    """SSL_CERT_FILE and SSL_CERT_DIR, checked to exist."""
    file = os.environ.get("SSL_CERT_FILE") or None
    folder = os.environ.get("SSL_CERT_DIR") or None
    if file is not None and not (os.path.isfile(file) and os.access(file, os.R_OK)):
        raise UsageError(
            f"SSL_CERT_FILE names {file}, which is no file that can be read.", hint=_CERTIFICATES
        )
    # Like PATH, it may name several folders; OpenSSL skips those that are missing.
    if folder is not None and not any(map(os.path.isdir, folder.split(os.pathsep))):
        raise UsageError(f"SSL_CERT_DIR names {folder}, which is no folder.", hint=_CERTIFICATES)
    return file, folder


class _Context(ssl.SSLContext):
    """Reads its certificates at the first handshake, once.

    httpx wants its context when the client is made, but reading the store takes longer than all
    the rest of the start, and nothing of it is needed for plain http. The standard library's
    context is used on Linux, where the system's store is a file: truststore would read it again
    for every connection, at 50 ms each.
    """

    _file: str | None
    _folder: str | None

    def prepare(self, file: str | None, folder: str | None) -> None:
        self._file, self._folder = file, folder
        self._lock = threading.Lock()
        self._ready = False
        # A company's store often holds just the intermediate authority that signs for it.
        self.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        with self._lock:
            if not self._ready:
                self._read_certificates()
                self._ready = True
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def _read_certificates(self) -> None:
        if self._file is None and self._folder is None:
            self._read_system_store()
            return
        try:
            self.load_verify_locations(self._file, self._folder)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"SSL_CERT_FILE names {self._file}, which holds no certificates in PEM format.",
                hint=_CERTIFICATES,
            ) from error

    def _read_system_store(self) -> None:
        self.load_default_certs()
        if self.cert_store_stats()["x509_ca"] or ssl.get_default_verify_paths().capath:
            return
        for path in filter(os.path.isfile, CERTIFICATE_FILES):
            self.load_verify_locations(path)
            return


@cache
def _ssl_context(file: str | None, folder: str | None) -> ssl.SSLContext:
    """One context a process for each place that certificates may come from."""
    if file is None and folder is None and sys.platform in ("win32", "darwin"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.prepare(file, folder)
    return context


def describe(error: httpx.HTTPError) -> Unreachable:
    """What a failed call means for a person; `sent` is false only if surely nothing was sent."""
    host = _host(error)
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Unreachable(
            f"Connecting to {host} took too long.",
            hint="Check the network. Behind a company proxy, set HTTPS_PROXY.",
            sent=False,
            status=504,
        )
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(
            f"{host} did not answer in time.",
            hint="Try again; COPILOT_PROXY_READ_TIMEOUT sets how long is waited.",
            sent=True,
            status=504,
        )
    if isinstance(error, httpx.ProxyError):
        return Unreachable(
            f"The proxy on the way to {host} refused: {_proxys_reason(error)}.",
            hint="Check HTTPS_PROXY, with user and password if the proxy wants them; NO_PROXY "
            "names hosts to be reached directly.",
            sent=False,
        )
    if isinstance(error, httpx.UnsupportedProtocol):
        return Unreachable(
            f"The address of {host} is neither http nor https.",
            hint="Check the addresses that are set.",
            sent=False,
        )
    if isinstance(error, httpx.ConnectError):
        return _not_connected(error, host)
    return Unreachable(
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


def _not_connected(error: httpx.ConnectError, host: str) -> Unreachable:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Unreachable(
            f"The certificate of {host} is not trusted.",
            hint="A company proxy may be in between: set SSL_CERT_FILE to a file with your "
            "company's certificate authority.",
            sent=False,
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Unreachable(
            f"No secure connection to {host} could be made.",
            hint="Something in between may speak another protocol: check HTTPS_PROXY, and "
            "SSL_CERT_FILE if your company inspects traffic.",
            sent=False,
            passing=any(isinstance(cause, _ENDS) for cause in causes),
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Unreachable(
            f"The name {host} could not be looked up.",
            hint="Check the network connection. Behind a company proxy, set HTTPS_PROXY.",
            sent=False,
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Unreachable(
            f"{host} refused the connection.",
            hint="Check the address, and HTTPS_PROXY if you are behind a company proxy.",
            sent=False,
            passing=True,
        )
    return Unreachable(
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
