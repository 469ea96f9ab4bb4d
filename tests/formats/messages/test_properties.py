"""Properties that hold for every conversation and every response, tested with Hypothesis."""

from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.errors import RequestError, UpstreamError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.chat_completions.request import check_request
from copilot_proxy.formats.messages.betas import select_betas
from copilot_proxy.formats.messages.request import count_images, initiator, parse_request
from copilot_proxy.formats.messages.request_to_chat import to_chat
from copilot_proxy.formats.messages.request_to_model import messages_for_model, messages_from_chat
from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.messages.stream_repair import MessagesRepair, message_from_events
from copilot_proxy.formats.messages.stream_to_chat import MessagesToChat
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, check_stream
from tests.formats.messages.samples import (
    RAW,
    check_order,
    check_with_simulator,
    request,
    simulated,
)
from tests.formats.openai_schemas import check_completion
from tests.formats.requests import PNG
from tests.selection import examples

CLAUDES = [id for id, raw in RAW.items() if "/v1/messages" in raw.get("supported_endpoints", ())]
MODELS = st.sampled_from(CLAUDES).map(simulated)
WORDS = st.text("ab é\n", max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.text("ab", max_size=2), JSON, max_size=2)
OPAQUE_VALUES = st.sampled_from([None, "messages:aa", "messages:aa 3:bb", "responses:x", "x="])
PARTS = st.lists(
    WORDS.map(lambda t: {"type": "text", "text": t})
    | st.just({"type": "image_url", "image_url": {"url": PNG}}),
    max_size=3,
)


@st.composite
def chats(draw: st.DrawFn) -> list[Json]:
    """Draw the messages of a conversation in which every call has its result."""
    messages: list[Json] = []
    for turn in range(draw(st.integers(1, 4))):
        role = draw(st.sampled_from(["system", "user", "user", "assistant", "call"]))
        if role != "call":
            content = draw(WORDS | PARTS) if role == "user" else draw(WORDS)
            messages.append({"role": role, "content": content})
            continue
        ids = [f"call_{turn}_{i}" for i in range(draw(st.integers(1, 3)))]
        calls = [
            {
                "id": id,
                "type": "function",
                "function": {"name": "f", "arguments": msgspec.json.encode(draw(OBJECTS)).decode()},
            }
            for id in ids
        ]
        messages.append(
            {
                "role": "assistant",
                "content": draw(WORDS),
                "tool_calls": calls,
                "reasoning_content": draw(WORDS),
                "reasoning_opaque": draw(OPAQUE_VALUES),
            }
        )
        messages += [{"role": "tool", "tool_call_id": id, "content": draw(WORDS)} for id in ids]
    return messages


def summarize(messages: list[Json]) -> tuple[str, list[Any]]:
    """Summarize instructions, texts, calls, images and results in order.

    Consecutive messages with the same role are merged and blank texts are left out, as Claude
    requires.
    """
    systems = [part["text"] for m in messages if m["role"] == "system" for part in _parts(m)]
    system = "".join(systems).split()
    said: list[Any] = []
    for message in messages:
        role = message["role"]
        if role == "tool":
            said.append(
                (role, message["tool_call_id"], message["content"].strip() and message["content"])
            )
        elif role != "system":
            for part in _parts(message):
                words = "".join(part.get("text", "").split())
                if part["type"] == "image_url":
                    said.append(("image", part["image_url"]["url"]))
                elif words and said and said[-1][0] == role:
                    said[-1] = (role, said[-1][1] + words)
                elif words:
                    said.append((role, words))
        for call in message.get("tool_calls") or ():
            arguments = msgspec.json.decode(call["function"]["arguments"])
            said.append(("call", call["id"], call["function"]["name"], arguments))
    return "".join(system), said


def _parts(message: Json) -> list[Json]:
    content = message["content"] or ""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def without_impossible_choice(fields: Json) -> Json:
    """Return the fields, but without a `tool_choice` that forces a call if there are no tools."""
    if fields.get("tools") or fields.get("tool_choice") in (None, "auto", "none"):
        return fields
    return {name: value for name, value in fields.items() if name != "tool_choice"}


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_effort": st.sampled_from(["none", "low", "high", "max"]),
        "max_tokens": st.sampled_from([1, 1024, 3000, 20000, 10**6]),
        "temperature": st.sampled_from([0, 0.5, 1, 2]),
        "top_p": st.sampled_from([0.5, 0.95]),
        "stream": st.booleans(),
        "stop": st.sampled_from(["a", ["b", " "]]),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "parallel_tool_calls": st.booleans(),
        "response_format": st.sampled_from(
            [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": {}}}]
        ),
        "tools": st.just([{"type": "function", "function": {"name": "f", "parameters": {"a": 1}}}]),
    },
).map(without_impossible_choice)


