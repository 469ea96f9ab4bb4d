"""Repairs the answers of models that speak the Responses API themselves.

Copilot gives the same thing another id in every event, and clients that go by ids lose the thread.
Calls of tools that went out under other words come back in the client's own.
"""

import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from copilot_proxy.errors import BrokenResponse, CopilotProxyError, UpstreamRefusal
from copilot_proxy.formats.responses.ids import new_id, prefix_of, short_id
from copilot_proxy.formats.responses.repaired_item import RepairedItem
from copilot_proxy.formats.responses.response_events import TERMINAL, whole_events
from copilot_proxy.formats.responses.response_object import echo, failed, told
from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.formats.responses.tools import (
    CALLS,
    Toolbox,
    custom_input,
    offered,
    search_arguments,
)
from copilot_proxy.formats.responses.usage import chat_usage, complete_usage
from copilot_proxy.formats.tool_arguments import RunawayGuard
from copilot_proxy.formats.upstream_errors import parse_error_event

_ENDS: Final = frozenset(TERMINAL.values())
_ARGUMENTS: Final = "response.function_call_arguments"
_PREFIXES: Final = (
    # Of the items that events belong to, where no item was announced.
    (_ARGUMENTS, "fc"),
    ("response.reasoning", "rs"),
    ("response.custom_tool_call", "ctc"),
)


