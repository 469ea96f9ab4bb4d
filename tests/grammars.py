"""Parsers for the APIs' streams, which assert that each stream follows its grammar."""

import json
import re
from itertools import pairwise
from typing import Final

from copilot_proxy.formats.types import (
    ChatChunk,
    ChatCompletion,
    ClientEvent,
    ClientResponse,
    Json,
    Message,
    MessagesEvent,
    Response,
    ResponsesEvent,
)

RESPONSES_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")
MESSAGES_ENDS: Final = ("message_delta", "message_stop")


def frames(text: str) -> list[str]:
    """Return the raw events of a stream, without comments."""
    assert text.endswith("\n\n"), "the stream ends with a whole event"
    return [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]


def named_events(text: str) -> list[ClientEvent]:
    """Return the decoded events of a stream of named events."""
    events = []
    for frame in frames(text):
        *names, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        can_be_name = re.fullmatch(r"[A-Za-z0-9_.]{1,100}", event["type"])
        expected = [f"event: {event['type']}"] if can_be_name else []
        assert names == expected, "an event is named by its type, unless that is no name"
        events.append(event)
    return events


def chat_chunks(text: str) -> list[ChatChunk]:
    """Return the chunks of a chat stream, including any error, and check its grammar."""
    *found, end = frames(text)
    assert "data: [DONE]" == end, "the stream ends with [DONE]"
    chunks: list[ChatChunk] = [json.loads(frame.removeprefix("data: ")) for frame in found]
    heads = {(c["id"], c["object"], c["created"]) for c in chunks if "error" not in c}
    assert len(heads) <= 1, "all chunks have one id"
    return chunks


def fold_chunks(all_chunks: list[ChatChunk]) -> ChatCompletion:
    """Return the completion built from the chunks; usage must have been requested."""
    *chunks, last = all_chunks
    assert [] == last["choices"], "usage comes last, without choices"
    assert all(chunk["usage"] is None for chunk in chunks), "usage comes once"
    choices = [chunk["choices"][0] for chunk in chunks]
    *before, finish = [choice["finish_reason"] for choice in choices]
    assert finish is not None, "nothing comes after the finish"
    assert not any(before), "there is one finish"
    deltas = [choice["delta"] for choice in choices]
    assert "assistant" == deltas[0]["role"]
    message: Json = {"role": "assistant", "content": None}
    for name in ("content", "reasoning_content", "reasoning_opaque"):
        if any(name in delta for delta in deltas):
            message[name] = "".join(delta.get(name) or "" for delta in deltas)
    if calls := _calls([part for delta in deltas for part in delta.get("tool_calls") or ()]):
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"object": "chat.completion", "choices": [choice], "usage": last["usage"]}


def _calls(parts: list[Json]) -> list[Json]:
    calls: list[Json] = []
    for part in parts:
        if "id" in part:
            assert len(calls) == part["index"], "calls are numbered from 0"
            function = {"name": part["function"]["name"], "arguments": ""}
            calls.append({"id": part["id"], "type": part["type"], "function": function})
        calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
    return calls


def responses_events(text: str) -> list[ResponsesEvent]:
    """Return the events of a Responses stream, and check its grammar."""
    events = named_events(text)
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    kinds = [event["type"] for event in events[:2]]
    assert ["response.created", "response.in_progress"] == kinds
    assert 1 == len({e["response"]["id"] for e in events if "response" in e}), (
        "the stream has one id"
    )
    ids: dict[int, str] = {}
    for event in events:
        if event["type"] == "response.output_item.added":
            assert len(ids) == event["output_index"], "items are numbered from 0"
            ids[event["output_index"]] = event["item"]["id"]
        elif "output_index" in event:
            given = event.get("item_id") or event["item"]["id"]
            assert ids[event["output_index"]] == given, "an item keeps its id"
    assert not any(event["type"] in RESPONSES_ENDS for event in events[:-1]), "there is one end"
    return events


def fold_response(events: list[ResponsesEvent]) -> Response:
    """Return the response built from the events; assert that they are complete."""
    response: Response = events[-1]["response"]
    assert events[-1]["type"] == f"response.{response['status']}"
    assert response["status"] in ("completed", "incomplete")
    done = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    assert unsealed(done) == unsealed(response["output"]), "the end repeats the items"
    return response


