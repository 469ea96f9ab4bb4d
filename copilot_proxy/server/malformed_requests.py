"""Responses to malformed HTTP requests, which uvicorn never passes to the application.

The client's API is unknown, so the response is OpenAI's error object.
"""

import logging
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.relay.records import new_request_id

log = logging.getLogger(__name__)

TLS: Final = "the client used https://, but this server needs http://"
"""The reason to log for a client that expects TLS, and cannot read the response."""
MAX_URL: Final = 64 * 1024 - 1
"""Maximum length in bytes of a URL that the parser can read."""
_HEAD: Final = (
    "HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
    "connection: close\r\nx-request-id: {request_id}\r\nx-content-type-options: nosniff\r\n\r\n"
)


class _Fault(NamedTuple):
    """Something that makes a request invalid HTTP."""

    word: str
    """A word in the parser's message, in lowercase."""
    what: str
    hint: str


_FAULTS: Final = (
    _Fault(
        "transfer-encoding can't be present",
        "It has both Content-Length and Transfer-Encoding.",
        "Send only one of them. A proxy in between may have added the other.",
    ),
    _Fault(
        "content-length can't be present",
        "It has both Content-Length and Transfer-Encoding.",
        "Send only one of them. A proxy in between may have added the other.",
    ),
    _Fault("transfer-encoding", "Its Transfer-Encoding is unknown.", "Use `chunked`, or none."),
    _Fault("duplicate content-length", "It has more than one Content-Length.", "Send only one."),
    _Fault(
        "content-length",
        "Its Content-Length is not a number of bytes.",
        "Send the length of the body, or omit it and send the body in chunks.",
    ),
    _Fault(
        "chunk",
        "A chunk of its body is malformed.",
        "Send each chunk as its size in hexadecimal and its bytes, with a line break after each.",
    ),
    _Fault(
        "url",
        "Its URL contains invalid characters.",
        "Encode them; for example, a space as %20.",
    ),
    _Fault(
        "header",
        "A header is malformed.",
        "Send each header as one line, `name: value`, without control characters.",
    ),
    _Fault("pri", "It is HTTP/2.", "Turn off HTTP/2 in the client, or in the proxy in between."),
    _Fault(
        "method",
        "It does not begin with an HTTP method.",
        "Send a method in uppercase, such as POST, followed by the path.",
    ),
)
"""The faults that the parser distinguishes. The first one whose word is in the parser's message is
used."""
_OTHER: Final = _Fault("", "", "Check for a proxy that changes the request.")
_TLS: Final = _Fault(
    "",
    "It looks like a TLS handshake.",
    "This server speaks plain HTTP: use http:// in the client's base URL, not https://.",
)


_AFTER_A_BODY: Final = _Fault(
    "",
    "It follows another request, but does not begin with an HTTP method.",
    "The body of that request may be longer than its Content-Length. Count bytes, not characters.",
)


def invalid(reason: str = "", *, is_tls: bool = False, is_first: bool = True) -> RequestError:
    """Return the error for data that is not valid HTTP; `reason` is the parser's message.

    `is_first` is True for the first request on a connection.
    """
    reason = reason.lower()
    fault = _TLS if is_tls else next((one for one in _FAULTS if one.word in reason), _OTHER)
    if fault.word == "method" and not is_first:
        fault = _AFTER_A_BODY
    return RequestError(
        f"The request is not valid HTTP/1.1. {fault.what}".rstrip(),
        code="invalid_http",
        hint=fault.hint,
    )


def url_too_long() -> RequestError:
    """Return the error for a URL with more than `MAX_URL` bytes."""
    return RequestError(
        f"The URL is longer than {MAX_URL:,} bytes.",
        status=414,
        code="url_too_long",
        hint="Send the data in the body of the request.",
    )


def too_large(limit: int) -> RequestError:
    """Return the error for a request head with more than `limit` bytes."""
    return RequestError(
        f"The request line and headers are larger than {limit // 1024} KiB.",
        status=431,
        code="headers_too_large",
        hint="Send fewer or shorter headers.",
    )


def too_slow() -> RequestError:
    """Return the error for a request head that did not arrive in time."""
    return RequestError(
        "The request line and headers did not arrive in time.",
        status=408,
        code="request_timeout",
        hint="Send them faster, or raise the limit with COPILOT_PROXY_RECEIVE_TIMEOUT (seconds).",
    )


def is_tls(data: bytes) -> bool:
    """Return whether the first bytes of a connection are TLS (RFC 8446, section 5.1)."""
    return data.startswith(b"\x16\x03")


def response(error: RequestError, client: str | None, reason: str = "malformed request") -> bytes:
    """Return `error` as a complete HTTP response, and log it with `reason`.

    The log line contains the address of `client`, but nothing that the client sent.
    """
    request_id = new_request_id()
    log.warning(
        "%d %s to %s: %s, %s",
        error.status,
        error.code,
        client or "a client",
        reason,
        request_id,
        extra={
            "fields": {
                "event": "broken_http",
                "client": client,
                "status": error.status,
                "error": error.code,
                "request_id": request_id,
            }
        },
    )
    body = msgspec.json.encode(error_body(error, request_id))
    head = _HEAD.format(
        status=error.status,
        phrase=HTTPStatus(error.status).phrase,
        length=len(body),
        request_id=request_id,
    )
    return head.encode() + body
