"""Helpers that write Copilot's Responses events, and read events as strictly as clients do."""

from collections.abc import Iterable
from typing import Annotated, Any, get_args

from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import Field, TypeAdapter

from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, NOW, check_stream

USAGE = {
    "input_tokens": 812,
    "input_tokens_details": {"cached_tokens": 512, "cache_write_tokens": 0},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 12},
    "total_tokens": 852,
}
COSTS = {"total_nano_aiu": 37500000, "token_details": []}
PICTURE = "data:image/png;base64,AAAA"

_EVENTS: Any = Annotated[get_args(ResponseStreamEvent)[0], Field(discriminator="type")]
_EVENT: TypeAdapter[Any] = TypeAdapter(_EVENTS)
"""Validates strictly, while the SDK itself accepts anything."""


def request(given: Any = "Hi", **fields: Any) -> Json:
    """Return a client's request."""
    return {"model": MODEL, "input": given, **fields}


class Upstream:
    """Writes a response as Copilot does, with a different id for the same item in every event."""

    def __init__(self) -> None:
        self._ids = 0

    def id(self) -> str:
        self._ids += 1
        return f"{self._ids:03}" + "x" * 200 + "=="

    def begin(self) -> list[Json]:
        """Return the two events that begin a response."""
        response = {"object": "response", "status": "in_progress", "model": "theirs", "output": []}
        return [
            {"type": kind, "response": {"id": self.id(), **response}}
            for kind in ("response.created", "response.in_progress")
        ]

    def text(self, index: int, *pieces: str, kind: str = "output_text", **more: Any) -> list[Json]:
        """Return the events of a message with one part."""
        field = "text" if kind == "output_text" else "refusal"
        extra: Json = {"annotations": []} if kind == "output_text" else {}
        at: Json = {"output_index": index, "content_index": 0}
        whole = "".join(pieces)
        item = {"type": "message", "role": "assistant"}
        part = {"type": kind, field: whole, **extra}
        return [
            self.added(index, {**item, "status": "in_progress", "content": []}),
            self._of("response.content_part.added", **at, part={"type": kind, field: "", **extra}),
            *(self._of(f"response.{kind}.delta", **at, delta=piece) for piece in pieces),
            self._of(f"response.{kind}.done", **at, **{field: whole}),
            self._of("response.content_part.done", **at, part=part),
            self.done(index, {**item, "status": "completed", "content": [part], **more}),
        ]

    def reasoning(self, index: int, *parts: str, encrypted: str | None = None) -> list[Json]:
        """Return the events of a reasoning item whose summary has these parts."""
        events = [self.added(index, {"type": "reasoning", "summary": []})]
        base = "response.reasoning_summary"
        for number, text in enumerate(parts):
            at: Json = {"output_index": index, "summary_index": number}
            part = {"type": "summary_text", "text": text}
            events += [
                self._of(f"{base}_part.added", **at, part={**part, "text": ""}),
                *(self._of(f"{base}_text.delta", **at, delta=half) for half in _halves(text)),
                self._of(f"{base}_text.done", **at, text=text),
                self._of(f"{base}_part.done", **at, part=part),
            ]
        return [*events, self.thought(index, *parts, encrypted=encrypted)]

    def thought(self, index: int, *parts: str, encrypted: str | None = None) -> Json:
        """Return the last event of a reasoning item."""
        item: Json = {"type": "reasoning"}
        item["summary"] = [{"type": "summary_text", "text": text} for text in parts]
        if encrypted is not None:
            item["encrypted_content"] = encrypted
        return self.done(index, item)

    def call(
        self, index: int, name: str, *pieces: str, call_id: str = "call_1", end: str | None = None
    ) -> list[Json]:
        """Return the events of a function call; `end` is its final arguments, if they differ."""
        whole = "".join(pieces) if end is None else end
        item: Json = {"type": "function_call", "call_id": call_id, "name": name}
        kind, at = "response.function_call_arguments", {"output_index": index}
        return [
            self.added(index, {**item, "arguments": "", "status": "in_progress"}),
            *(self._of(f"{kind}.delta", **at, delta=piece) for piece in pieces),
            self._of(f"{kind}.done", **at, arguments=whole, name=name),
            self.done(index, {**item, "arguments": whole, "status": "completed"}),
        ]

    def added(self, index: int, item: Json) -> Json:
        return self._item("response.output_item.added", index, item)

    def done(self, index: int, item: Json) -> Json:
        return self._item("response.output_item.done", index, item)

    def end(self, events: Iterable[Json], kind: str = "completed", **fields: Any) -> Json:
        """Return the final event, which repeats the items of `events`."""
        output = [
            {**event["item"], "id": self.id()}
            for event in events
            if event["type"] == "response.output_item.done"
        ]
        response = {"id": self.id(), "object": "response", "status": kind, "output": output}
        whole = {**response, "output_text": None, "usage": USAGE, "model": "theirs", **fields}
        return {"type": f"response.{kind}", "response": whole, "copilot_usage": COSTS}

    def whole(self, events: list[Json]) -> list[Json]:
        """Return a complete stream of these items, with sequence numbers."""
        stream = [*self.begin(), *events, self.end(events)]
        return [{**event, "sequence_number": i} for i, event in enumerate(stream)]

    def _item(self, kind: str, index: int, item: Json) -> Json:
        return {"type": kind, "output_index": index, "item": {"id": self.id(), **item}}

    def _of(self, kind: str, **fields: Any) -> Json:
        return {"type": kind, "item_id": self.id(), **fields}


