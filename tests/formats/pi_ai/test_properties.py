"""Properties that hold for all conversations and responses, tested with random data."""

import json
from itertools import chain
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError, UpstreamError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.pi_ai.models import APIS, api_of
from copilot_proxy.formats.pi_ai.request_to_model import pi_ai_from_chat
from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, NOW, check_stream
from tests.formats.chat_completions.test_stream_properties import (
    JSON,
    LETTERS,
    an_object,
    maybe_broken,
)
from tests.formats.openai_schemas import check_completion
from tests.formats.pi_ai import models
from tests.formats.pi_ai.test_stream_to_chat import called, done, start, text, thought
from tests.formats.requests import PNG, image, user
from tests.selection import examples

SAID = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)
OBJECTS = st.dictionaries(st.text(max_size=3), st.integers() | SAID | st.none(), max_size=2)
ASKING = st.one_of(
    st.builds(
        lambda role, content: [{"role": role, "content": content}],
        st.sampled_from(["user", "system", "developer"]),
        SAID,
    ),
    SAID.map(
        lambda words: [{"role": "user", "content": [{"type": "text", "text": words}, image()]}]
    ),
)


@st.composite
def assistant_turns(draw: st.DrawFn) -> list[Json]:
    """Return an assistant message and the results of its calls."""
    count = draw(st.integers(0, 3))
    message: Json = {"role": "assistant", "content": draw(SAID if not count else st.none() | SAID)}
    ids = [f"call_{i}" for i in range(count)]
    if ids:
        message["tool_calls"] = [
            {
                "id": id,
                "type": "function",
                "function": {"name": f"f{i}", "arguments": json.dumps(draw(OBJECTS))},
            }
            for i, id in enumerate(ids)
        ]
    return [message, *({"role": "tool", "tool_call_id": id, "content": draw(SAID)} for id in ids)]


def conversation(turns: list[list[Json]]) -> list[Json]:
    """Return the messages of the turns, with different call ids in each."""
    for number, turn in enumerate(turns):
        for message in turn:
            for call in message.get("tool_calls", ()):
                call["id"] += f"_{number}"
            if message["role"] == "tool":
                message["tool_call_id"] += f"_{number}"
    return list(chain(*turns))


@given(
    st.lists(ASKING | assistant_turns(), min_size=1, max_size=5).map(conversation),
    st.sampled_from(models.ALL),
)
@example([{"role": "system", "content": "\x85"}], models.GPT_4)
@example([{"role": "assistant", "content": "a"}] * 2, models.GEMINI)
@example([{"role": "system", "content": "a"}], models.GEMINI)
@example([user([{"type": "text", "text": " "}, image()])], models.GEMINI)
def test_no_content_is_lost(messages: list[Json], model: Model) -> None:
    """Every text, image, call and result reaches pi-ai, in order."""
    notes: list[str] = []
    try:
        body = pi_ai_from_chat({"model": "m", "messages": messages}, model, notes, NOW).body
    except RequestError:
        assert not any(_filled(_given(message)) for message in messages)
        return

    context = json.loads(json.dumps(body["context"]))
    systems = [m["content"] for m in messages if m["role"] in ("system", "developer")]
    prompt = "\n\n".join(m["content"] for m in context["messages"] if m["role"] == "system")
    assert prompt == "\n\n".join(one for one in systems if one.strip())
    if "merged consecutive assistant messages" in notes:
        messages = _merged(messages)
    pieces = [_pieces(m) for m in context["messages"] if m["role"] != "system"]
    expected = [_given(m) for m in messages if m["role"] not in ("system", "developer")]
    # Content that some models need in addition to the client's.
    pieces = [one for one in pieces if one not in (["Please begin."], ["Please continue."])]
    if not profile_of(model, APIS[api_of(model)]).accepts_blank_texts:
        pieces, expected = ([_filled(one) for one in side] for side in (pieces, expected))
    assert [one for one in expected if one] == [one for one in pieces if one]


def _merged(messages: list[Json]) -> list[Json]:
    """Join consecutive assistant messages, as is done for some models."""
    out: list[Json] = []
    for message in messages:
        if not (out and message["role"] == out[-1]["role"] == "assistant"):
            out.append(message)
            continue
        texts = [one["content"] for one in (out[-1], message) if one["content"]]
        calls = [call for one in (out[-1], message) for call in one.get("tool_calls", ())]
        out[-1] = {"role": "assistant", "content": "\n\n".join(texts), "tool_calls": calls}
    return out


def _filled(pieces: list[Any]) -> list[Any]:
    return [one for one in pieces if not isinstance(one, str) or one.strip()]


def _given(message: Json) -> list[Any]:
    content = message["content"]
    if message["role"] == "tool":
        said = content if content.strip() else "(The result is empty.)"
        return [(message["tool_call_id"], said)]
    if isinstance(content, list):
        return [content[0]["text"], PNG]
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", ())
    ]
    return [*([content] if content else []), *calls]


