"""Writes the hub's chunks as a Responses stream: items, their parts, and all their events.

The same object gives the whole response in the end, for clients that do not stream.
"""

import time
from typing import Any

from copilot_proxy.errors import BrokenResponse, CopilotProxyError
from copilot_proxy.formats.responses import sealed_reasoning
from copilot_proxy.formats.responses.ids import new_id
from copilot_proxy.formats.responses.output_items import (
    CallItem,
    MessageItem,
    OutputItem,
    ReasoningItem,
)
from copilot_proxy.formats.responses.response_object import echo, failed
from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.formats.responses.tools import Toolbox, offered
from copilot_proxy.formats.responses.usage import responses_usage

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ChatToResponses:
    """The answer to one Responses request, from the chunks of the hub.

    `feed` takes a chunk and returns the events that it makes, `close` those that end the stream,
    and `fail` those that end it in the middle. `request` is the client's, as it came; `model` what
    it is told answered; `now` is in seconds since 1970.
    """

    def __init__(self, request: Json, model: str, *, now: int | None = None) -> None:
        created = int(time.time()) if now is None else now
        self._response: Json = {
            "id": new_id("resp"),
            **echo(request, model, created),
            "status": "in_progress",
            "usage": None,
        }
        self._tools = Toolbox(offered(request))
        self._now = now
        self._number = 0
        self._items: list[OutputItem] = []
        self._current: ReasoningItem | MessageItem | None = None
        self._calls: dict[int, CallItem] = {}
        """Open until the answer ends, since pieces of several calls may come mixed."""
        self._tag = ""
        self._late = ""
        """Sealed reasoning that came when its item was closed: it gets one of its own."""
        self._finish: str | None = None
        self._copilot_usage: Json | None = None

    @property
    def response(self) -> Json:
        """The response with the items that are complete; whole after `close`."""
        done = [dict(item.item) for item in self._items if item.is_done]
        return {**self._response, "output": done}

    def feed(self, chunk: Json) -> list[Json]:
        """The events of one chunk."""
        events = self._begin()
        if chunk.get("usage"):
            self._response["usage"] = responses_usage(chunk["usage"])
        if chunk.get("copilot_usage"):
            self._copilot_usage = chunk["copilot_usage"]
        for choice in chunk["choices"]:
            self._take(choice["delta"], events)
            if choice.get("finish_reason"):
                self._finish = choice["finish_reason"]
                self._close_items(events)
        return self._numbered(events)

    def close(self) -> list[Json]:
        """The events that end the stream; to be called once, after the last chunk."""
        if self._finish is None:
            raise BrokenResponse(
                "The answer broke off before it was complete.",
                hint="What came so far may be incomplete. Try again.",
            )
        reason = _INCOMPLETE.get(self._finish)
        if reason is None:
            self._response["status"] = "completed"
            self._response["completed_at"] = int(time.time()) if self._now is None else self._now
        else:
            self._response["status"] = "incomplete"
            self._response["incomplete_details"] = {"reason": reason}
        return self._numbered([self._last()])

    def whole(self, events: list[Json]) -> Json:
        """The whole response; to be called after `close`."""
        return self.response

    def fail(self, error: CopilotProxyError, request_id: str) -> list[Json]:
        """The events that end the stream with `error`; what came so far stays as it is."""
        events = self._begin()
        self._response = failed(self._response, error, request_id)
        return self._numbered([*events, self._last()])

    def _begin(self) -> list[Json]:
        if self._number:
            return []
        kinds = ("response.created", "response.in_progress")
        return [{"type": kind, "response": self.response} for kind in kinds]

    def _last(self) -> Json:
        event: Json = {"type": f"response.{self._response['status']}", "response": self.response}
        if self._copilot_usage is not None:
            event["copilot_usage"] = self._copilot_usage
        return event

    def _numbered(self, events: list[Json]) -> list[Json]:
        for event in events:
            event["sequence_number"] = self._number
            self._number += 1
        return events

    def _take(self, delta: Json, events: list[Json]) -> None:
        if text := delta.get("reasoning_content"):
            events += self._talk(ReasoningItem, events).add(text)
        if opaque := delta.get("reasoning_opaque"):
            self._tag = self._tag or sealed_reasoning.tag_of(opaque)
            if isinstance(self._current, ReasoningItem):
                self._current.opaque += opaque
                self._current.tag = self._tag
            else:
                self._late += opaque
        if text := delta.get("content"):
            events += self._talk(MessageItem, events).add(text)
        if text := delta.get("refusal"):
            events += self._talk(MessageItem, events).add(text, kind="refusal")
        for fragment in delta.get("tool_calls") or ():
            self._call(fragment, events)

    def _talk(self, kind: Any, events: list[Json]) -> Any:
        """The open item of this kind; another one that is open is closed before."""
        if not isinstance(self._current, kind):
            self._close_current(events)
            self._current = self._add(kind(len(self._items)), events)
        return self._current

    def _call(self, fragment: Json, events: list[Json]) -> None:
        function = fragment["function"]
        call = self._calls.get(fragment["index"])
        if call is None:
            self._close_current(events)
            self._unseal_late(events)
            tool = self._tools.tool(function["name"])
            call = CallItem(len(self._items), fragment["id"], tool)
            self._calls[fragment["index"]] = self._add(call, events)
        if arguments := function.get("arguments"):
            events += call.add(arguments)

    def _add(self, item: Any, events: list[Json]) -> Any:
        self._items.append(item)
        events += item.open()
        return item

    def _close_current(self, events: list[Json], status: str = "completed") -> None:
        if self._current is not None:
            events += self._current.close(status)
            self._current = None

    def _unseal_late(self, events: list[Json]) -> None:
        if self._late:
            item = self._add(ReasoningItem(len(self._items)), events)
            item.opaque, item.tag, self._late = self._late, self._tag, ""
            events += item.close("completed")

    def _close_items(self, events: list[Json]) -> None:
        """Closes all; of an answer that was cut, the last one is incomplete."""
        last = "incomplete" if self._finish in _INCOMPLETE else "completed"
        self._close_current(events, "completed" if self._calls else last)
        calls = list(self._calls.values())
        for call in calls:
            events += call.close(last if call is calls[-1] else "completed")
        self._calls = {}
        self._unseal_late(events)
