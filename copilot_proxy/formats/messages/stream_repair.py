"""The answer of a model that speaks Messages: passed on, without what Copilot has added to it."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from copilot_proxy.errors import BrokenResponse, CopilotProxyError, UpstreamError
from copilot_proxy.formats.messages.errors import error_event
from copilot_proxy.formats.messages.message_events import Assembler, events_of
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.usage import add_usage, to_openai
from copilot_proxy.formats.tool_arguments import RunawayGuard
from copilot_proxy.formats.upstream_errors import parse_error_event

_ADDED: Final = ("copilot_annotations", "amazon-bedrock-invocationMetrics")
"""What Copilot and its backends add to events and blocks; strict clients stumble over it."""

_HOLDERS: Final = ("delta", "content_block", "message")


class MessagesRepair:
    """One answer, event by event.

    `feed` takes the decoded JSON of an event, or of a whole message, and returns the events for
    the client; `close` ends the stream. Both raise `UpstreamError` when the answer is not one. An
    error that comes when something has been sent already is passed on as an event instead, and
    is then in `failure`. `usage` is OpenAI's, for keeping count. `tool_names` are the client's
    names of tools by those that the model was told.
    """

    def __init__(self, request_id: str = "", tool_names: Mapping[str, str] | None = None) -> None:
        self._request_id = request_id
        self._tool_names = tool_names or {}
        self._started = False
        self._finished = False
        self._stopped = False
        self._counts: Json = {}
        self._guards: dict[Any, RunawayGuard] = {}
        self._whole: Json | None = None
        self.usage: Json | None = None
        self.copilot_usage: Json | None = None
        self.failure: UpstreamError | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the model has said that it is done; only counts may still follow."""
        return self._finished

    @property
    def has_ended(self) -> bool:
        """Whether the last event has come, so that nothing is left to wait for."""
        return self._stopped

    @property
    def is_complete(self) -> bool:
        """Whether the client has had the last event."""
        return self._stopped

    def whole(self, events: list[Json]) -> Json:
        """The message: the one that came whole, or what the events add up to."""
        return fold(events) if self._whole is None else self._whole

    def fail(self, error: CopilotProxyError, request_id: str) -> list[Json]:
        """The event that tells of a failure; nothing may follow it."""
        return [error_event(error, request_id)]

    def feed(self, data: object) -> list[Json]:
        """The events that one event, or a whole message, makes."""
        if not isinstance(data, dict):
            raise BrokenResponse("Copilot sent an event that is not a JSON object.")
        if self.failure is not None or self._stopped:
            return []
        if data.get("type") == "error" or data.get("error"):
            return self._fail(data)
        if is_message(data):
            self._whole = repair_whole(data, self._tool_names)
            return [event for part in events_of(self._whole) for event in self.feed(part)]
        self._note(data)
        if not isinstance(data.get("type"), str):
            return []
        event = without_additions(data)
        if self._tool_names and data["type"] == "content_block_start":
            event = {
                **event,
                "content_block": _renamed(event.get("content_block"), self._tool_names),
            }
        return [event]

    def close(self) -> list[Json]:
        """The end of the stream, where upstream has left it out."""
        if self.failure is not None or self._stopped:
            return []
        if self._finished:
            return [{"type": "message_stop"}]
        if not self._started:
            raise BrokenResponse(
                "Copilot sent an empty answer.", hint="Try again, or try another model."
            )
        raise BrokenResponse(
            "Copilot's answer broke off before it was complete.",
            hint="What came so far may be incomplete. Try again.",
        )

    def _fail(self, data: Json) -> list[Json]:
        failure = parse_error_event(data)
        if not self._started:
            raise failure
        self.failure = failure
        return [error_event(failure, self._request_id)]

    def _note(self, data: Json) -> None:
        """Keeps what the event tells of the answer as a whole."""
        match data.get("type"):
            case "message_start":
                self._started = True
                message = data.get("message")
                self._count(message.get("usage") if isinstance(message, dict) else None)
            case "content_block_delta":
                delta = data.get("delta")
                text = delta.get("partial_json") if isinstance(delta, dict) else None
                if isinstance(text, str):
                    guard = self._guards.setdefault(str(data.get("index")), RunawayGuard())
                    guard.watch(text)
            case "message_delta":
                delta = data.get("delta")
                if isinstance(delta, dict) and delta.get("stop_reason"):
                    self._finished = True
                self._count(data.get("usage"))
            case "message_stop":
                self._finished = self._stopped = True
        if isinstance(data.get("copilot_usage"), dict):
            self.copilot_usage = data["copilot_usage"]

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._counts = add_usage(self._counts, usage)
            self.usage = to_openai(self._counts)


def is_message(data: Json) -> bool:
    """Whether it is a whole message, as opposed to an event."""
    return data.get("type") in (None, "message") and isinstance(data.get("content"), list)


def without_additions(event: Json) -> Json:
    """The event itself, or a copy without what was added to it."""
    event = _without(event)
    for name in _HOLDERS:
        held = event.get(name)
        if isinstance(held, dict) and (clean := _without(held)) is not held:
            event = {**event, name: clean}
    return event


def _without(value: Json) -> Json:
    if not any(name in value for name in _ADDED):
        return value
    return {name: v for name, v in value.items() if name not in _ADDED}


def _renamed(block: Any, names: Mapping[str, str]) -> Any:
    """A block in which a called tool has the client's name."""
    name = block.get("name") if isinstance(block, dict) else None
    return {**block, "name": names[name]} if isinstance(name, str) and name in names else block


def repair_whole(body: object, tool_names: Mapping[str, str] | None = None) -> Json:
    """A whole answer with all the fields that a message has; raises `UpstreamError`."""
    if not isinstance(body, dict):
        raise BrokenResponse("Copilot sent an answer that is not a JSON object.")
    if body.get("type") == "error" or body.get("error"):
        raise parse_error_event(body)
    if not isinstance(body.get("content"), list):
        raise BrokenResponse(
            "Copilot sent an answer that is no message.", hint="Try another model."
        )
    body = _without(body)
    content = [_without(block) for block in body["content"] if isinstance(block, dict)]
    if tool_names:
        content = [_renamed(block, tool_names) for block in content]
    called = any(block.get("type") == "tool_use" for block in content)
    usage = body.get("usage")
    return {
        "model": "",
        "stop_sequence": None,
        **body,
        "id": body.get("id") or f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": body.get("stop_reason") or ("tool_use" if called else "end_turn"),
        "usage": {
            "input_tokens": 0,
            "output_tokens": 0,
            **(usage if isinstance(usage, dict) else {}),
        },
    }


def fold(events: Iterable[Json]) -> Json:
    """The message that the events of a stream add up to.

    Raises `UpstreamError` for a stream that failed half way, or whose events make no message.
    """
    assembler = Assembler()
    try:
        for event in events:
            if event.get("type") == "error":
                raise parse_error_event(event)
            assembler.feed(event)
        message = assembler.message
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BrokenResponse("Copilot sent events that make no message.") from None
    return repair_whole(message)