class ResponsesRepair:
    """One answer of Copilot's Responses API, repaired event by event.

    `feed` takes the decoded JSON of an event, or of a whole response, and returns the events for
    the client; `close` is to be called once, when upstream has ended. Both raise `UpstreamError`
    when the answer is not one; `fail` makes the events that tell of it. `request` is the client's,
    as it came; `tool_names` are its names of tools by those that the model was told; `hosted` the
    kinds of tools that went to Copilot as they are.

    An error that upstream reports as an event of its own is passed on, and kept in `failure`.
    `usage` is in the hub's shape; `response` is the response as the last event gave it.
    """

    def __init__(
        self,
        request: Json,
        tool_names: Mapping[str, str] | None = None,
        *,
        hosted: Collection[str] = (),
        now: int | None = None,
    ) -> None:
        self._names = tool_names or {}
        self._tools = Toolbox(offered(request, hosted), hosted)
        self._echo = echo(request, request["model"], int(time.time()) if now is None else now)
        self._id = ""
        self._items: dict[int, RepairedItem] = {}
        self._number = 0
        self._guards: dict[int, RunawayGuard] = {}
        self.usage: Json | None = None
        self.copilot_usage: Json | None = None
        self.failure: UpstreamRefusal | None = None
        self.response: Json | None = None
        self.is_finished = False

    @property
    def has_ended(self) -> bool:
        """Whether the last event has come, so that nothing is left to wait for."""
        return self.is_finished

    @property
    def is_complete(self) -> bool:
        """Whether the client has had the last event."""
        return self.response is not None

    def whole(self, events: list[Json]) -> Json:
        """The response; raises `UpstreamError` if there is none."""
        if self.response is None or self.failure is not None:
            raise self.failure or BrokenResponse("Copilot's answer is not a response.")
        return self.response

    def feed(self, data: object) -> list[Json]:
        """The events for the client of one event, or of a whole response."""
        if not isinstance(data, dict):
            raise BrokenResponse("Copilot sent an event that is not a JSON object.")
        if self.is_finished:
            return []
        kind = data.get("type")
        if isinstance(kind, str):
            events = self._event(kind, data)
        elif data.get("error"):
            raise parse_error_event(data)
        elif isinstance(data.get("output"), list):
            events = [e for one in whole_events(data) for e in self._event(one["type"], one)]
        else:
            events = []
        return self._numbered(events)

    def close(self) -> list[Json]:
        """Nothing; raises `BrokenResponse` if the answer has not come to its end."""
        if self.is_finished:
            return []
        if self._number == 0:
            raise BrokenResponse(
                "Copilot sent an empty answer.", hint="Try again, or try another model."
            )
        raise BrokenResponse(
            "Copilot's answer broke off before it was complete.",
            hint="What came so far may be incomplete. Try again.",
        )

    def fail(self, error: CopilotProxyError, request_id: str) -> list[Json]:
        """The events that end the stream with `error`; what came so far stays as it is."""
        begun = self._number > 0
        self._id = self._id or new_id("resp")
        response = {**self._echo, "id": self._id, "status": "in_progress", "usage": None}
        kinds = () if begun else ("response.created", "response.in_progress")
        events: list[Json] = [{"type": kind, "response": response} for kind in kinds]
        last = failed({**response, "output": self._output(None)}, error, request_id)
        events.append({"type": TERMINAL["failed"], "response": last})
        self.is_finished = True
        return self._numbered(events)

    def _numbered(self, events: list[Json]) -> list[Json]:
        for event in events:
            # Upstream's own, when it has any; but calls may have become fewer events than came.
            event["sequence_number"] = self._number
            self._number += 1
        return events

    def _event(self, kind: str, data: Json) -> list[Json]:
        if kind == "error":
            return [self._error(data)]
        out = dict(data)
        response = data.get("response")
        if isinstance(response, dict):
            out["response"] = self._response(kind, response, data)
        index = data.get("output_index")
        if type(index) is not int:
            return [out]
        if isinstance(data.get("item"), dict):
            return self._item_event(kind, index, out)
        item = self._item(kind, index, data.get("item_id"))
        if "item_id" in data:
            out["item_id"] = item.id
        if kind.startswith(_ARGUMENTS):
            return self._arguments(kind, index, item, out)
        if kind.startswith("response.output_text.") and not kind.endswith("annotation.added"):
            # OpenAI's own SDK needs it.
            out.setdefault("logprobs", [])
        return [out]

    def _item(self, kind: str, index: int, given: object) -> RepairedItem:
        if index not in self._items:
            prefix = next((p for start, p in _PREFIXES if kind.startswith(start)), "msg")
            self._items[index] = RepairedItem(short_id(prefix, given, index), None, None, None)
        return self._items[index]

    def _item_event(self, kind: str, index: int, event: Json) -> list[Json]:
        given = self._restored(event["item"])
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = self._new_item(given, index)
        event["item"] = self._named(given, item)
        if kind != "response.output_item.done":
            return [event]
        item.done = event["item"]
        if item.tool is None or item.tool.kind != "custom" or item.is_told:
            return [event]
        # There is none if it has become an item of another kind.
        return [*self._told(index, item, event["item"].get("input", "")), event]

    def _restored(self, given: Json) -> Json:
        """The item, or event, with the name that the tool went out under taken back."""
        name = given.get("name")
        if not isinstance(name, str) or name not in self._names:
            return given
        return {**given, "name": self._names[name]}

    def _new_item(self, given: Json, index: int) -> RepairedItem:
        kind, name = given.get("type"), given.get("name")
        tool = None
        if kind == "function_call" and isinstance(name, str):
            tool = self._tools.tool(name)
            kind = CALLS[tool.kind]
        id = short_id(prefix_of(kind), given.get("id"), index)
        return RepairedItem(id, kind, given.get("call_id"), tool)

    def _named(self, given: Json, item: RepairedItem) -> Json:
        """The item with the id it keeps, in the client's words."""
        out = {**given, "id": item.id}
        tool = item.tool
        if tool is None or tool.is_plain or given.get("type") != "function_call":
            return out
        if tool.kind == "search":
            arguments = search_arguments(out.get("arguments"))
            del out["name"]
            return {**out, "type": CALLS["search"], "execution": "client", "arguments": arguments}
        out["name"] = tool.name
        if tool.namespace is not None:
            out["namespace"] = tool.namespace
        if tool.kind == "custom":
            arguments = out.pop("arguments", None)
            out["type"] = "custom_tool_call"
            out["input"] = custom_input(arguments) if isinstance(arguments, str) else ""
        return out

    def _arguments(self, kind: str, index: int, item: RepairedItem, event: Json) -> list[Json]:
        """Events of a call's arguments; a custom tool's input comes as one, when it is whole."""
        delta = event.get("delta")
        if isinstance(delta, str):
            # Stops a model that writes blank lines for ever, by the same rule as in chats.
            self._guards.setdefault(index, RunawayGuard()).watch(delta)
        tool = item.tool
        if tool is None or tool.is_plain:
            return [self._restored(event)]
        if tool.kind == "search":
            return []
        if tool.kind == "custom":
            arguments = event.get("arguments")
            return (
                self._told(index, item, custom_input(arguments))
                if isinstance(arguments, str) and not item.is_told
                else []
            )
        if "name" in event:
            event["name"] = tool.name
        return [event]

    def _told(self, index: int, item: RepairedItem, text: str) -> list[Json]:
        item.is_told = True
        at = {"item_id": item.id, "output_index": index}
        base = "response.custom_tool_call_input"
        return [
            {"type": f"{base}.delta", **at, "delta": text},
            {"type": f"{base}.done", **at, "input": text},
        ]

    def _response(self, kind: str, given: Json, event: Json) -> Json:
        """The response with the id it keeps, and with all that OpenAI's schema requires."""
        self._id = self._id or short_id("resp", given.get("id"))
        response = {**self._echo, **given, "id": self._id}
        # A null here keeps OpenAI's own SDKs from filling it in.
        if response.get("output_text") is None:
            response.pop("output_text", None)
        if self._tools.is_changed or self._names:
            response["tools"] = self._echo["tools"]
            response["tool_choice"] = self._echo["tool_choice"]
        response["output"] = self._output(given.get("output"))
        usage = response.get("usage")
        if isinstance(usage, dict):
            self.usage = chat_usage(usage)
            response["usage"] = complete_usage(usage)
        for costs in (event.get("copilot_usage"), given.get("copilot_usage")):
            if isinstance(costs, dict):
                self.copilot_usage = costs
        if kind in _ENDS:
            self._end(kind, response)
        return response

    def _output(self, given: object) -> list[Any]:
        """The items with the ids that their own events had; those themselves if it has none."""
        if not isinstance(given, list) or not given:
            return [item.done for _, item in sorted(self._items.items()) if item.done is not None]
        free = dict(self._items)
        out = []
        for index, one in enumerate(given):
            if not isinstance(one, dict):
                continue
            one = self._restored(one)
            known = next((i for i in (index, *free) if i in free and free[i].is_told_as(one)), None)
            item = free.pop(known) if known is not None else self._new_item(one, index)
            out.append(self._named(one, item))
        return out

    def _end(self, kind: str, response: Json) -> None:
        self.is_finished = True
        self.response = response
        if kind == TERMINAL["failed"]:
            error = response.get("error")
            error = error if isinstance(error, dict) else {}
            self.failure = parse_error_event({"error": error})
            response["error"] = {**error, **told(self.failure)}

    def _error(self, data: Json) -> Json:
        """An error event in its flat form, which is the one that clients of this API know.

        As the first of all it is raised: then it can still be told with a status of its own.
        """
        nested = data.get("error")
        if self._number == 0:
            raise parse_error_event(data if nested else {"error": data})
        error = nested if isinstance(nested, dict) else data
        self.failure = parse_error_event(data if nested else {"error": data})
        self.is_finished = True
        return {
            **{name: value for name, value in data.items() if name != "error"},
            "code": error.get("code"),
            "param": error.get("param"),
            **told(self.failure),
        }
