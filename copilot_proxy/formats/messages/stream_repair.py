"""Repairs Copilot's Messages responses, and removes the fields that Copilot adds."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from copilot_proxy.errors import BrokenResponse, CopilotProxyError, UpstreamError
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.messages.block_repair import BlockRepair, true_reason
from copilot_proxy.formats.messages.errors import error_event, without_hint
from copilot_proxy.formats.messages.message_events import MessageAssembler, message_to_events
from copilot_proxy.formats.messages.transformations import note_transformations
from copilot_proxy.formats.messages.unrequested import without_fields
from copilot_proxy.formats.messages.usage import add_usage, usage_to_chat
from copilot_proxy.formats.tool_arguments import RunawayGuard
from copilot_proxy.formats.translators import RepeatedEvents
from copilot_proxy.formats.types import ChatUsage, CopilotUsage, Json, Message, MessagesEvent
from copilot_proxy.formats.upstream_errors import parse_error_event

_ADDITIONS: Final = frozenset(("copilot_annotations", "amazon-bedrock-invocationMetrics"))
"""The fields that Copilot and its backends add to events and blocks; strict clients reject them."""

_ENDS: Final = ("message_delta", "message_stop")
_NESTED: Final = ("delta", "content_block", "message")
"""The objects in an event to which Copilot may also add fields."""

_UNSTATED_END: Final[MessagesEvent] = {
    "type": "message_delta",
    "delta": {"stop_reason": "", "stop_sequence": None},
}
"""The event that completes a response without a stop reason."""


class MessagesRepair:
    """Repairs one response, event by event.

    `feed` accepts the decoded JSON of an event, or of a whole message, and returns the events for
    the client. `close` returns the last events. Both raise `UpstreamError` if the response is
    broken or is an error. If an error occurs after the start of the message, it is passed on as an
    event instead, and `failure` is set.

    `usage` contains the token counts so far, in the format of Chat Completions. `tool_names` maps
    the tool names sent to the model to the client's names. `unrequested` are the fields to leave
    out. `model` is the client's name for the model, which replaces Copilot's: older versions of
    Claude Code only send thinking back if the response has the requested name.
    """

    repeated: RepeatedEvents | None = None

    def __init__(
        self,
        request_id: str = "",
        tool_names: Mapping[str, str] | None = None,
        *,
        unrequested: Collection[str] = (),
        model: str | None = None,
    ) -> None:
        self.notes: list[str] | None = None
        self._model = model
        self._request_id = request_id
        self._unrequested = unrequested
        self._tool_names = tool_names or {}
        self._has_started = False
        self._has_finished = False
        self.finish_reason: str | None = None
        self._has_stopped = False
        self._counts: Json = {}
        self._guards: dict[Any, RunawayGuard] = {}
        self._blocks = BlockRepair()
        self._message: Message | None = None
        self.usage: ChatUsage | None = None
        self.copilot_usage: CopilotUsage | None = None
        self.failure: UpstreamError | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the model has finished, so that only token counts can follow."""
        return self._has_finished

    @property
    def has_ended(self) -> bool:
        """Whether Copilot has sent the last event."""
        return self._has_stopped

    @property
    def is_complete(self) -> bool:
        """Whether `feed` has already returned the last event for the client."""
        return self._has_stopped

    def whole(self, events: list[MessagesEvent]) -> Message:
        """Return the message that Copilot sent as a whole, or the message assembled from `events`.

        `events` are all events that `feed` and `close` returned. Raises `UpstreamError`.
        """
        return message_from_events(events) if self._message is None else self._message

    def fail(self, error: CopilotProxyError, request_id: str) -> list[MessagesEvent]:
        """Return the event that reports an error and ends the stream."""
        return [error_event(error, request_id)]

    def feed(self, data: object) -> list[MessagesEvent]:
        """Return the events for an event or a whole message from Copilot."""
        if not isinstance(data, dict):
            raise broken_responses.not_an_object()
        if self.failure is not None or self._has_stopped:
            return []
        if data.get("type") == "error" or data.get("error"):
            return self._fail(data)
        if data.get("type") != "content_block_delta":  # most events are deltas without these fields
            if self.notes is not None:
                note_transformations(data, self.notes)
            if self._unrequested:
                data = without_fields(data, self._unrequested)
        if is_message(data):
            self._message = self._named(repair_message(data, self._tool_names))
            events = message_to_events(self._message)
            return [event for part in events for event in self.feed(part)]
        before = self._missing_before(data)
        self._track(data)
        if not isinstance(data.get("type"), str):
            return []
        return [*before, *self._passed(data)]

    def _missing_before(self, data: MessagesEvent) -> list[MessagesEvent]:
        """Return the start or the end of the message, if Copilot left it out before `data`."""
        kind = data.get("type")
        if kind == "message_stop" and self._has_started and not self._has_finished:
            return self._end(_UNSTATED_END)
        if kind == "content_block_start" and not self._has_started:
            self._has_started = True
            message = self._named(repair_message({"content": []}))
            return [{"type": "message_start", "message": message}]
        return []

    def _passed(self, data: MessagesEvent) -> list[MessagesEvent]:
        """Return the events to send to the client for one of Copilot's events: without Copilot's
        additions, and with the client's names."""
        event = without_additions(data)
        if data["type"] == "message_start" and isinstance(event.get("message"), dict):
            return [{**event, "message": self._named(event["message"])}]
        if self._tool_names and data["type"] == "content_block_start":
            event = {
                **event,
                "content_block": _renamed(event.get("content_block"), self._tool_names),
            }
        if data["type"].startswith("content_block_"):
            return self._blocks.feed(event)
        return self._end(event) if data["type"] in _ENDS else [event]

    def _named(self, message: Message) -> Message:
        """Return the message with the client's name for the model."""
        return message if self._model is None else {**message, "model": self._model}

    def close(self, *, done: bool = False) -> list[MessagesEvent]:
        """Return the last events, if Copilot did not send them.

        Raises `BrokenResponse` if the response is incomplete.
        """
        if self.failure is not None or self._has_stopped:
            return []
        if self._has_finished:
            return [{"type": "message_stop"}]
        if done and self._has_started:
            return [*self._end(_UNSTATED_END), {"type": "message_stop"}]
        if not self._has_started:
            raise broken_responses.empty_answer()
        raise broken_responses.ended_early()

    def _end(self, event: MessagesEvent) -> list[MessagesEvent]:
        """Return one of the last events with all its fields, after closing any open blocks."""
        if event["type"] == "message_delta":
            if not isinstance(event.get("usage"), dict):
                # SDKs access `usage` without checking whether it exists.
                event = {**event, "usage": {"output_tokens": self._counts.get("output_tokens", 0)}}
            delta = event.get("delta")
            stated = delta.get("stop_reason") if isinstance(delta, dict) else None
            reason = true_reason(stated, has_call=self._blocks.has_call)
            if isinstance(stated, str) and reason != stated:
                event = {**event, "delta": {**event["delta"], "stop_reason": reason}}
        return [*self._blocks.close(), event]

    def _fail(self, data: MessagesEvent) -> list[MessagesEvent]:
        failure = parse_error_event(data)
        if not self._has_started:
            raise failure
        self.failure = failure
        return [error_event(failure, self._request_id)]

    def _track(self, data: MessagesEvent) -> None:
        """Update the state and token counts. Raises `BrokenResponse` for a runaway tool call."""
        match data.get("type"):
            case "message_start":
                self._has_started = True
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
                    self._has_finished = True
                    self.finish_reason = str(delta["stop_reason"])
                self._count(data.get("usage"))
            case "message_stop":
                self._has_finished = self._has_stopped = True
        if isinstance(data.get("copilot_usage"), dict):
            self.copilot_usage = data["copilot_usage"]

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._counts = add_usage(self._counts, usage)
            self.usage = usage_to_chat(self._counts)