def unsealed(items: list[Json]) -> list[Json]:
    """Return items without their encrypted reasoning, which may differ each time."""
    return [{k: v for k, v in item.items() if k != "encrypted_content"} for item in items]


def messages_events(text: str) -> list[MessagesEvent]:
    """Return the events of a Messages stream without pings, and check its grammar."""
    events = [event for event in named_events(text) if event["type"] != "ping"]
    assert "message_start" == events[0]["type"]
    assert 1 == sum(event["type"] == "message_start" for event in events)
    blocks = [event for event in events if event["type"].startswith("content_block_")]
    for before, event in pairwise([{"type": "content_block_stop", "index": -1}, *blocks]):
        starts = event["type"] == "content_block_start"
        assert starts == (before["type"] == "content_block_stop"), "blocks do not overlap"
        assert event["index"] == before["index"] + starts, "blocks are numbered from 0"
    return events


def fold_message(events: list[MessagesEvent]) -> Message:
    """Return the message built from the events; assert that they are complete."""
    first, *between, delta, last = events
    assert MESSAGES_ENDS == (delta["type"], last["type"])
    message: Message = {**first["message"], **delta["delta"], "content": []}
    # Fields missing from the last event are in the first one.
    message["usage"] = {**first["message"]["usage"], **delta["usage"]}
    content = message["content"]
    for event in between:
        match event["type"]:
            case "content_block_start":
                content.append(dict(event["content_block"]))
            case "content_block_delta":
                _add(content[-1], event["delta"])
            case "content_block_stop" if content[-1]["type"] == "tool_use":
                content[-1]["input"] = json.loads(content[-1]["input"] or "{}")
            case other:
                assert "content_block_stop" == other, "only blocks come in between"
    return message


def _add(block: Json, delta: Json) -> None:
    key = delta["type"].removesuffix("_delta")
    name, key = ("input", "partial_json") if key == "input_json" else (key, key)
    block[name] = (block.get(name) or "") + delta[key]


def gemini_events(text: str) -> list[ClientEvent]:
    """Return the events of a Gemini stream, including any error, and check its grammar."""
    assert ":" not in {line[:1] for line in text.splitlines()}, "Google's SDK takes no comments"
    events: list[ClientEvent] = []
    for line in text.splitlines():
        assert line == "" or line.startswith("data: {"), line
        if line:
            events.append(json.loads(line.removeprefix("data: ")))
    answers = events[:-1] if "error" in events[-1] else events
    assert len({event["responseId"] for event in answers}) <= 1, "the stream has one id"
    for event in answers:
        (candidate,) = event["candidates"]
        assert candidate["content"]["parts"], "SDKs drop an answer with an empty content"
        assert ("finishReason" in candidate) == (event is events[-1]), "the finish comes last"
    return events


def fold_contents(events: list[ClientEvent]) -> ClientResponse:
    """Return the answer built from the events; assert that they are complete."""
    parts: list[Json] = []
    for event in events:
        for part in event["candidates"][0]["content"]["parts"]:
            keys = part.keys() - {"thoughtSignature"}
            if parts and "text" in part and parts[-1].keys() == keys:
                parts[-1] = {**parts[-1], **part, "text": parts[-1]["text"] + part["text"]}
            else:
                parts.append(part)
    last = events[-1]
    content = {"role": "model", "parts": parts}
    return {**last, "candidates": [{**last["candidates"][0], "content": content}]}


def ollama_lines(text: str) -> list[ClientEvent]:
    """Return the lines of an Ollama stream, and check that only the last one may be an error."""
    assert text.endswith("\n")
    lines: list[ClientEvent] = [json.loads(line) for line in text.splitlines()]
    for line in lines[:-1]:
        assert line["done"] is False, line
        assert {"model", "created_at"} < line.keys()
        assert ("message" in line) != ("response" in line)
    assert lines[-1].get("done") is True or isinstance(lines[-1]["error"], str), lines[-1]
    return lines


def fold_lines(lines: list[ClientEvent]) -> ClientResponse:
    """Return the whole answer built from the lines of ``/api/chat``."""
    messages = [line["message"] for line in lines]
    whole: Json = {"role": "assistant", "content": "".join(one["content"] for one in messages)}
    if calls := [call for one in messages for call in one.get("tool_calls", ())]:
        whole["tool_calls"] = calls
    return {**lines[-1], "message": whole}
