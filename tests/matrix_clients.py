"""Three plain clients, one for each API: they write requests, and read answers by its grammar.

A conversation is a list of the API's own turns; an answer is sent back exactly as it came.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from copilot_proxy.plans import ChatApi

Json = dict[str, Any]

PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
TOOL: Final = "get_weather"
SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
ABOUT: Final = "The weather of a city"


@dataclass(frozen=True)
class Call:
    """A tool call that a model has made."""

    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Said:
    """An answer, in no API's words but for `finish`."""

    text: str
    calls: list[Call]
    finish: str
    prompt: int
    """Tokens of the prompt, those from the cache included."""
    cached: int
    answered: int
    turns: list[Json]
    """The answer as it is sent back with the next request."""


class Client:
    """What the three have in common."""

    api: ChatApi
    path: str
    endpoint: str
    """The same API at Copilot."""
    stopped: str
    called: str
    cut: str
    """How an answer says why it ended: by itself, with calls, at the limit."""

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Json]:
        """A turn of the person's; `mark` asks for it to be cached where the API has such marks."""
        raise NotImplementedError

    def assistant(self, text: str) -> list[Json]:
        """A made-up turn of the model's."""
        return [{"role": "assistant", "content": text}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Json]:
        """The results of calls, by their ids."""
        raise NotImplementedError

    def body(
        self,
        model: str,
        turns: list[Json],
        *,
        system: str | None = None,
        tools: bool = False,
        limit: int | None = None,
        stream: bool = False,
    ) -> Json:
        """A request."""
        raise NotImplementedError

    def read(self, body: Json) -> Said:
        """A whole answer."""
        raise NotImplementedError

    def fold(self, text: str) -> Json:
        """The whole answer that a stream makes; fails unless the stream is by the grammar."""
        raise NotImplementedError

    def check_error(self, body: Json) -> None:
        """Fails unless it is an error answer as the API's own."""
        error = body["error"]
        assert {"message", "type", "param", "code"} <= set(error), error
        assert error["message"], error

    def check_broken(self, text: str) -> None:
        """Fails unless a stream tells of a failure, and of nothing like an end."""
        raise NotImplementedError


