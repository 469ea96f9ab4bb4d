"""Properties that hold for all conversations and responses, tested with random data."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.errors import RequestError, UpstreamError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.chat_completions.request import check_request
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.responses.request import count_images, initiator, parse_request
from copilot_proxy.formats.responses.request_from_chat import from_chat
from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.responses.request_to_model import (
    responses_for_model,
    responses_from_chat,
)
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, NOW, call, calling, check_stream, event
from tests.formats.openai_schemas import check_completion
from tests.formats.responses.answers import (
    PICTURE,
    Upstream,
    check_order,
    chunks_of,
    read_strictly,
    repair,
    request,
    write,
)
from tests.formats.responses.models import GPT
from tests.selection import examples

PROFILE = profile_of(GPT, "responses")

WORDS = st.text(max_size=8)
SAID = st.text(min_size=1, max_size=8)
OPAQUE = st.none() | st.lists(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), min_size=1, max_size=2
).map(lambda contents: "responses:" + " ".join(contents))
PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, SAID)
    | st.just({"type": "image_url", "image_url": {"url": PICTURE}}),
    min_size=2,
    max_size=3,
)
PROMPTS = st.builds(
    lambda role, content: [{"role": role, "content": content}],
    st.sampled_from(["user", "system", "developer"]),
    WORDS | PARTS,
)


@st.composite
def assistant_turns(draw: st.DrawFn) -> list[Json]:
    """Return an assistant message and the results of its calls."""
    count = draw(st.integers(0, 3))
    content = draw(SAID if not count else st.none() | SAID)
    message: Json = {"role": "assistant", "content": content}
    if opaque := draw(OPAQUE):
        message["reasoning_opaque"] = opaque
    ids = [f"call_{draw(st.integers(0, 99))}_{i}" for i in range(count)]
    if ids:
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": "f", "arguments": draw(SAID)}}
            for id in ids
        ]
    results = [{"role": "tool", "tool_call_id": id, "content": draw(WORDS)} for id in ids]
    return [message, *draw(st.permutations(results))]


TURNS = st.lists(
    st.tuples(PROMPTS, st.lists(assistant_turns(), max_size=2).filter(
        # Consecutive assistant messages without a result between them become one.
        lambda answers: all(len(answer) > 1 for answer in answers[:-1])
    )),
    min_size=1,
    max_size=4,
)  # fmt: skip


@examples(120)
@given(TURNS)
def test_conversations_survive_a_round_trip(turns: list[Any]) -> None:
    """Messages, ids, encrypted reasoning and their order survive both translations."""
    messages = [m for asking, answers in turns for part in (asking, *answers) for m in part]
    notes: list[str] = []

    chat = to_chat(from_chat({"model": MODEL, "messages": messages}, PROFILE, notes), notes)

    check_request(chat)
    assert messages == chat["messages"]
    assert [] == notes


@examples(120)
@given(
    st.lists(
        st.tuples(st.sampled_from(["content", "reasoning_text", "refusal"]), SAID)
        | st.tuples(st.sampled_from(["f", "apply_patch"]), st.lists(SAID, max_size=3)),
        max_size=5,
    )
)
def test_responses_survive_a_round_trip(said: list[tuple[str, Any]]) -> None:
    """Chat chunks are unchanged after being written as Responses events and read again."""
    events: list[Json] = []
    for i, (name, what) in enumerate(said):
        if name in ("f", "apply_patch"):
            pieces = json.dumps({"input": "".join(what)}, separators=(",", ":"), ensure_ascii=False)
            # JSON escapes can be written in several ways, and endless whitespace is an error.
            if "\\" in pieces or not pieces.isprintable():
                continue
            events.append(calling(call(f"c{i}", name, index=i)))
            events += [calling(call(arguments=p, index=i)) for p in (pieces[:5], pieces[5:])]
        else:
            events.append(event(**{name: what}))
    custom = {"apply_patch"}
    stream = ChatRepair(MODEL, include_usage=True, now=NOW, custom_tools=custom)
    chunks = [chunk for data in [*events, event("stop")] for chunk in stream.feed(data)]
    chunks += stream.close()

    sent, whole = write(chunks, request(tools=[{"type": "custom", "name": "apply_patch"}]))

    read_strictly(sent)
    check_order(sent)
    before = completion_from_chunks(chunks)["choices"][0]
    for again in (sent, [whole]):
        after = completion_from_chunks(chunks_of(again))["choices"][0]
        # Interrupted reasoning, and what comes after an interrupted message, becomes paragraphs.
        for choice in (before, after):
            for field in ("reasoning_content", "content", "refusal"):
                choice["message"][field] = (choice["message"].get(field) or "").replace("\n\n", "")
        assert before == after


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def an_object(
    always: dict[str, st.SearchStrategy[Any]] | None = None, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[Json]:
    """Draw objects with some of the fields, which may occasionally have any value."""
    mixed = {name: st.one_of(*[value] * 9, JSON) for name, value in fields.items()}
    return st.fixed_dictionaries(always or {}, optional=mixed)


TEXTS = st.sampled_from(["", "a", '{"a":', "1}", "{}", "\n\n\n\n\n\n\n\n\n\n\n", "ä"])
PART = an_object(
    type=st.sampled_from(
        ["output_text", "refusal", "summary_text", "input_text", "input_image", "odd"]
    ),
    text=TEXTS,
    refusal=TEXTS,
    image_url=st.sampled_from([PICTURE, "https://example.com"]),
)
IDS = st.sampled_from(["", "x", "y", "msg_1"])
CALLS = st.sampled_from(["", "a", "b"])
NAMES = st.sampled_from(["f", "apply_patch", "n__f"])
OUTPUTS = TEXTS | st.lists(PART, max_size=2)
ENCRYPTED = st.sampled_from(["", "A", "messages:S", "chat:C", "responses:A B", "a b"])
ITEM = st.one_of(
    an_object(
        {"type": st.just("message"), "role": st.sampled_from(["assistant", "user", "system"])},
        id=IDS,
        content=OUTPUTS,
    ),
    an_object(
        {"type": st.just("reasoning")},
        id=IDS,
        summary=st.lists(PART, max_size=2),
        encrypted_content=ENCRYPTED,
    ),
    an_object(
        {"type": st.just("function_call"), "call_id": CALLS, "name": NAMES},
        id=IDS,
        arguments=TEXTS,
        namespace=st.just("n"),
    ),
    an_object({"type": st.just("function_call_output"), "call_id": CALLS}, output=OUTPUTS),
    an_object(
        {"type": st.just("custom_tool_call"), "call_id": CALLS, "name": NAMES},
        id=IDS,
        input=TEXTS,
    ),
    an_object({"type": st.just("custom_tool_call_output"), "call_id": CALLS}, output=OUTPUTS),
    an_object(type=st.sampled_from(["item_reference", "odd"]), id=IDS, role=st.just("user")),
)
TOOL = an_object(
    {
        "type": st.sampled_from(["function", "custom", "namespace", "web_search"]),
        "name": st.sampled_from(["f", "apply_patch", "n", "x" * 70]),
    },
    description=TEXTS,
    parameters=st.just({"type": "object"}),
    tools=st.lists(an_object(type=st.just("function"), name=st.just("f")), max_size=2),
)
COUNTS = an_object(
    input_tokens=st.integers(-1, 9),
    output_tokens=st.integers(-1, 9),
    total_tokens=st.integers(-1, 9),
    input_tokens_details=an_object(cached_tokens=st.integers(-1, 9)),
)
RESPONSE = an_object(
    id=st.sampled_from(["", "x", "resp_1"]),
    object=st.just("response"),
    created_at=st.integers(0, 9),
    status=st.sampled_from(["completed", "incomplete", "failed", "in_progress"]),
    output=st.lists(ITEM, max_size=3),
    usage=COUNTS,
    error=an_object(code=st.just("server_error"), message=TEXTS),
    incomplete_details=an_object(reason=st.sampled_from(["max_output_tokens", "content_filter"])),
    copilot_usage=an_object(total_nano_aiu=st.integers(0, 9)),
)
KINDS = [
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.refusal.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
]
EVENT = st.one_of(
    an_object(
        {"type": st.sampled_from(KINDS)},
        sequence_number=st.integers(-1, 9),
        output_index=st.integers(0, 2),
        content_index=st.integers(0, 1),
        summary_index=st.integers(0, 1),
        item_id=st.sampled_from(["x", "y"]),
        item=ITEM,
        delta=TEXTS,
        text=TEXTS,
        arguments=TEXTS,
        response=RESPONSE,
    ),
    RESPONSE,
    JSON,
)
LAST = st.builds(lambda: Upstream().end([]))


@examples(300)
@given(st.lists(EVENT, max_size=6), st.lists(LAST, max_size=1))
def test_any_events_make_a_valid_stream_or_an_upstream_error(
    events: list[Any], last: list[Any]
) -> None:
    """Any events, however broken, result in a valid stream or an `UpstreamError`."""
    stream = ResponsesToChat(MODEL, include_usage=True)
    chunks = []
    try:
        for data in [*events, *last]:
            chunks += stream.feed(data)
        chunks += stream.close()
    except UpstreamError:
        return

    check_stream(chunks, include_usage=True)
    check_completion(completion_from_chunks(chunks))
    read_strictly(write(chunks)[0])


@examples(300)
@given(st.lists(EVENT, max_size=6), st.lists(LAST, max_size=1), st.lists(TOOL, max_size=2))
def test_any_native_events_stay_in_order_or_make_an_upstream_error(
    events: list[Any], last: list[Any], tools: list[Any]
) -> None:
    """Any events result in a native stream with numbers, an end and one id, or an error."""
    stream = ResponsesRepair(request(tools=tools))
    out = []
    try:
        for data in [*events, *last]:
            out += stream.feed(data)
        out += stream.close()
    except UpstreamError:
        return

    assert [*range(len(out))] == [one["sequence_number"] for one in out]
    assert stream.response is not None or stream.failure is not None
    responses = [one["response"] for one in out if one["type"] != "error" and "response" in one]
    assert 1 >= len({one["id"] for one in responses if isinstance(one, dict)})


@examples(60)
@given(
    st.lists(st.tuples(st.booleans(), st.lists(SAID, max_size=3)), max_size=4),
    st.randoms(use_true_random=False),
)
def test_interleaved_native_items_keep_their_ids(
    items: list[tuple[bool, list[str]]], random: Any
) -> None:
    """If the events of several items are interleaved, nothing is lost, and each item has one id."""
    up = Upstream()
    queues = [
        up.call(i, "f", *(p.replace("\n", "") for p in pieces), call_id=f"c{i}")
        if calls
        else up.text(i, *pieces)
        for i, (calls, pieces) in enumerate(items)
    ]
    # Items begin in order; after that, their events may arrive in any order.
    mixed = [queue.pop(0) for queue in queues]
    while left := [queue for queue in queues if queue]:
        mixed.append(random.choice(left).pop(0))

    out = repair([*up.begin(), *mixed, up.end(sorted(mixed, key=lambda e: e["output_index"]))])

    response = read_strictly(out)
    assert "".join("".join(pieces) for calls, pieces in items if not calls) == response.output_text


FIELDS = an_object(
    {"model": st.just(MODEL), "input": TEXTS | st.lists(ITEM, max_size=4)},
    instructions=TEXTS,
    stream=st.booleans(),
    tools=st.lists(TOOL, max_size=3),
    tool_choice=st.sampled_from(["auto", "required"]) | TOOL,
    reasoning=an_object(effort=st.sampled_from(["low", "max"])),
    text=an_object(format=an_object(type=st.sampled_from(["text", "json_schema"]))),
    max_output_tokens=st.integers(0, 20),
    include=st.lists(st.just("x"), max_size=1),
    metadata=JSON,
    store=st.booleans(),
)


@examples(300)
@given(FIELDS)
def test_any_request_is_translated_or_refused(fields: Json) -> None:
    """Any request results in valid requests for the other APIs, or in a `RequestError`."""
    try:
        asked = parse_request(json.dumps(fields).encode())
    except RequestError:
        return
    initiator(asked)
    count_images(asked)
    try:
        body = responses_for_model(asked, GPT, []).body
    except RequestError:
        return
    assert body["store"] is False
    assert not any("id" in item for item in body["input"] if isinstance(item, dict))
    try:
        chat = to_chat(asked, [])
    except RequestError:
        return
    check_request(chat)
    responses_from_chat(chat, GPT, [])
