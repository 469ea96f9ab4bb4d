"""Translates chat chunks to the events of a Responses stream, or to a whole response."""

import time
from typing import Any

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.responses import encrypted_reasoning
from copilot_proxy.formats.responses.ids import new_id
from copilot_proxy.formats.responses.output_items import (
    CallItem,
    MessageItem,
    OpenItem,
    ReasoningItem,
)
from copilot_proxy.formats.responses.response_object import base_response, failed_response
from copilot_proxy.formats.responses.tools import ToolNames
from copilot_proxy.formats.responses.usage import usage_from_chat
from copilot_proxy.formats.types import (
    ChatChunk,
    CopilotUsage,
    Json,
    Response,
    ResponsesEvent,
    ResponsesRequest,
)

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ChatToResponses:
    """Translates one response for a client of the Responses API.

    `feed` accepts a chunk and returns its events, `close` returns the events that end the stream,
    and `fail` returns the events that end it with an error. `request` is the client's original
    request. `model` is the response's `model`. `now` is in seconds since 1970.

    As in OpenAI's own streams, an item ends before the next one starts, even if the deltas of calls
    alternate: the events of later items are held back until a call is complete.
    """

    def __init__(self, request: ResponsesRequest, model: str, *, now: int | None = None) -> None:
        created = int(time.time()) if now is None else now
        self._response: Response = {
            "id": new_id("resp"),
            **base_response(request, model, created),
            "status": "in_progress",
            "usage": None,
        }
        self._tools = ToolNames(request)
        self._now = now
        self._number = 0
        self._items: list[OpenItem] = []
        self._current: ReasoningItem | MessageItem | None = None
        self._calls: dict[int, CallItem] = {}
        """The calls, by their index in the chunks."""
        self._open_calls: list[CallItem] = []
        self._held: list[ResponsesEvent] = []
        """Events of items after the first call that is not complete yet."""
        self._first = -1
        """The index of that call."""
        self._tag = ""
        self._pending_opaque = ""
        """Encrypted reasoning that arrived while no reasoning item was open, such as hidden
        thinking. It becomes an item of its own."""
        self._finish: str | None = None
        self._copilot_usage: CopilotUsage | None = None

    @property
    def response(self) -> Response:
        """The response so far, with only its complete items. It is final after `close`."""
        done = [dict(item.item) for item in self._items if item.is_done]
        return {**self._response, "output": done}

    def feed(self, chunk: ChatChunk) -> list[ResponsesEvent]:
        """Return the events for one chunk."""
        if not self._number and "service_tier" in chunk:
            self._response["service_tier"] = chunk["service_tier"]
        events = self._begin()
        if chunk.get("usage"):
            self._response["usage"] = usage_from_chat(chunk["usage"])
        if chunk.get("copilot_usage"):
            self._copilot_usage = chunk["copilot_usage"]
        overlaps = False
        for choice in chunk["choices"]:
            self._delta(choice["delta"], events)
            # Usually, the only open call is the last item.
            overlaps = bool(self._open_calls) and self._open_calls[0] is not self._items[-1]
            if choice.get("finish_reason"):
                self._finish = choice["finish_reason"]
                self._close_items(events)
        if overlaps or self._held:
            events = self._in_order(events)
        return self._numbered(events)

    def close(self) -> list[ResponsesEvent]:
        """Return the events that end the stream. Must be called once, after the last chunk.

        Raises `BrokenResponse` if there was no finish reason.
        """
        if self._finish is None:
            raise broken_responses.ended_early()
        reason = _INCOMPLETE.get(self._finish)
        if reason is None:
            self._response["status"] = "completed"
            self._response["completed_at"] = int(time.time()) if self._now is None else self._now
        else:
            self._response["status"] = "incomplete"
            self._response["incomplete_details"] = {"reason": reason}
        return self._numbered([self._final()])

    def whole(self, events: list[ResponsesEvent]) -> Response:
        """Return the whole response. Must be called after `close`."""
        return self.response

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ResponsesEvent]:
        """Return the events that end the stream with `error`, keeping the items so far."""
        events = [*self._begin(), *self._held]
        self._response = failed_response(self._response, error, request_id)
        return self._numbered([*events, self._final()])

    def _begin(self) -> list[ResponsesEvent]:
        if self._number:
            return []
        kinds = ("response.created", "response.in_progress")
        return [{"type": kind, "response": self.response} for kind in kinds]

    def _final(self) -> ResponsesEvent:
        kind = f"response.{self._response['status']}"
        event: ResponsesEvent = {"type": kind, "response": self.response}
        if self._copilot_usage is not None:
            event["copilot_usage"] = self._copilot_usage
        return event

    def _in_order(self, events: list[ResponsesEvent]) -> list[ResponsesEvent]:
        """Return the events held back so far and `events`, up to the first open item."""
        first = next((item.index for item in self._items if not item.is_done), len(self._items))
        if first != self._first:
            self._first, self._held, events = first, [], [*self._held, *events]
        ready: list[ResponsesEvent] = []
        for event in events:
            (ready if event.get("output_index", 0) <= first else self._held).append(event)
        return sorted(ready, key=lambda event: event.get("output_index", 0))

    def _numbered(self, events: list[ResponsesEvent]) -> list[ResponsesEvent]:
        for event in events:
            event["sequence_number"] = self._number
            self._number += 1
        return events

    def _delta(self, delta: Json, events: list[ResponsesEvent]) -> None:
        if text := delta.get("reasoning_content"):
            events += self._open_item(ReasoningItem, events).add(text)
        if opaque := delta.get("reasoning_opaque"):
            self._tag = self._tag or encrypted_reasoning.tag_of(opaque)
            if isinstance(self._current, ReasoningItem):
                self._current.opaque += opaque
                self._current.tag = self._tag
            else:
                self._pending_opaque += opaque
        if text := delta.get("content"):
            item = self._current
            if isinstance(item, MessageItem) and item.text_event is not None:
                # Like most chunks, this one continues the text.
                item.texts.append(text)
                events.append({**item.text_event, "delta": text})
            else:
                events += self._open_item(MessageItem, events).add(text)
        if text := delta.get("refusal"):
            events += self._open_item(MessageItem, events).add(text, kind="refusal")
        for fragment in delta.get("tool_calls") or ():
            self._call(fragment, events)
        if self._held:
            self._close_complete_calls(events)

    def _open_item(self, kind: Any, events: list[ResponsesEvent]) -> Any:
        """Return the open item of class `kind`; if needed, close the previous item and open a new
        one."""
        if not isinstance(self._current, kind):
            self._close_current(events)
            self._add_pending_reasoning(events)
            self._current = self._add(kind(len(self._items)), events)
        return self._current

    def _call(self, fragment: Json, events: list[ResponsesEvent]) -> None:
        is_custom = "custom" in fragment
        called = fragment["custom" if is_custom else "function"]
        call = self._calls.get(fragment["index"])
        if call is None:
            self._close_current(events)
            self._add_pending_reasoning(events)
            tool = self._tools.client_tool(called["name"])
            call = CallItem(len(self._items), fragment["id"], tool)
            self._calls[fragment["index"]] = self._add(call, events)
            self._open_calls.append(call)
        text = called.get("input" if is_custom else "arguments")
        if text and not call.is_done:
            events += call.add(text)

    def _add(self, item: Any, events: list[ResponsesEvent]) -> Any:
        self._close_complete_calls(events)
        self._items.append(item)
        events += item.open()
        return item

    def _close_complete_calls(self, events: list[ResponsesEvent]) -> None:
        """Close the calls to which nothing can be added."""
        for call in list(self._open_calls):
            if call.is_complete:
                events += call.close("completed")
                self._open_calls.remove(call)

    def _close_current(self, events: list[ResponsesEvent]) -> None:
        if self._current is not None:
            events += self._current.close("completed")
            self._current = None

    def _add_pending_reasoning(self, events: list[ResponsesEvent]) -> None:
        if self._pending_opaque:
            item = self._add(ReasoningItem(len(self._items)), events)
            item.opaque, item.tag, self._pending_opaque = self._pending_opaque, self._tag, ""
            events += item.close("completed")

    def _close_items(self, events: list[ResponsesEvent]) -> None:
        """Close all items; if the response was cut off, the last one is incomplete."""
        cut = self._finish in _INCOMPLETE
        for item in self._items:
            if not item.is_done:
                is_last = item is self._items[-1]
                events += item.close("incomplete" if cut and is_last else "completed")
        self._current = None
        self._open_calls = []
        self._add_pending_reasoning(events)
