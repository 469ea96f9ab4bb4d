"""Repairs the responses of models that Copilot serves on the Responses API.

Copilot sends a different id for the same item in every event, which confuses clients that rely on
ids. Calls to tools that were sent to Copilot as functions are converted back to calls to the
client's tools.
"""

import time
from collections.abc import KeysView, Mapping
from typing import Final, NamedTuple

from copilot_proxy.errors import BrokenResponse, CopilotProxyError, UpstreamRefusal
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.responses.event_indexes import EventIndexes
from copilot_proxy.formats.responses.ids import new_id, short_id
from copilot_proxy.formats.responses.item_repair import ItemRepair
from copilot_proxy.formats.responses.response_events import TERMINAL, whole_events
from copilot_proxy.formats.responses.response_object import (
    base_response,
    error_fields,
    failed_response,
)
from copilot_proxy.formats.responses.tools import ToolNames
from copilot_proxy.formats.responses.unannounced_items import UnannouncedItems
from copilot_proxy.formats.responses.usage import complete_usage, usage_to_chat
from copilot_proxy.formats.translators import RepeatedEvents
from copilot_proxy.formats.types import (
    ChatUsage,
    CopilotUsage,
    Json,
    Response,
    ResponsesEvent,
    ResponsesRequest,
)
from copilot_proxy.formats.upstream_errors import parse_error_event

_ENDS: Final = frozenset(TERMINAL.values())
_ACTED_ON: Final = ("context_length_exceeded", "insufficient_quota")
"""OpenAI's error codes that change what clients do: they compact the conversation, or stop instead
of sending the request again."""
_TEXTS: Final = frozenset(
    f"response.{kind}.delta"
    for kind in ("output_text", "refusal", "reasoning_summary_text", "reasoning_text")
)
"""The event types that contain a text delta."""


class _Pieces(NamedTuple):
    """Consecutive deltas of the same text, which are all repaired in the same way as the first."""

    kind: str
    output_index: int
    fields: KeysView[str]
    """The names of the fields that each event has."""
    repaired: Json
    """The fields to replace or add."""


_NO_PIECES: Final = _Pieces("", -1, {}.keys(), {})


