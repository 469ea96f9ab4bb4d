"""How certificates are checked: by the system's store, or by what SSL_CERT_FILE names."""

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
"""Where distributions keep the store, for a Python whose OpenSSL looks somewhere else."""

_CERTIFICATES: Final = (
    "Unset it to trust what the system trusts, or name certificates in PEM format; then start "
    "copilot-proxy again."
)


def tls_context() -> ssl.SSLContext:
    """How certificates are checked; raises `UsageError` when the environment names none."""
    return _ssl_context(*_certificate_paths())


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
