"""Failures as HTTP answers in the client's own shape, our own faults included."""

import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar.types import Scope, Send

from copilot_proxy.errors import CopilotProxyError, code_of
from copilot_proxy.formats.chat_completions import errors as openai
from copilot_proxy.formats.messages import errors as anthropic
from copilot_proxy.relay.records import RequestContext

log = logging.getLogger(__name__)

_MESSAGES: Final = "/v1/messages"

ErrorBody = Callable[[CopilotProxyError, str], dict[str, Any]]


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


def speaks_anthropic(context: RequestContext) -> bool:
    """Whether the client is one of Anthropic's API: by the path, or by the header it sends."""
    return context.path.startswith(_MESSAGES) or b"anthropic-version" in context.headers


def failure(scope: Scope, error: CopilotProxyError) -> tuple[bytes, dict[str, str]]:
    """The body and the headers that tell `error` to the client of `scope`."""
    context: RequestContext = scope["state"]["context"]
    context.error = code_of(error)
    shape: ErrorBody = anthropic.error_body if speaks_anthropic(context) else openai.error_body
    body = msgspec.json.encode(shape(error, context.request_id))
    headers = {"content-type": "application/json", **error.headers}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return body, headers


async def send_error(scope: Scope, send: Send, error: CopilotProxyError) -> None:
    """A whole HTTP answer that says `error`."""
    body, named = failure(scope, error)
    headers = [(name.encode(), value.encode()) for name, value in named.items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
