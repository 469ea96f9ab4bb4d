"""Answers to what is no whole HTTP request: no application hears of it, so it is answered here.

Nobody can tell what the client would have understood; it gets OpenAI's error object.
"""

import logging
from http import HTTPStatus
from typing import Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.relay.records import new_request_id

log = logging.getLogger(__name__)

_HEAD: Final = (
    "HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
    "connection: close\r\nx-request-id: {request_id}\r\nx-content-type-options: nosniff\r\n\r\n"
)


def invalid() -> RequestError:
    """The bytes that came are no HTTP."""
    return RequestError(
        "This is not HTTP as this server understands it.",
        code="invalid_http",
        hint="It speaks plain HTTP/1.1: use http:// in the client's base URL, not https://.",
    )


def too_large(limit: int) -> RequestError:
    """A head of more than `limit` bytes."""
    return RequestError(
        f"The head of the request is larger than {limit} bytes.",
        status=431,
        code="headers_too_large",
        hint="Send fewer or shorter headers.",
    )


def too_slow() -> RequestError:
    """A head that was not complete in time."""
    return RequestError(
        "The head of the request did not arrive in time.",
        status=408,
        code="request_timeout",
        hint="Send it faster, or set COPILOT_PROXY_RECEIVE_TIMEOUT to more seconds.",
    )


def answer(error: RequestError, client: str | None) -> bytes:
    """The whole HTTP answer that says `error`; the log gets a line, with the address of `client`
    and nothing of what it sent."""
    request_id = new_request_id()
    log.warning(
        "%d %s to %s for what is no whole request, %s",
        error.status,
        error.code,
        client or "a client",
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