@examples(150)
@given(chats(), FIELDS, MODELS)
def test_every_chat_becomes_a_request_that_copilot_accepts(
    messages: list[Json], fields: Json, model: Any
) -> None:
    """A valid chat request never results in one that Copilot's Messages API refuses."""
    chat = {"model": "m", "messages": messages, **fields}
    check_request(chat)

    try:
        body = messages_from_chat(chat, model, []).body
    except RequestError:
        assert ("", []) == summarize(messages)
        return

    check_with_simulator(body)
    parse_request(msgspec.json.encode(body))


@examples(150)
@given(chats(), MODELS)
def test_a_chat_survives_the_translation_to_messages_and_back(
    messages: list[Json], model: Any
) -> None:
    """Instructions, texts, calls, results and images survive both translations."""
    try:
        body = messages_from_chat({"model": "m", "messages": messages}, model, []).body
    except RequestError:
        assert ("", []) == summarize(messages)
        return
    back = to_chat(body, [])
    check_request(back)

    system, said = summarize(back["messages"])
    added = [("user", "Pleasecontinue."), ("user", "Pleasebegin.")]
    said = [one for one in said if one not in added]
    assert summarize(messages) == (system, said)


BLOCKS = st.recursive(
    st.one_of(
        WORDS.map(lambda t: {"type": "text", "text": t}),
        st.just(
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
            }
        ),
        st.builds(
            lambda t, s: {"type": "thinking", "thinking": t, "signature": s},
            WORDS,
            st.sampled_from(["", "aa", "messages:aa", "responses:x", "chat:x", "a@b"]),
        ),
        st.builds(
            lambda d: {"type": "redacted_thinking", "data": d}, st.sampled_from(["aa", "x:y"])
        ),
        st.sampled_from([{"type": "server_tool_use", "id": "x"}, {"type": "search_result"}]),
    ),
    lambda inner: st.lists(inner, max_size=2).map(
        lambda content: {"type": "tool_result", "tool_use_id": "a", "content": content}
    ),
    max_leaves=3,
)
MARKS = st.sampled_from([None, {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])
MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "user", "assistant", "system"]),
    WORDS | st.lists(st.builds(lambda b, m: {**b, "cache_control": m}, BLOCKS, MARKS), max_size=4),
)
REQUEST_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "system": WORDS | st.lists(WORDS.map(lambda t: {"type": "text", "text": t}), max_size=3),
        "thinking": st.sampled_from(
            [{"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 5000}]
        ),
        "output_config": st.builds(
            lambda e: {"effort": e}, st.sampled_from([None, "low", "max", "odd"])
        ),
        "max_tokens": st.sampled_from([1, 1025, 20000, 10**6]),
        "temperature": st.sampled_from([0, 1, 2]),
        "top_p": st.just(0.5),
        "top_k": st.just(3),
        "tools": st.lists(
            st.sampled_from(
                [
                    {"name": "f"},
                    {"name": "g", "input_schema": {}, "strict": True},
                    {"type": "web_search", "name": "web_search"},
                ]
            ),
            max_size=3,
        ),
        "tool_choice": st.sampled_from([{"type": "any"}, {"type": "tool", "name": "f"}]),
        "context_management": st.just({"edits": [{"type": "clear_thinking_20251015"}]}),
        "metadata": st.just({"user_id": "u"}),
        "mystery": JSON,
    },
).map(without_impossible_choice)


@examples(250)
@given(st.lists(MESSAGES, min_size=1, max_size=4), REQUEST_FIELDS, MODELS)
def test_every_request_is_translated_or_rejected(
    messages: list[Json], fields: Json, model: Any
) -> None:
    """Translating a valid request either fails with an error or gives a valid request."""
    sent = parse_request(msgspec.json.encode({**request(*messages), **fields}))
    initiator(sent)
    count_images(sent)
    try:
        body = messages_for_model(sent, model, []).body
    except RequestError:
        pass
    else:
        orphans = any("tool_result" in str(message["content"]) for message in body["messages"])
        odd = (body.get("output_config") or {}).get("effort") == "odd"
        if not (orphans or odd):
            check_with_simulator(body, betas=select_betas([], body)[0])
    with suppress(RequestError):
        check_request(to_chat(sent, []))


