"""Headers that restrict what browsers may do with a response."""

from typing import Final

SECURITY_HEADERS: Final = (
    # Responses of this server must never load anything, run scripts, or be framed.
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
)
PAGE_HEADERS: Final = (
    # The dashboard may load its own files, but nothing inline.
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        b"require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
PART_HEADERS: Final = (
    # For the dashboard's files and data, which no other page may load.
    *SECURITY_HEADERS,
    (b"cross-origin-resource-policy", b"same-origin"),
)