def _halves(text: str) -> tuple[str, str]:
    middle = len(text) // 2
    return text[:middle], text[middle:]


def read_strictly(events: list[Json], tools: Any = omit) -> Response:
    """Check all events of a finished stream; return the response that OpenAI's SDK builds."""
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    state: Any = ResponseStreamState(input_tools=tools, text_format=omit)
    last: Any = None
    for event in events:
        check_event(event)
        for read in state.handle_event(construct_type(type_=ResponseStreamEvent, value=event)):
            last = read
    _check_ids(events)
    response: Response = last.response
    return response


def check_order(events: list[Json]) -> list[Json]:
    """Return the events of items, after checking that each item ends before the next starts."""
    of_items = [event for event in events if "output_index" in event]
    assert sorted(of_items, key=lambda event: event["output_index"]) == of_items
    return of_items


def check_event(event: Json) -> None:
    """Raise an error unless the event is valid for the SDK's own type."""
    _EVENT.validate_python(event)


def _check_ids(events: list[Json]) -> None:
    """Check that every item has one short, unique id in all its events."""
    ids: dict[int, set[str]] = {}
    responses = set()
    for event in events:
        if "output_index" in event:
            seen = ids.setdefault(event["output_index"], set())
            seen.add(event["item_id"] if "item_id" in event else event["item"]["id"])
        if "response" in event:
            responses.add(event["response"]["id"])
    assert all(1 == len(seen) for seen in ids.values())
    flat = [id for seen in ids.values() for id in seen]
    assert len(flat) == len(set(flat))
    assert all(len(id) <= 64 for id in (*flat, *responses))
    assert 1 == len(responses)
    if events[-1]["type"] in ("response.completed", "response.incomplete"):
        final = [item["id"] for item in events[-1]["response"]["output"]]
        assert [id for _, seen in sorted(ids.items()) for id in seen] == final


def repair(events: Iterable[Any], client_request: Json | None = None) -> list[Json]:
    """Return the events that the client receives for the upstream's events."""
    stream = ResponsesRepair(client_request or request(), now=NOW)
    out = [event for data in events for event in stream.feed(data)]
    return out + stream.close()


def repair_whole(body: object, client_request: Json) -> Json:
    """Return the repaired response, given a response that was not streamed."""
    stream = ResponsesRepair(client_request)
    stream.feed(body)
    stream.close()
    if stream.response is None:
        raise stream.failure or AssertionError("no response")
    return stream.response


def chunks_of(events: Iterable[Any]) -> list[Json]:
    """Return the chat chunks for upstream's events, after checking them."""
    stream = ResponsesToChat(MODEL, include_usage=True, now=NOW)
    chunks = [chunk for data in events for chunk in stream.feed(data)]
    chunks += stream.close()
    check_stream(chunks, include_usage=True)
    return chunks


def message_of(events: Iterable[Any]) -> Json:
    """Return the chat message for upstream's events, without its null fields."""
    message = completion_from_chunks(chunks_of(events))["choices"][0]["message"]
    return {name: value for name, value in message.items() if value is not None}


def write(chunks: Iterable[Json], client_request: Json | None = None) -> tuple[list[Json], Json]:
    """Return the Responses events for the chat chunks, and the whole response."""
    writer = ChatToResponses(client_request or request(), MODEL, now=NOW)
    events = [event for chunk in chunks for event in writer.feed(chunk)]
    events += writer.close()
    return events, writer.response