def maybe_broken(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, strategy, JSON)


def an_object(kind: str | None = None, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Draw an object with some of the fields, each of which can have any value."""
    types = {} if kind is None else {"type": st.just(kind)}
    optional = {name: maybe_broken(value) for name, value in fields.items()}
    return st.fixed_dictionaries(types, optional=optional)


COUNTS = an_object(
    input_tokens=st.integers(-1, 9),
    output_tokens=st.integers(-1, 9),
    cache_read_input_tokens=st.integers(-1, 9),
    output_tokens_details=an_object(thinking_tokens=st.integers(-1, 9)),
)
LETTERS = st.text('ab{}\n"', max_size=4)
INDEXES = st.integers(0, 2)
RESPONSE_BLOCKS = st.one_of(
    an_object("text", text=LETTERS),
    an_object("thinking", thinking=LETTERS, signature=LETTERS),
    an_object("redacted_thinking", data=LETTERS),
    an_object("tool_use", id=st.sampled_from("ab"), name=st.sampled_from(["f", ""]), input=OBJECTS),
    an_object("odd"),
)
REASONS = st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal", "odd", "", None])
EVENTS = st.one_of(
    an_object("message_start", message=an_object(id=LETTERS, usage=COUNTS)),
    an_object("content_block_start", index=INDEXES, content_block=RESPONSE_BLOCKS),
    an_object(
        "content_block_delta",
        index=INDEXES,
        delta=st.one_of(
            an_object("text_delta", text=LETTERS),
            an_object("thinking_delta", thinking=LETTERS),
            an_object("signature_delta", signature=LETTERS),
            an_object("input_json_delta", partial_json=LETTERS),
        ),
    ),
    an_object("content_block_stop", index=INDEXES),
    an_object("message_delta", delta=an_object(stop_reason=REASONS), usage=COUNTS),
    an_object("message_stop", copilot_usage=OBJECTS),
    an_object("ping"),
    an_object("message", content=st.lists(maybe_broken(RESPONSE_BLOCKS), max_size=2), usage=COUNTS),
    an_object("error", error=OBJECTS),
)


@examples(300)
@given(st.lists(maybe_broken(EVENTS), max_size=8))
def test_every_stream_is_a_response_or_an_error(events: list[Any]) -> None:
    """Malformed events result in valid chunks and messages, or an error."""
    stream = MessagesToChat(MODEL, include_usage=True)
    try:
        chunks = [chunk for data in events for chunk in stream.feed(data)] + stream.close()
    except UpstreamError:
        pass
    else:
        check_stream(chunks, include_usage=True)
        check_completion(completion_from_chunks(chunks))
        writer = ChatToMessages(request(thinking={"type": "adaptive"}), MODEL)
        written = [event for one in chunks for event in writer.feed(one)] + writer.close()
        check_order(written)
        msgspec.json.encode(writer.whole(written))

    native = MessagesRepair()
    try:
        passed = [event for data in events for event in native.feed(data)] + native.close()
        msgspec.json.encode(message_from_events(passed))
    except UpstreamError:
        pass


@examples(100)
@given(st.data())
def test_a_stream_cut_anywhere_never_looks_complete(data: st.DataObject) -> None:
    """A response is only complete once it has a stop reason."""
    words = data.draw(st.lists(LETTERS, min_size=1, max_size=3))
    events: list[Json] = [{"type": "message_start", "message": {"id": "m", "content": []}}]
    for index, text in enumerate(words):
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": text}
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}})
    events.append({"type": "message_stop"})
    cut = data.draw(st.integers(0, len(events)))

    for stream in (MessagesToChat(MODEL), MessagesRepair()):
        made = [one for event in events[:cut] for one in stream.feed(event)]
        try:
            made += stream.close()
        except UpstreamError:
            assert cut < len(events) - 1
        else:
            assert cut >= len(events) - 1
            texts = "".join(words)
            if isinstance(stream, MessagesRepair):
                assert texts == "".join(
                    block["text"] for block in message_from_events(made)["content"]
                )
            else:
                answer = completion_from_chunks(made)["choices"][0]["message"]["content"]
                assert texts == answer