def _pieces(message: Json) -> list[Any]:
    content = message["content"]
    if message["role"] == "toolResult":
        assert message["toolName"].startswith("f")
        return [(message["toolCallId"], content[0]["text"])]
    if isinstance(content, str):
        return [content]
    return [
        part["text"]
        if part["type"] == "text"
        else f"data:{part['mimeType']};base64,{part['data']}"
        if part["type"] == "image"
        else (part["id"], part["name"], part["arguments"])
        for part in content
    ]


def _cut(text: str) -> st.SearchStrategy[list[str]]:
    places = st.lists(st.integers(1, max(len(text) - 1, 1)), max_size=3).map(sorted)
    return places.map(
        lambda at: [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True) if text[a:b]]
    )


CUT = st.lists(SAID, min_size=1, max_size=4)


@given(
    st.lists(
        st.tuples(st.just("text"), CUT)
        | st.tuples(st.just("thinking"), CUT)
        | st.tuples(st.just("call"), OBJECTS.map(json.dumps).flatmap(_cut)),
        min_size=1,
        max_size=5,
    )
)
def test_pieces_make_the_same_completion(blocks: list[tuple[str, list[str]]]) -> None:
    """The completion has everything from the pieces, however it was split."""
    events: list[Json] = []
    for index, (kind, pieces) in enumerate(blocks):
        if kind == "text":
            events += [text(piece, index) for piece in pieces]
        elif kind == "thinking":
            events += thought(index, "".join(pieces))
        else:
            events += called(index, f"c{index}", "f", *pieces)
    reader = PiAiToChat(MODEL, include_usage=True, now=NOW)
    chunks = [chunk for event in [start(), *events, done()] for chunk in reader.feed(event)]
    completion = completion_from_chunks(chunks + reader.close())

    check_completion(completion)
    message = completion["choices"][0]["message"]
    said = "".join("".join(pieces) for kind, pieces in blocks if kind == "text")
    assert said == (message["content"] or "")
    thoughts = ["".join(pieces) for kind, pieces in blocks if kind == "thinking"]
    assert "\n\n".join(thoughts) == message.get("reasoning_content", "")
    calls = [(f"c{i}", "".join(p)) for i, (kind, p) in enumerate(blocks) if kind == "call"]
    assert calls == [
        (call["id"], call["function"]["arguments"]) for call in message.get("tool_calls", ())
    ]


BLOCKS = an_object(
    type=st.sampled_from(["text", "thinking", "toolCall"]),
    text=LETTERS,
    thinking=LETTERS,
    thinkingSignature=st.sampled_from(["", "S", '{"encrypted_content":"E"}', "{"]),
    redacted=st.booleans(),
    id=st.sampled_from(["", "a", "b|c"]),
    name=st.sampled_from(["", "f"]),
    arguments=OBJECTS,
)
MESSAGES = an_object(
    role=st.just("assistant"),
    content=st.lists(maybe_broken(BLOCKS), max_size=3),
    stopReason=st.sampled_from(["stop", "length", "toolUse", "error", "aborted"]),
    errorMessage=st.sampled_from(
        ["terminated", "x: y", '{"error":1}', "Provider finish_reason: x"]
    ),
    usage=an_object(input=st.integers(-1, 3), output=st.integers(-1, 3), totalTokens=st.integers()),
)
PARTS = ("start", "delta", "end")
KINDS = [
    "start",
    *(f"{kind}_{part}" for kind in ("text", "thinking", "toolcall") for part in PARTS),
    "done",
    "error",
    "odd",
]
EVENTS = an_object(
    type=st.sampled_from(KINDS),
    api=st.sampled_from(["anthropic-messages", "openai-responses", "openai-completions"]),
    contentIndex=st.integers(-1, 3),
    delta=LETTERS,
    block=BLOCKS,
    toolCall=BLOCKS,
    reason=st.sampled_from(["stop", "length", "toolUse", "error", "odd"]),
    message=MESSAGES,
    error=MESSAGES,
    cut=st.booleans(),
)


@examples(300)
@given(st.lists(maybe_broken(EVENTS | MESSAGES), max_size=8), st.booleans(), JSON)
def test_any_events_make_a_valid_stream_or_an_upstream_error(
    events: list[Any], include_usage: bool, last: Any
) -> None:
    """Any events, however broken, result in a valid stream or an `UpstreamError`."""
    reader = PiAiToChat(MODEL, include_usage=include_usage, now=NOW)
    try:
        chunks = [chunk for event in [*events, last] for chunk in reader.feed(event)]
        chunks += reader.close()
    except UpstreamError:
        return
    check_stream(chunks, include_usage=include_usage)
