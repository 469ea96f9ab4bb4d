"""Nothing in an answer is lost, repeated or moved, whether it is streamed or not."""

import json
from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.gemini.request import parse_call
from copilot_proxy.formats.gemini.stream_from_chat import ChatToGemini
from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.messages.stream_repair import message_from_events
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, call, calling, complete, event
from tests.formats.messages.samples import request as messages_request
from tests.formats.messages.samples import text
from tests.formats.responses.answers import (
    Upstream,
    check_order,
    chunks_of,
    message_of,
    read_strictly,
    repair,
    request,
    write,
)

TOOLS = [{"type": "custom", "name": "apply_patch"}]
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 8,
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def chunks(*events: Any) -> list[Json]:
    """Return the chat chunks for Copilot's events."""
    stream = ChatRepair(MODEL, include_usage=True, custom_tools={"apply_patch"})
    return [chunk for data in events for chunk in stream.feed(data)] + stream.close()


def gemini_parts(*events: Any, stream: bool = True) -> list[Json]:
    """Return the parts of the Gemini answer for Copilot's events."""
    body = json.dumps({"contents": "Hi"}).encode()
    writer = ChatToGemini(parse_call(body, "models/m", stream=stream))
    out = [one for chunk in chunks(*events) for one in writer.feed(chunk)] + writer.close()
    answers = out if stream else [writer.whole(out)]
    return [part for one in answers for part in one["candidates"][0]["content"]["parts"]]


def test_thinking_tokens_reach_anthropics_clients() -> None:
    """Anthropic's usage says how many of the output tokens are thinking."""
    writer = ChatToMessages(messages_request(), MODEL)
    events = [one for chunk in chunks(event("stop", content="Hi", usage=USAGE))
              for one in writer.feed(chunk)] + writer.close()  # fmt: skip

    for usage in (events[-2]["usage"], writer.whole(events)["usage"]):
        assert 8 == usage["output_tokens"]
        assert {"thinking_tokens": 5} == usage["output_tokens_details"]


def test_thinking_tokens_of_an_anthropic_answer_on_chat_completions() -> None:
    """Claude's own format, which some models use on Chat Completions, has these counts, too."""
    usage = {"input_tokens": 9, "output_tokens": 8, "output_tokens_details": {"thinking_tokens": 5}}

    answer = complete([{"content": [text("Hi")], "stop_reason": "end_turn", "usage": usage}])

    assert 5 == answer["usage"]["completion_tokens_details"]["reasoning_tokens"]


def test_all_fields_of_a_streams_end_are_in_the_message() -> None:
    """A long answer is requested as a stream; a client that does not stream gets all its fields."""
    usage = {"input_tokens": 0, "output_tokens": 8, "server_tool_use": {"web_search_requests": 2}}
    message = message_from_events(
        [
            {"type": "message_start", "message": {"usage": {"input_tokens": 9, "speed": "fast"}}},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "container": {"id": "c"}},
                "usage": usage,
                "input_transformations": [{"type": "x"}],
            },
            {"type": "message_stop", "copilot_usage": {"total_nano_aiu": 1}},
        ]
    )

    assert {**usage, "input_tokens": 9, "speed": "fast"} == message["usage"]
    assert {"id": "c"} == message["container"]
    assert [{"type": "x"}] == message["input_transformations"]
    assert {"total_nano_aiu": 1} == message["copilot_usage"]


def test_new_types_of_blocks_are_whole() -> None:
    """A client that does not stream gets all texts of blocks that this server does not know."""
    start = {"type": "summary", "content": None, "kept": {"a": 1}}
    deltas: list[Json] = [{"content": "On"}, {"content": "e."}, {"kept": "x"}, {"odd": [1]}]
    message = message_from_events(
        [
            {"type": "message_start", "message": {}},
            {"type": "content_block_start", "index": 0, "content_block": start},
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "new", **delta}}
                for delta in deltas
            ),
        ]
    )

    assert [{**start, "content": "One."}] == message["content"]