class ChatClient(Client):
    """OpenAI's chat completions."""

    api = "chat_completions"
    path = "/v1/chat/completions"
    endpoint = "/chat/completions"
    stopped, called, cut = "stop", "tool_calls", "length"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Json]:
        url = f"data:image/png;base64,{PNG}"
        picture = {"type": "image_url", "image_url": {"url": url}}
        content = [{"type": "text", "text": text}, picture] if image else text
        return [{"role": "user", "content": content}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Json]:
        return [{"role": "tool", "tool_call_id": id, "content": text} for id, text in outputs]

    def body(
        self,
        model: str,
        turns: list[Json],
        *,
        system: str | None = None,
        tools: bool = False,
        limit: int | None = None,
        stream: bool = False,
    ) -> Json:
        head = [{"role": "system", "content": system}] if system else []
        function = {"name": TOOL, "description": ABOUT, "parameters": SCHEMA}
        body: Json = {"model": model, "messages": [*head, *turns]}
        if tools:
            body["tools"] = [{"type": "function", "function": function}]
        if limit:
            body["max_tokens"] = limit
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def read(self, body: Json) -> Said:
        assert "chat.completion" == body["object"]
        (choice,) = body["choices"]
        message, usage = choice["message"], body["usage"]
        assert "assistant" == message["role"]
        return Said(
            message["content"] or "",
            [
                Call(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"]))
                for c in message.get("tool_calls") or ()
            ],
            choice["finish_reason"],
            usage["prompt_tokens"],
            usage["prompt_tokens_details"]["cached_tokens"],
            usage["completion_tokens"],
            [message],
        )

    def fold(self, text: str) -> Json:
        *chunks, last = self._chunks(text)
        assert [] == last["choices"], "usage comes last, without choices"
        assert all(chunk["usage"] is None for chunk in chunks), "usage comes once"
        choices = [chunk["choices"][0] for chunk in chunks]
        finishes = [choice["finish_reason"] for choice in choices]
        assert [True] == [f is not None for f in finishes if f is not None], "one finish"
        assert finishes[-1] is not None, "nothing comes after the finish"
        deltas = [choice["delta"] for choice in choices]
        assert "assistant" == deltas[0]["role"]
        message: Json = {"role": "assistant", "content": None}
        for name in ("content", "reasoning_content", "reasoning_opaque"):
            if any(name in delta for delta in deltas):
                message[name] = "".join(delta.get(name) or "" for delta in deltas)
        calls: list[Json] = []
        for part in (part for delta in deltas for part in delta.get("tool_calls") or ()):
            if "id" in part:
                assert len(calls) == part["index"], "calls are numbered from 0"
                calls.append({key: part[key] for key in ("id", "type")})
                calls[-1]["function"] = {"name": part["function"]["name"], "arguments": ""}
            calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": finishes[-1]}
        return {"object": "chat.completion", "choices": [choice], "usage": last["usage"]}

    def _chunks(self, text: str) -> list[Json]:
        frames = _frames(text)
        assert "data: [DONE]" == frames.pop(), "the stream ends with [DONE]"
        chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
        told = {(c["id"], c["object"], c["created"]) for c in chunks if "error" not in c}
        assert len(told) <= 1, "all chunks have one id"
        return chunks

    def check_broken(self, text: str) -> None:
        *chunks, last = self._chunks(text)
        self.check_error(last)
        assert not any(chunk["choices"][0]["finish_reason"] for chunk in chunks)


class ResponsesClient(Client):
    """OpenAI's Responses."""

    api = "responses"
    path = "/v1/responses"
    endpoint = "/responses"
    stopped, called, cut = "completed", "completed", "max_output_tokens"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Json]:
        url = f"data:image/png;base64,{PNG}"
        content: list[Json] = [{"type": "input_text", "text": text}]
        if image:
            content.append({"type": "input_image", "image_url": url, "detail": "auto"})
        return [{"type": "message", "role": "user", "content": content}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Json]:
        return [
            {"type": "function_call_output", "call_id": id, "output": text} for id, text in outputs
        ]

    def body(
        self,
        model: str,
        turns: list[Json],
        *,
        system: str | None = None,
        tools: bool = False,
        limit: int | None = None,
        stream: bool = False,
    ) -> Json:
        body: Json = {"model": model, "input": turns}
        if system:
            body["instructions"] = system
        if tools:
            function = {"name": TOOL, "description": ABOUT, "parameters": SCHEMA}
            body["tools"] = [{"type": "function", **function}]
        if limit:
            body["max_output_tokens"] = limit
        if stream:
            body["stream"] = True
        return body

    def read(self, body: Json) -> Said:
        assert "response" == body["object"]
        output, usage = body["output"], body["usage"]
        assert len(output) == len({item["id"] for item in output}), "each item has its own id"
        return Said(
            "".join(
                part["text"]
                for item in output
                if item["type"] == "message"
                for part in item["content"]
            ),
            [
                Call(item["call_id"], item["name"], json.loads(item["arguments"]))
                for item in output
                if item["type"] == "function_call"
            ],
            (body["incomplete_details"] or {}).get("reason") or body["status"],
            usage["input_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
            usage["output_tokens"],
            output,
        )

    def fold(self, text: str) -> Json:
        events = self._events(text)
        response: Json = events[-1]["response"]
        assert events[-1]["type"] == f"response.{response['status']}"
        assert response["status"] in ("completed", "incomplete")
        done = [e["item"] for e in events if e["type"] == "response.output_item.done"]
        assert response["output"] == done, "the last event repeats the finished items"
        said = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
        assert said == self.read(response).text, "the deltas make the text"
        return response

    def _events(self, text: str) -> list[Json]:
        events = _named_events(text)
        assert list(range(len(events))) == [event["sequence_number"] for event in events]
        kinds = [event["type"] for event in events[:2]]
        assert ["response.created", "response.in_progress"] == kinds
        assert 1 == len({e["response"]["id"] for e in events if "response" in e}), "one id"
        ids: dict[int, str] = {}
        for event in events:
            if event["type"] == "response.output_item.added":
                assert len(ids) == event["output_index"], "items are numbered from 0"
                ids[event["output_index"]] = event["item"]["id"]
            elif "output_index" in event:
                given = event.get("item_id") or event["item"]["id"]
                assert ids[event["output_index"]] == given, "an item keeps its id"
        return events

    def check_broken(self, text: str) -> None:
        *events, last = self._events(text)
        ends = ("completed", "incomplete", "failed")
        assert not any(event["type"].removeprefix("response.") in ends for event in events)
        if last["type"] == "error":
            assert {"code", "message", "param"} <= set(last), last
            assert last["message"]
        else:
            assert ("response.failed", "failed") == (last["type"], last["response"]["status"])
            assert last["response"]["error"]["code"]
            assert last["response"]["error"]["message"]


class MessagesClient(Client):
    """Anthropic's Messages."""

    api = "messages"
    path = "/v1/messages"
    endpoint = "/v1/messages"
    stopped, called, cut = "end_turn", "tool_use", "max_tokens"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Json]:
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        words: Json = {"type": "text", "text": text}
        if mark:
            words["cache_control"] = {"type": "ephemeral"}
        pictures = [{"type": "image", "source": source}] if image else []
        return [{"role": "user", "content": [words, *pictures]}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Json]:
        blocks = [
            {"type": "tool_result", "tool_use_id": id, "content": text} for id, text in outputs
        ]
        return [{"role": "user", "content": blocks}]

    def body(
        self,
        model: str,
        turns: list[Json],
        *,
        system: str | None = None,
        tools: bool = False,
        limit: int | None = None,
        stream: bool = False,
    ) -> Json:
        body: Json = {"model": model, "max_tokens": limit or 1000, "messages": turns}
        if system:
            body["system"] = system
        if tools:
            body["tools"] = [{"name": TOOL, "description": ABOUT, "input_schema": SCHEMA}]
        if stream:
            body["stream"] = True
        return body

    def read(self, body: Json) -> Said:
        assert ("message", "assistant") == (body["type"], body["role"])
        usage = body["usage"]
        cached = usage["cache_read_input_tokens"]
        return Said(
            "".join(block["text"] for block in body["content"] if block["type"] == "text"),
            [
                Call(block["id"], block["name"], block["input"])
                for block in body["content"]
                if block["type"] == "tool_use"
            ],
            body["stop_reason"],
            usage["input_tokens"] + usage["cache_creation_input_tokens"] + cached,
            cached,
            usage["output_tokens"],
            [{"role": "assistant", "content": body["content"]}],
        )

    def fold(self, text: str) -> Json:
        first, *events, delta, last = self._events(text)
        assert ("message_delta", "message_stop") == (delta["type"], last["type"])
        message: Json = {**first["message"], **delta["delta"], "content": []}
        # What the end does not repeat was told in the beginning.
        message["usage"] = {**first["message"]["usage"], **delta["usage"]}
        for event in events:
            self._take(message["content"], event)
        return message

    def _take(self, content: list[Json], event: Json) -> None:
        match event["type"]:
            case "content_block_start":
                content.append(dict(event["content_block"]))
            case "content_block_delta":
                field = event["delta"]["type"].removesuffix("_delta")
                field, key = ("input", "partial_json") if field == "input_json" else (field, field)
                held = content[-1].get(field) or ""
                content[-1][field] = held + event["delta"][key]
            case "content_block_stop" if content[-1]["type"] == "tool_use":
                content[-1]["input"] = json.loads(content[-1]["input"] or "{}")

    def _events(self, text: str) -> list[Json]:
        """The events without pings, each block's between its start and its stop."""
        events = [event for event in _named_events(text) if event["type"] != "ping"]
        assert "message_start" == events[0]["type"]
        blocks = [e for e in events if e["type"].startswith("content_block_")]
        for before, event in pairwise([{"type": "content_block_stop", "index": -1}, *blocks]):
            starts = event["type"] == "content_block_start"
            assert starts == (before["type"] == "content_block_stop"), "blocks do not overlap"
            assert event["index"] == before["index"] + starts, "blocks are numbered from 0"
        return events

    def check_error(self, body: Json) -> None:
        assert "error" == body["type"]
        assert body["error"]["type"].endswith("_error"), body
        assert body["error"]["message"]
        assert body["request_id"].startswith("req_")

    def check_broken(self, text: str) -> None:
        *events, last = self._events(text)
        self.check_error(last)
        assert not any(event["type"] in ("message_delta", "message_stop") for event in events)


def _frames(text: str) -> list[str]:
    assert text.endswith("\n\n"), "the stream ends with a whole event"
    return [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]


def _named_events(text: str) -> list[Json]:
    events = []
    for frame in _frames(text):
        name, data = frame.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}", "an event is named by its type"
    return events


CLIENTS: Final[tuple[Client, ...]] = (ChatClient(), ResponsesClient(), MessagesClient())
