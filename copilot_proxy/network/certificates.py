"""The TLS context: verifies certificates with the system's store or with SSL_CERT_FILE."""

import os
import ssl
import sys
import threading
from functools import cache
from typing import Final

from copilot_proxy.errors import UsageError

CERTIFICATE_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, BSD
)
"""The certificate files of Linux distributions, to try if OpenSSL's default path has none."""

_HINT: Final = (
    "Unset it to use the system's certificates, or point it to certificates in PEM format. Then "
    "restart copilot-proxy."
)


def tls_context() -> ssl.SSLContext:
    """Return the TLS context.

    The first handshake raises `UsageError` if SSL_CERT_FILE or SSL_CERT_DIR is invalid.
    """
    return _ssl_context(*_certificate_paths())


def check_paths() -> None:
    """Raise `UsageError` if SSL_CERT_FILE or SSL_CERT_DIR does not exist."""
    _check_paths(*_certificate_paths())


def count_authorities() -> int | None:
    """Return the number of certificate authorities, or None if it is unknown.

    Raises `UsageError` if SSL_CERT_FILE or SSL_CERT_DIR is invalid.
    """
    context = _ssl_context(*_certificate_paths())
    if not isinstance(context, _Context):
        return None
    context.load()
    # Certificates in a folder are loaded on demand.
    in_folder = bool(os.environ.get("SSL_CERT_DIR") or ssl.get_default_verify_paths().capath)
    return context.cert_store_stats()["x509"] or (None if in_folder else 0)


def _certificate_paths() -> tuple[str | None, str | None]:
    return os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None


def _check_paths(file: str | None, folder: str | None) -> None:
    if file is not None and not (os.path.isfile(file) and os.access(file, os.R_OK)):
        raise UsageError(
            f"SSL_CERT_FILE is set to {file}, which is not a readable file.", hint=_HINT
        )
    # Like PATH, this may list several folders; OpenSSL skips those that are missing.
    if folder is not None and not any(map(os.path.isdir, folder.split(os.pathsep))):
        raise UsageError(f"SSL_CERT_DIR is set to {folder}, which is not a folder.", hint=_HINT)


class _Context(ssl.SSLContext):
    """An SSL context that loads its certificates at the first handshake.

    httpx needs the context when a client is created, but loading the certificates takes longer than
    everything else at startup, and plain http does not need them. On Linux, where the system's
    store is a file, this replaces truststore, which would read the file for every connection (50 ms
    each time).
    """

    _file: str | None
    _folder: str | None

    def prepare(self, file: str | None, folder: str | None) -> None:
        self._file, self._folder = file, folder
        self._lock = threading.Lock()
        self._ready = False
        # A company's certificate file often only contains an intermediate authority.
        self.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def load(self) -> None:
        """Load the certificates, unless already loaded. Raises `UsageError`."""
        with self._lock:
            if not self._ready:
                self._read_certificates()
                self._ready = True

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        self.load()
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def _read_certificates(self) -> None:
        if self._file is None and self._folder is None:
            self._read_system_store()
            return
        _check_paths(self._file, self._folder)
        try:
            self.load_verify_locations(self._file, self._folder)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"SSL_CERT_FILE is set to {self._file}, which has no certificates in PEM format.",
                hint=_HINT,
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
    """Return the context for these paths; it is created only once."""
    if file is None and folder is None and sys.platform in ("win32", "darwin"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.prepare(file, folder)
    return context