def test_a_whole_response_becomes_all_events_of_a_stream() -> None:
    """If a model does not stream, clients that read only deltas and annotations miss nothing."""
    up = Upstream()
    link = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    said = up.text(0, "Hi")[-1]["item"]
    said["content"][0] |= {"annotations": [link], "logprobs": []}
    item: Json = up.reasoning(1, "Summary.")[-1]["item"]
    item["content"] = [{"type": "reasoning_text", "text": "Reasoning."}]
    body = up.end([up.done(0, said), up.done(1, item)])["response"]

    sent = repair([body])

    read_strictly(sent)
    found = [one for one in sent if one["type"] == "response.output_text.annotation.added"]
    assert [(0, link)] == [(one["annotation_index"], one["annotation"]) for one in found]
    assert ["Hi", "Summary.", "Reasoning."] == [one["delta"] for one in sent if "delta" in one]
    added = [one for one in sent if one["type"].endswith(".added") and one is not found[0]]
    assert not any(text in str(added) for text in ("Hi", "Summary.", "Reasoning.", "url_citation"))


@pytest.mark.parametrize(
    ("events", "items"),
    [
        (
            [event(content="Hi"), calling(call("a", "f", "[1]")), calling(call("b", "g", "{}"))],
            ["Hi", "[1]", "{}"],
        ),
        (
            [calling(call("a", "f", '{"x"')), calling(call("b", "g", '{"y"', index=1)),
             calling(call(arguments=":1}", index=0)), calling(call(arguments=":2}", index=1))],
            ['{"x":1}', '{"y":2}'],
        ),
        ([calling(call("a", "f", "{} ")), event(content="Hi"), calling(call(arguments=" "))],
         ["{}  ", "Hi"]),
        ([calling(call("a", "f")), event(content="H"), event(content="i")], ["{}", "Hi"]),
        (
            [calling(call("a", "apply_patch", '{"input": "x"}')), event(reasoning_text="Hm."),
             calling(call("b", "f", "{}"))],
            ["x", "Hm.", "{}"],
        ),
    ],
)  # fmt: skip
def test_an_item_ends_before_the_next_starts(events: list[Json], items: list[str]) -> None:
    """The items of a Responses stream follow one another, even if the model's calls alternate."""
    sent, whole = write(chunks(*events, event("stop")), request(tools=TOOLS))

    read_strictly(sent)
    of_items = check_order(sent)
    deltas = [""] * len(items)
    for one in of_items:
        deltas[one["output_index"]] += one.get("delta", "")
    assert [item.strip() for item in items] == [delta.strip() for delta in deltas]
    done = [one["item"] for one in of_items if one["type"] == "response.output_item.done"]
    assert done == whole["output"]


def test_a_failure_sends_what_was_held_back() -> None:
    """If the stream fails in the middle of a call, the client still gets the text after it."""
    writer = ChatToResponses(request(), MODEL)
    repair = ChatRepair(MODEL)
    events = [calling(call("a", "f", '{"x"')), event(content="Hi")]
    sent = [one for data in events for chunk in repair.feed(data) for one in writer.feed(chunk)]

    assert "Hi" not in [one.get("delta") for one in sent]
    sent += writer.fail(BrokenResponse("Cut off."), "r1")

    assert "Hi" in [one.get("delta") for one in sent]
    assert list(range(len(sent))) == [one["sequence_number"] for one in sent]


def test_a_summary_and_the_reasoning_itself() -> None:
    """If a model sends a summary and its reasoning, clients get both, streamed or not."""
    up = Upstream()
    item: Json = up.reasoning(0, "Summary.")[-1]["item"]
    item["content"] = [{"type": "reasoning_text", "text": "Reasoning."}]
    at: Json = {"output_index": 0, "content_index": 0}
    raw = {"type": "response.reasoning_text.delta", **at, "delta": "Reasoning."}
    streamed = [*up.reasoning(0, "Summary.")[:-1], raw, up.done(0, item)]

    for events in (streamed, [up.done(0, item)]):
        message = message_of(up.whole([*events, *up.text(1, "Hi")]))
        assert "Summary.\n\nReasoning." == message["reasoning_content"]
    body = up.whole([*streamed, *up.text(1, "Hi")])[-1]["response"]
    assert "Summary.\n\nReasoning." == message_of([body])["reasoning_content"]