class ResponsesRepair:
    """Repairs a response from Copilot's Responses API, event by event.

    `feed` accepts the decoded JSON of an event, or of a whole response, and returns the events for
    the client. `close` must be called once, when the upstream response has ended. Both raise
    `UpstreamError` if the response is broken. `fail` returns the events that report an error.
    `request` is the client's original request. `tool_names` maps the tool names sent to the model
    to the client's names. `now` is in seconds since 1970.

    An error that upstream reports as an event is passed on, and kept in `failure`. `usage` is in
    the format of Chat Completions; `response` is the response in the final event.
    """

    repeated: RepeatedEvents | None = None

    def __init__(
        self,
        request: ResponsesRequest,
        tool_names: Mapping[str, str] | None = None,
        *,
        now: int | None = None,
    ) -> None:
        self.notes: list[str] | None = None
        self._tools = ToolNames(request)
        self._items = ItemRepair(self._tools, tool_names or {})
        self._indexes = EventIndexes()
        self._unannounced = UnannouncedItems()
        self._pieces = _NO_PIECES
        self._has_renamed_tools = bool(tool_names)
        created = int(time.time()) if now is None else now
        self._base = base_response(request, request["model"], created)
        self._id = ""
        self._number = 0
        self.usage: ChatUsage | None = None
        self.copilot_usage: CopilotUsage | None = None
        self.failure: UpstreamRefusal | None = None
        self.response: Response | None = None
        self.is_finished = False
        self.finish_reason: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the final event has arrived."""
        return self.is_finished

    @property
    def is_complete(self) -> bool:
        """Whether the final event has been returned to the client."""
        return self.response is not None

    def whole(self, events: list[ResponsesEvent]) -> Response:
        """Return the response. Raises `UpstreamError` if there is none."""
        if self.response is None or self.failure is not None:
            raise self.failure or BrokenResponse("Copilot's answer is not a valid response.")
        return self.response

    def feed(self, data: object) -> list[ResponsesEvent]:
        """Return the events to send to the client for an event or a whole response from Copilot."""
        if not isinstance(data, dict):
            raise broken_responses.not_an_object()
        if self.is_finished:
            return []
        kind = data.get("type")
        if isinstance(kind, str):
            events = self._repaired(kind, data)
        elif data.get("error"):
            raise parse_error_event(data)
        elif isinstance(data.get("output"), list):
            events = [e for one in whole_events(data) for e in self._repaired(one["type"], one)]
        else:
            events = []
        return self._numbered(events)

    def close(self, *, done: bool = False) -> list[ResponsesEvent]:
        """Return an empty list. Raises `BrokenResponse` if the response did not end."""
        if self.is_finished:
            return []
        if self._number == 0:
            raise broken_responses.empty_answer()
        raise broken_responses.ended_early()

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ResponsesEvent]:
        """Return the events that end the stream with `error`, keeping the items so far."""
        has_started = self._number > 0
        self._id = self._id or new_id("resp")
        response = {**self._base, "id": self._id, "status": "in_progress", "usage": None}
        kinds = () if has_started else ("response.created", "response.in_progress")
        events: list[ResponsesEvent] = [{"type": kind, "response": response} for kind in kinds]
        output = self._items.output(None)
        failed = failed_response({**response, "output": output}, error, request_id)
        events.append({"type": TERMINAL["failed"], "response": failed})
        self.is_finished = True
        return self._numbered(events)

    def _numbered(self, events: list[ResponsesEvent]) -> list[ResponsesEvent]:
        for event in events:
            # The upstream numbers are no longer consecutive, since some calls now have fewer
            # events.
            event["sequence_number"] = self._number
            self._number += 1
        return events

    def _repaired(self, kind: str, event: ResponsesEvent) -> list[ResponsesEvent]:
        last = self._pieces
        if (
            kind == last.kind
            and event.keys() == last.fields
            and event["output_index"] == last.output_index
        ):
            return [{**event, **last.repaired}]
        self._pieces = _NO_PIECES
        if kind == "error":
            return [self._error(event)]
        complete = self._unannounced.complete(kind, self._indexes.complete(kind, event))
        if len(complete) > 1:
            return [e for one in complete for e in self._for_client(one["type"], one)]
        events = self._for_client(kind, complete[0]) if complete else []
        is_passed = len(events) == 1 and complete[0] is event
        if kind in _TEXTS and is_passed and event["output_index"] in self._unannounced.known:
            repaired = {n: v for n, v in events[0].items() if n == "item_id" or n not in event}
            self._pieces = _Pieces(kind, event["output_index"], event.keys(), repaired)
        return events

    def _for_client(self, kind: str, event: ResponsesEvent) -> list[ResponsesEvent]:
        out = dict(event)
        response = event.get("response")
        if isinstance(response, dict):
            out["response"] = self._response(kind, response, event)
        index = out.get("output_index")
        return self._items.repair(kind, index, out) if type(index) is int else [out]

    def _response(self, kind: str, response: Response, event: ResponsesEvent) -> Response:
        """Return the response with its fixed id and all fields that OpenAI's schema requires."""
        self._id = self._id or short_id("resp", response.get("id"))
        out = {**self._base, **response, "id": self._id}
        # Copilot stores nothing, and is not aware of the responses that this server remembers.
        out["store"] = self._base["store"]
        out["previous_response_id"] = self._base["previous_response_id"]
        # If the field were null, OpenAI's own SDKs would not fill it in.
        if out.get("output_text") is None:
            out.pop("output_text", None)
        if not self._tools.is_plain or self._has_renamed_tools:
            out["tools"] = self._base["tools"]
            out["tool_choice"] = self._base["tool_choice"]
        out["output"] = self._items.output(response.get("output"))
        usage = out.get("usage")
        if isinstance(usage, dict):
            self.usage = usage_to_chat(usage)
            out["usage"] = complete_usage(usage)
        for costs in (event.get("copilot_usage"), response.get("copilot_usage")):
            if isinstance(costs, dict):
                self.copilot_usage = costs
        if kind in _ENDS:
            self._end(kind, out)
        return out

    def _end(self, kind: str, response: Response) -> None:
        self.is_finished = True
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        self.finish_reason = str(reason or response.get("status"))
        self.response = response
        if kind == TERMINAL["failed"]:
            error = response.get("error")
            error = error if isinstance(error, dict) else {}
            self.failure = parse_error_event({"error": error})
            fields = {"code": _code(error, self.failure), **error_fields(self.failure)}
            response["error"] = {**error, **fields}

    def _error(self, event: ResponsesEvent) -> ResponsesEvent:
        """Return an error event in the flat form that clients of this API expect.

        If this is the first event, raises the error instead, so that the client can still receive a
        status code for it.
        """
        nested = event.get("error")
        failure = parse_error_event(event if nested else {"error": event})
        if self._number == 0:
            raise failure
        error = nested if isinstance(nested, dict) else event
        self.failure = failure
        self.is_finished = True
        return {
            **{name: value for name, value in event.items() if name != "error"},
            "code": _code(error, failure),
            "param": error.get("param"),
            **error_fields(failure),
        }


def _code(error: Json, failure: CopilotProxyError) -> object:
    """Return Copilot's error code, or OpenAI's if clients act on it."""
    return failure.code if failure.code in _ACTED_ON else error.get("code")
