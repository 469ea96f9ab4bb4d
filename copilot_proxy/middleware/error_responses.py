"""Error responses in the format of the client's API, including internal errors."""

import logging

import msgspec

from copilot_proxy.asgi import Scope, Send
from copilot_proxy.errors import CopilotProxyError, code_of, with_profile, with_simulate_flag
from copilot_proxy.private_files import failure_reason
from copilot_proxy.relay.records import RequestContext

log = logging.getLogger(__name__)


def to_proxy_error(error: Exception) -> CopilotProxyError:
    """Return `error` itself, or an internal error for an unexpected exception.

    Unexpected exceptions are logged with their traceback; the client receives neither.
    """
    if isinstance(error, CopilotProxyError):
        return error
    log.error("Internal error", exc_info=error)
    return CopilotProxyError(
        "copilot-proxy failed with an internal error.",
        hint="Please look up the request_id in the server's log and report the entry.",
        code="internal_error",
        headers={"x-should-retry": "false"},
    )


def unreadable_code(error: ImportError | OSError) -> CopilotProxyError:
    """Return the error for a request whose API cannot be imported, usually because too many files
    and connections are open. Nothing has been sent to Copilot yet, so clients may try again."""
    reason = failure_reason(error) if isinstance(error, OSError) else str(error)
    return CopilotProxyError(
        f"The server cannot read its own files: {reason}.",
        status=503,
        code="server_busy",
        hint="Try again in a moment, or raise the limit on open files (ulimit -n).",
        headers={"retry-after": "1"},
    )


def error_parts(scope: Scope, error: CopilotProxyError) -> tuple[int, bytes, dict[str, str]]:
    """Return the status, body and headers of the response that reports `error` to the client.

    Also stores the error's code in the request context in `scope`, for the log.
    """
    context: RequestContext = scope["state"]["context"]
    context.error = code_of(error)
    if context.simulated or context.profile:
        error = error.copy()
        hint = with_simulate_flag(error.hint) if context.simulated else error.hint
        error.hint = with_profile(hint, context.profile)
    body = msgspec.json.encode(context.client_api.error_body(error, context.request_id))
    headers = {"content-type": "application/json", **error.headers}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return context.client_api.error_status(error), body, headers


async def send_error(scope: Scope, send: Send, error: CopilotProxyError) -> None:
    """Send a complete HTTP response that reports `error`."""
    status, body, fields = error_parts(scope, error)
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