def test_several_messages_are_paragraphs() -> None:
    """Texts of different messages, such as a comment and the answer, do not run together."""
    up = Upstream()
    events = up.whole([*up.text(0, "Let me ", "look."), *up.text(1, "Done.")])

    assert "Let me look.\n\nDone." == message_of(events)["content"]
    assert "Let me look.\n\nDone." == message_of([events[-1]["response"]])["content"]


def test_the_service_tier_is_kept() -> None:
    """The answer names the service tier on both of OpenAI's APIs, whichever the model uses."""
    up = Upstream()
    begin = [{**one, "response": {**one["response"], "service_tier": "fast"}} for one in up.begin()]
    last = up.end([], service_tier="fast")
    sent, whole = write(chunks({**event("stop", content="Hi"), "service_tier": "fast"}))

    assert {"fast"} == {chunk.get("service_tier") for chunk in chunks_of([*begin, last])}
    assert {"fast"} == {chunk.get("service_tier") for chunk in chunks_of([last["response"]])}
    assert "fast" == whole["service_tier"] == sent[0]["response"]["service_tier"]


@pytest.mark.parametrize("missing", [0, 1])
def test_items_that_only_the_final_event_has(missing: int) -> None:
    """A message that was not streamed is added at the end, and nothing is repeated."""
    up = Upstream()
    both = [up.text(0, "One."), up.text(1, "Two.")]
    events = up.whole([*both[0], *both[1], *up.reasoning(2, "Hm.", encrypted="gA")])
    streamed = [one for one in events if one.get("output_index") != missing]

    message = message_of(streamed)

    assert ("One.\n\nTwo." if missing == 1 else "Two.\n\nOne.") == message["content"]
    assert ("Hm.", "responses:gA") == (message["reasoning_content"], message["reasoning_opaque"])


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_clients_of_the_same_api_get_items_that_only_the_final_event_has(missing: int) -> None:
    """Codex looks only at item events, so items that are only in the final event get them too."""
    up = Upstream()
    items = [*up.text(0, "One."), *up.text(1, "Two."), *up.call(2, "f", "{}", call_id="a")]
    events = up.whole([*items, *up.reasoning(3, "Hm.", encrypted="gA")])

    sent = repair(one for one in events if one.get("output_index") != missing)

    done = [one["item"] for one in sent if one["type"] == "response.output_item.done"]
    final = sent[-1]["response"]["output"]
    assert 4 == len(final)
    assert sorted(one["id"] for one in final) == sorted(one["id"] for one in done)


@pytest.mark.parametrize("stream", [True, False])
def test_the_order_of_geminis_parts(stream: bool) -> None:
    """Text after a call stays after it, and is one part."""
    events = [
        event(content="One."),
        calling(call("a", "f", '{"x":1}')),
        event(content="Tw"),
        event(content="o."),
        calling(call("b", "f", "{}", index=1)),
        event("stop", content="Three."),
    ]

    parts = gemini_parts(*events, stream=stream)

    called = [part.get("functionCall", {}).get("id", part.get("text")) for part in parts]
    assert ["One.", "a", "Two.", "b", "Three."] == called


@pytest.mark.parametrize("stream", [True, False])
def test_a_refusal_is_text_on_gemini(stream: bool) -> None:
    """The model's words are text, since Google's SDK has no other place for them."""
    parts = gemini_parts(event(refusal="I "), event("stop", refusal="won't."), stream=stream)

    assert "I won't." == "".join(part["text"] for part in parts)
