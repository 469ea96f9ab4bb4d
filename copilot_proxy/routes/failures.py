"""Failures as HTTP answers, our own faults included."""

import logging

import msgspec
from litestar.types import Send

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.chat_completions.errors import error_body

log = logging.getLogger(__name__)


def as_ours(error: Exception) -> CopilotProxyError:
    """`error` itself, or for a fault of this program an error that says so.

    Such a fault is told plainly to the client, and in full to the log.
    """
    if isinstance(error, CopilotProxyError):
        return error
    log.error("internal error", exc_info=error)
    return CopilotProxyError(
        "copilot-proxy itself failed.",
        hint="Its log has the details under this request_id; please report them.",
        code="internal_error",
        headers={"x-should-retry": "false"},
    )


async def send_error(send: Send, error: CopilotProxyError, request_id: str) -> None:
    """A whole HTTP answer that says `error`."""
    body = msgspec.json.encode(error_body(error, request_id))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in error.headers.items()),
    ]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