def is_message(data: Json) -> bool:
    """Return whether `data` is a whole message rather than an event."""
    return data.get("type") in (None, "message") and isinstance(data.get("content"), list)


def without_additions(event: MessagesEvent) -> MessagesEvent:
    """Return the event without Copilot's additions."""
    event = _without_additions(event)
    for name in _NESTED:
        value = event.get(name)
        if isinstance(value, dict) and (clean := _without_additions(value)) is not value:
            event = {**event, name: clean}
    return event


def _without_additions(value: Json) -> Json:
    if _ADDITIONS.isdisjoint(value):
        return value
    return {name: v for name, v in value.items() if name not in _ADDITIONS}


def _renamed(block: Any, names: Mapping[str, str]) -> Any:
    """Return the block, with the client's name for the tool if it is a call."""
    name = block.get("name") if isinstance(block, dict) else None
    return {**block, "name": names[name]} if isinstance(name, str) and name in names else block


def repair_message(body: object, tool_names: Mapping[str, str] | None = None) -> Message:
    """Return a whole response as a message with all its fields.

    `tool_names` maps the tool names sent to the model to the client's names. Raises `UpstreamError`
    if the body is an error, or not a message.
    """
    if not isinstance(body, dict):
        raise BrokenResponse("Copilot sent an answer that is not a JSON object.")
    if body.get("type") == "error" or body.get("error"):
        raise parse_error_event(body)
    if not isinstance(body.get("content"), list):
        raise BrokenResponse(
            "Copilot sent an answer that is not a valid message.", hint="Try another model."
        )
    body = _without_additions(body)
    content = [_without_additions(block) for block in body["content"] if isinstance(block, dict)]
    if tool_names:
        content = [_renamed(block, tool_names) for block in content]
    has_call = any(block.get("type") == "tool_use" for block in content)
    usage = body.get("usage")
    return {
        "model": "",
        "stop_sequence": None,
        **body,
        "id": body.get("id") or f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": true_reason(body.get("stop_reason"), has_call=has_call),
        "usage": {
            "input_tokens": 0,
            "output_tokens": 0,
            **(usage if isinstance(usage, dict) else {}),
        },
    }


def message_from_events(events: Iterable[MessagesEvent]) -> Message:
    """Return the message assembled from the events of a stream.

    Raises `UpstreamError` if the stream contains an error, or if the events do not form a message.
    """
    assembler = MessageAssembler()
    try:
        for event in events:
            if event.get("type") == "error":
                raise parse_error_event(without_hint(event))
            assembler.feed(event)
        message = assembler.message
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BrokenResponse("Copilot sent events that do not form a message.") from None
    return repair_message(message)
