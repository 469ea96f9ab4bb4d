"""Helpers that write Copilot's events, repair them, and read the result."""

from collections.abc import Collection, Iterable
from typing import Any

from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.types import ChatChunk, ChatCompletion, ChatUsage, Json
from tests.formats.openai_schemas import check_chunk, check_completion

MODEL = "the-model-asked-for"
NOW = 1_795_330_000


def event(finish: str | None = None, *, usage: ChatUsage | None = None, **delta: Any) -> ChatChunk:
    """Return an event as Copilot sends it for Claude: without `object` and null fields."""
    choice: Json = {"index": 0, "delta": delta}
    if finish is not None:
        choice["finish_reason"] = finish
    data: ChatChunk = {
        "choices": [choice],
        "created": 1795330003,
        "id": "dc1a974e",
        "model": "theirs",
    }
    if usage is not None:
        data["usage"] = usage
    return data


def call(
    id: str | None = None, name: str | None = None, arguments: Any = None, index: Any = 0
) -> Json:
    """Return a fragment of a tool call, without the fields that are None."""
    function = {"name": name, "arguments": arguments}
    fragment: Json = {"function": {k: v for k, v in function.items() if v is not None}}
    fragment.update({k: v for k, v in (("id", id), ("index", index)) if v is not None})
    return fragment


def calling(*fragments: Json) -> ChatChunk:
    """Return an event with these fragments of tool calls."""
    return event(content=None, tool_calls=list(fragments))


def repair(
    events: Iterable[Any], *, include_usage: bool = False, custom_tools: Collection[str] = ()
) -> list[ChatChunk]:
    """Return the repaired stream of `events`, after checking it against OpenAI's schema."""
    stream = ChatRepair(MODEL, include_usage=include_usage, now=NOW, custom_tools=custom_tools)
    chunks = [chunk for data in events for chunk in stream.feed(data)]
    chunks += stream.close()
    check_stream(chunks, include_usage=include_usage)
    return chunks


def complete(events: Iterable[Any]) -> ChatCompletion:
    """Return the completion of `events`, after checking it against OpenAI's schema."""
    completion = completion_from_chunks(repair(events, include_usage=True))
    check_completion(completion)
    return completion


def message_of(events: Iterable[Any]) -> Json:
    """Return the message of the completion, without null fields."""
    message = complete(events)["choices"][0]["message"]
    return {name: value for name, value in message.items() if value is not None}


def calls_of(events: Iterable[Any]) -> list[tuple[str, str, str]]:
    """Return the id, name and arguments of each tool call of the completion."""
    return [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message_of(events).get("tool_calls", [])
    ]


def finish_of(events: Iterable[Any]) -> str:
    """Return the finish reason of the completion."""
    return str(complete(events)["choices"][0]["finish_reason"])


def deltas_of(chunks: Iterable[ChatChunk]) -> list[Json]:
    """Return the deltas of all chunks that have a choice."""
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def check_stream(chunks: list[ChatChunk], *, include_usage: bool) -> None:
    """Assert that `chunks` are a complete and valid OpenAI stream."""
    for chunk in chunks:
        check_chunk(chunk)
    assert 1 == len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks})

    with_choice = [chunk for chunk in chunks if chunk["choices"]]
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in with_choice]
    assert [None] * (len(finishes) - 1) == finishes[:-1], "finish reason before the end"
    assert finishes[-1] is not None
    assert {} == with_choice[-1]["choices"][0]["delta"]
    assert {"role": "assistant", "content": ""} == with_choice[0]["choices"][0]["delta"]
    assert not any("role" in delta for delta in deltas_of(chunks)[1:])

    assert all(("usage" in chunk) == include_usage for chunk in chunks)
    assert not any(chunk.get("usage") for chunk in with_choice)
    counts = [chunk for chunk in chunks if not chunk["choices"]]
    assert counts in ([], chunks[-1:])
    assert all(chunk["usage"] for chunk in counts)
    _check_call_numbers(chunks, finishes[-1])


def _check_call_numbers(chunks: list[ChatChunk], finish: str) -> None:
    opened: list[str] = []
    for delta in deltas_of(chunks):
        for part in delta.get("tool_calls", ()):
            if "id" in part:
                assert part["index"] == len(opened), "calls are not numbered in order"
                opened.append(part["id"])
            else:
                assert part["index"] < len(opened), "fragment of an unknown call"
    assert len(opened) == len(set(opened)), "two calls share an id"
    assert (finish == "tool_calls") == bool(opened) or finish in ("length", "content_filter")
