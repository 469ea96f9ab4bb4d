"""The messages of the Responses API over a WebSocket, except for response events.

A request has the fields of an HTTP request body, except ``stream``, plus a few of its own:
``type``, ``generate``, and ``stream_id``, which the response's events repeat. The message for an
error contains the error as an object, and the status that an HTTP response would have.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

import msgspec

from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.formats.chat_completions.errors import error_body, error_status
from copilot_proxy.formats.large_json import MAX_VALUES, check_value_count
from copilot_proxy.formats.request_json import parse_json
from copilot_proxy.formats.sizes import size_text
from copilot_proxy.formats.types import ErrorBody, Json

_LANE: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)
_CREATE: Final = "response.create"
_KINDS: Final = (_CREATE, "response.steer", "response.processed")
_SOCKET_FIELDS: Final = ("type", "stream_id", "generate")
"""Fields that HTTP requests do not have."""
_TRUE: Final = msgspec.Raw(b"true")
_NULL: Final = msgspec.Raw(b"null")
_MAX_PLAIN: Final = 1024
"""Maximum size in bytes of each field that HTTP requests do not have."""
_INVALID: Final = object()
_MAX_STEERING: Final = 128 * 1024
"""Maximum size in bytes of input for a running response. It is limited because the refusal repeats
the input."""


class ClientMessage(NamedTuple):
    """A message from the client."""

    kind: str
    """One of `_KINDS`."""
    body: bytes
    """The JSON body of the equivalent HTTP request; for ``response.steer``, the answer to send."""
    lane: str | None = None
    """The ``stream_id`` of the message."""
    is_warm_up: bool = False
    """Whether the client wants no output (``generate: false``)."""


class MessageError(Exception):
    """A message that cannot be answered; `message` is the error to send."""

    def __init__(self, message: bytes) -> None:
        super().__init__()
        self.message = message

    @classmethod
    def of(cls, error: CopilotProxyError, lane: str | None = None) -> Self:
        """Return a `MessageError` that tells the client about `error`, without a request id."""
        body = error_body(error, "")
        del body["error"]["request_id"]
        return cls(error_message(error_status(error), body, error.headers, lane))

    @classmethod
    def too_many(cls, count: int, lane: str | None) -> Self:
        """Return the error for a WebSocket that already has `count` requests."""
        requests = "an unanswered request" if count == 1 else f"{count} unanswered requests"
        return cls.of(
            RequestError(
                f"This WebSocket already has {requests}: the limit on the number or total size of "
                "such requests has been reached.",
                code="websocket_stream_limit_reached",
                hint="Wait for a response, or open another WebSocket.",
            ),
            lane,
        )


def parse_message(data: bytes | str, limit: int) -> ClientMessage:
    """Parse a message from the client, which may have up to `limit` bytes. Raises `MessageError`.

    Anything other than a JSON object is treated as a request, which will then be rejected.
    """
    data = (data.encode() if isinstance(data, str) else data).removeprefix(BOM_UTF8)
    try:
        if len(data) > limit:
            raise _too_large(f"The message is larger than {size_text(limit)}.")
        if len(data) > MAX_VALUES:
            check_value_count(data, MAX_VALUES)
    except RequestError as error:
        raise MessageError.of(error) from None
    fields = _fields(data)
    if fields is None:
        return ClientMessage(_CREATE, data)
    kind, lane, generate = (_plain(fields.pop(name, None)) for name in _SOCKET_FIELDS)
    if lane is not None and (not isinstance(lane, str) or not _LANE.fullmatch(lane)):
        raise MessageError.of(
            RequestError(
                "Invalid 'stream_id': expected 1 to 256 letters, digits, '_', '.' or '-'.",
                param="stream_id",
                code="invalid_value",
            )
        )
    if kind not in _KINDS:
        raise MessageError.of(_unknown_kind(kind), lane)
    if generate is not None and not isinstance(generate, bool):
        # Without this error, an intended warm-up would become a normal request, which is billed.
        raise MessageError.of(
            RequestError(
                "Invalid 'generate': expected true or false.",
                param="generate",
                code="invalid_value",
            ),
            lane,
        )
    if kind == "response.steer":
        return ClientMessage(kind, _steering_refused(fields, lane), lane)
    fields["stream"] = _TRUE
    return ClientMessage(kind, msgspec.json.encode(fields), lane, is_warm_up=generate is False)


def _fields(data: bytes) -> dict[str, msgspec.Raw] | None:
    """Return the fields of a message, or None if it is not a JSON object.

    The values stay undecoded: they may be large, and are validated with the request.
    """
    try:
        return msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        # JSON with half of a surrogate pair is also accepted, as over HTTP.
        decoded = parse_json(data)
    except RequestError:
        return None
    if not isinstance(decoded, dict):
        return None
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in decoded.items()}


def _plain(value: msgspec.Raw | None) -> object:
    """Return the decoded value, or `_INVALID` if it is long or not JSON."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value) if len(memoryview(value)) <= _MAX_PLAIN else _INVALID
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _INVALID


def _too_large(message: str) -> RequestError:
    return RequestError(
        message,
        status=413,
        code="request_too_large",
        hint="Send smaller or fewer images, or raise the limit with COPILOT_PROXY_MAX_BODY_BYTES.",
    )


def _unknown_kind(kind: object) -> RequestError:
    if kind is None:
        return RequestError(
            "Missing required parameter: 'type'.",
            param="type",
            code="missing_required_parameter",
            hint=f'Send {{"type": "{_CREATE}", …}} with the fields of a request.',
        )
    return RequestError(f"Invalid 'type': expected {_CREATE}.", param="type", code="invalid_value")


def error_message(
    status: int, body: ErrorBody, headers: Mapping[str, str], lane: str | None
) -> bytes:
    """Return the message for an error response with this status, JSON body and headers."""
    error = {**body["error"], "headers": headers} if headers else body["error"]
    # Codex looks for the headers next to the error, and OpenAI's SDKs look inside it.
    message = {"type": "error", "status": status, "error": error, "headers": headers}
    return with_fields(msgspec.json.encode(message), lane)


def _steering_refused(fields: Mapping[str, msgspec.Raw], lane: str | None) -> bytes:
    """Return the answer that refuses input for a running response. Raises `MessageError` if the
    input is too large."""
    given = {name: fields.get(name, _NULL) for name in ("input", "previous_response_id")}
    if sum(len(memoryview(value)) for value in given.values()) > _MAX_STEERING:
        raise MessageError.of(
            RequestError(
                f"The input for the running response is larger than {size_text(_MAX_STEERING)}.",
                status=413,
                code="steering_not_supported",
                hint="Send the input with the next request.",
            ),
            lane,
        )
    try:
        steer = msgspec.json.decode(msgspec.json.encode(given))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        steer = dict.fromkeys(given)
    return msgspec.json.encode(
        {
            "type": "response.steer.failed",
            "sequence_number": 0,
            "error": {
                "type": "invalid_request_error",
                "code": "steering_not_supported",
                "message": "Copilot does not accept input while it is answering. Send the input "
                "with the next request.",
            },
            "steer": steer,
        }
    )


def with_fields(event: bytes, lane: str | None, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the JSON `event` with the ``stream_id`` of its request, and with `headers`."""
    fields: Json = {}
    if lane is not None:
        fields["stream_id"] = lane
    if headers:
        fields["headers"] = headers
    return msgspec.json.encode(fields)[:-1] + b"," + event[1:] if fields else event
