"""pi-ai's events become Chat Completions chunks."""

from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamError, UpstreamRefusal
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, NOW, check_stream
from tests.formats.openai_schemas import check_completion

USAGE: Json = {"input": 5, "output": 7, "cacheRead": 2, "cacheWrite": 1, "totalTokens": 15}
REASONING = '{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"ENC"}'


def start(api: str = "openai-completions") -> Json:
    return {"type": "start", "api": api}


def done(reason: str = "stop", usage: Any = USAGE) -> Json:
    return {"type": "done", "reason": reason, "message": {"usage": usage, "stopReason": reason}}


def text(words: str, index: int = 0) -> Json:
    return {"type": "text_delta", "contentIndex": index, "delta": words}


def called(index: int, id: str, name: str, *pieces: str, arguments: Any = None) -> list[Json]:
    block = {"type": "toolCall", "id": id, "name": name, "arguments": arguments or {}}
    return [
        {"type": "toolcall_start", "contentIndex": index, "block": block},
        *({"type": "toolcall_delta", "contentIndex": index, "delta": one} for one in pieces),
        {"type": "toolcall_end", "contentIndex": index, "toolCall": block},
    ]


def thought(index: int, words: str, **block: Any) -> list[Json]:
    return [
        {"type": "thinking_start", "contentIndex": index},
        {"type": "thinking_delta", "contentIndex": index, "delta": words},
        {"type": "thinking_end", "contentIndex": index, "block": {"type": "thinking", **block}},
    ]


def failed(message: str, raw: str | None = None, **more: Any) -> Json:
    error = {"stopReason": "error", "errorMessage": message, "rawStopReason": raw}
    return {"type": "error", "reason": "error", "error": error, **more}


def read(*events: Json) -> list[Json]:
    reader = PiAiToChat(MODEL, include_usage=True, now=NOW)
    chunks = [chunk for event in events for chunk in reader.feed(event)]
    return chunks + reader.close()


def stream(*events: Json) -> list[Json]:
    """Return the chunks, after checking them against OpenAI's rules for streams."""
    chunks = read(*events)
    check_stream(chunks, include_usage=True)
    return chunks


def complete(*events: Json) -> Json:
    """Return the completion, after checking it against OpenAI's schema."""
    completion = completion_from_chunks(stream(*events))
    check_completion(completion)
    return completion


def message(*events: Json) -> Json:
    result: Json = complete(*events)["choices"][0]["message"]
    return result


def deltas(*events: Json) -> list[Json]:
    return [choice["delta"] for chunk in stream(*events) for choice in chunk["choices"]]


def test_a_stream_with_all_kinds_of_content() -> None:
    """Content is passed on as it arrives; each call has its own index, and one id and name."""
    result = deltas(
        start("anthropic-messages"),
        *thought(0, "Hm", thinkingSignature="SIG"),
        {"type": "text_start", "contentIndex": 1},
        text("He", 1),
        text("llo", 1),
        {"type": "text_end", "contentIndex": 1},
        *called(2, "a", "f", '{"x"', ": 1}"),
        *called(3, "b", "g"),
        done("toolUse"),
    )

    def piece(index: int, arguments: str, **more: Any) -> Json:
        function = {"arguments": arguments, **({"name": more.pop("name")} if more else {})}
        return {"tool_calls": [{"index": index, "function": function, **more}]}

    assert [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm"},
        {"reasoning_opaque": "messages:SIG"},
        {"content": "He"},
        {"content": "llo"},
        piece(0, "", id="a", type="function", name="f"),
        piece(0, '{"x"'),
        piece(0, ": 1}"),
        piece(1, "", id="b", type="function", name="g"),
        piece(1, "{}"),
        {},
    ] == result


def test_usage_has_openais_shape() -> None:
    """Tokens that were read from or written to the cache are part of the prompt."""
    usage = complete(start(), text("Hi"), done())["usage"]

    assert (8, 7, 15) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["total_tokens"],
    )
    assert 2 == usage["prompt_tokens_details"]["cached_tokens"]
    assert 1 == usage["prompt_tokens_details"]["cache_creation_input_tokens"]


@pytest.mark.parametrize("usage", [None, {"input": 0, "output": 0}])
def test_missing_usage(usage: Any) -> None:
    """Missing token counts are left out instead of reported as zeros."""
    result = completion_from_chunks(read(start(), text("Hi"), done(usage=usage)))

    assert "usage" not in result


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), ("toolUse", "stop")]
)
def test_finish_reasons(reason: str, finish: str) -> None:
    """pi-ai's reasons become OpenAI's; without calls, the reason is never `tool_calls`."""
    assert finish == complete(start(), text("Hi"), done(reason))["choices"][0]["finish_reason"]


def test_calls_set_the_finish_reason() -> None:
    """A response with calls has the reason `tool_calls`, whatever pi-ai reports."""
    completion = complete(start(), *called(0, "a", "f", "{}"), done("stop"))

    assert "tool_calls" == completion["choices"][0]["finish_reason"]


def test_arguments_without_pieces() -> None:
    """A call that was not streamed in pieces has its whole arguments, as JSON."""
    (call,) = message(start(), *called(0, "a", "f", arguments={"x": [1]}), done())["tool_calls"]

    assert '{"x":[1]}' == call["function"]["arguments"]


def test_arguments_are_not_repeated() -> None:
    """The whole arguments at the end are not added to the pieces before them."""
    events = called(0, "a", "f", '{"x": ', "1}", arguments={"x": 1})

    (call,) = message(start(), *events, done())["tool_calls"]

    assert '{"x": 1}' == call["function"]["arguments"]


def test_calls_that_pi_ai_has_joined_are_an_error() -> None:
    """Joined arguments of two calls are an error, since no client could run them."""
    events = called(0, "a", "f", '{"x": 1}', ' {"x": 2}')

    with pytest.raises(BrokenResponse, match="joined several"):
        stream(start(), *events, done("toolUse"))
    assert message(start(), *called(0, "a", "f", '{"x": "} {"}'), done())["tool_calls"]


def test_item_ids_are_removed() -> None:
    """Only the part of a call's id before the bar is kept; the rest is an item id."""
    events = called(0, "call_1|fc_2", "f", "{}")

    (call,) = message(start("openai-responses"), *events, done())["tool_calls"]

    assert "call_1" == call["id"]


@pytest.mark.parametrize(
    ("api", "blocks", "opaque"),
    [
        ("anthropic-messages", [{"thinkingSignature": "S"}], "messages:S"),
        (
            "anthropic-messages",
            [{"thinkingSignature": "S"}, {"thinkingSignature": "T"}],
            "messages:S 4:T",
        ),
        ("openai-responses", [{"thinkingSignature": REASONING}], "responses:ENC"),
        (
            "openai-responses",
            [{"thinkingSignature": REASONING}, {"thinkingSignature": REASONING}],
            "responses:ENC ENC",
        ),
        ("openai-responses", [{"thinkingSignature": "no JSON"}], None),
        ("openai-responses", [{"thinkingSignature": "[" * 9000}], None),
        ("openai-responses", [{"thinkingSignature": '{"encrypted_content": null}'}], None),
        ("openai-completions", [{"thinkingSignature": "reasoning_text"}], None),
        ("openai-completions", [{}], None),
    ],
)
def test_encrypted_reasoning_has_the_same_labels(
    api: str, blocks: list[Json], opaque: str | None
) -> None:
    """Encrypted reasoning is labeled as in the other formats, so both upstreams can read it."""
    events = [event for i, block in enumerate(blocks) for event in thought(i, "Hm", **block)]

    result = message(start(api), *events, text("A", 9), done())

    assert opaque == result.get("reasoning_opaque")
    assert "\n\n".join(["Hm"] * len(blocks)) == result["reasoning_content"]


def test_content_only_at_the_end_of_a_block() -> None:
    """A thinking block is included even if its text arrives only at the end of the block."""
    result = message(
        start("openai-responses"),
        {"type": "thinking_start", "contentIndex": 0},
        {"type": "thinking_end", "contentIndex": 0, "content": "Hm", "block": {}},
        {"type": "text_start", "contentIndex": 1},
        {"type": "text_end", "contentIndex": 1, "content": "Hello"},
        done(),
    )

    assert ("Hm", "Hello") == (result["reasoning_content"], result["content"])


def test_redacted_thinking_has_no_text() -> None:
    """The encrypted data is kept, and pi-ai's placeholder is not passed on as the model's text."""
    events: list[Json] = [
        {"type": "thinking_start", "contentIndex": 0},
        {
            "type": "thinking_end",
            "content": "[Reasoning redacted]",
            "block": {"thinkingSignature": "D", "redacted": True},
        },
    ]

    result = message(start("anthropic-messages"), *events, text("A", 1), done())

    assert "messages:!D" == result["reasoning_opaque"]
    assert "reasoning_content" not in result


def test_a_whole_message() -> None:
    """pi-ai's final message alone results in the same completion."""
    whole = {
        "role": "assistant",
        "api": "anthropic-messages",
        "content": [
            {"type": "thinking", "thinking": "Hm", "thinkingSignature": "S"},
            {"type": "text", "text": "Hello"},
            {"type": "toolCall", "id": "a", "name": "f", "arguments": {"x": 1}},
        ],
        "usage": USAGE,
        "stopReason": "toolUse",
    }

    result = message(whole)

    assert ("Hello", "Hm", "messages:S") == (
        result["content"],
        result["reasoning_content"],
        result["reasoning_opaque"],
    )
    assert {"name": "f", "arguments": '{"x":1}'} == result["tool_calls"][0]["function"]
    with pytest.raises(BrokenResponse):
        message({**whole, "stopReason": "error", "errorMessage": "terminated"})


CHOICE: Json = {"choices": [{"finish_reason": "content_filter"}]}


def incomplete(reason: str) -> Json:
    details = {"incomplete_details": {"reason": reason}}
    usage = {"input_tokens": 9, "output_tokens": 6, "total_tokens": 15}
    return {"type": "response.incomplete", "response": {**details, "usage": usage}}


def stopped(reason: str) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason}}


@pytest.mark.parametrize(
    ("event", "finish"),
    [
        (failed("Provider finish_reason: content_filter", "content_filter"), "content_filter"),
        (failed("Provider finish_reason: x", "content_filter", last=CHOICE), "content_filter"),
        (failed("I cannot help.", "refusal", last=stopped("refusal")), "content_filter"),
        (
            failed("Unhandled stop reason", "new", last=stopped("model_context_window_exceeded")),
            "length",
        ),
        (
            failed("Anthropic stream ended before message_stop", "a", last=stopped("end_turn")),
            "stop",
        ),
        (
            failed(
                "Response incomplete: content_filter",
                "incomplete.content_filter",
                last=incomplete("content_filter"),
            ),
            "content_filter",
        ),
        ({**done(), "last": incomplete("max_output_tokens")}, "length"),
        ({**done(), "last": incomplete("content_filter")}, "content_filter"),
        ({**done("length"), "last": stopped("max_tokens")}, "length"),
        ({**done(), "last": {"choices": [{"finish_reason": "SAFETY"}]}}, "content_filter"),
    ],
)
def test_copilots_finish_reason_takes_precedence(event: Json, finish: str) -> None:
    """Copilot's finish reason applies, since pi-ai mistakes some normal endings for failures."""
    completion = complete(start(), text("Hi"), event)

    assert finish == completion["choices"][0]["finish_reason"]


def test_a_response_without_content() -> None:
    """A response with only token counts ran out of tokens before any output."""
    counts = {"usage": {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}}

    (choice,) = complete(start("openai-completions"), {**done(usage=None), "unread": counts})[
        "choices"
    ]

    assert "length" == choice["finish_reason"]


def test_usage_of_an_incomplete_response() -> None:
    """Usage is taken from Copilot's event."""
    usage = complete(start(), text("Hi"), {**done(usage=None), "last": incomplete("x")})["usage"]

    assert (9, 6) == (usage["prompt_tokens"], usage["completion_tokens"])


def test_a_finish_after_a_failure_is_ignored() -> None:
    """Once a broken event makes pi-ai give up, later events are ignored, even a finish reason."""
    with pytest.raises(BrokenResponse, match="not a JSON object"):
        stream(start(), text("Hi"), failed("Unterminated string in JSON", last=stopped("end_turn")))


def test_encrypted_reasoning_of_chat_completions() -> None:
    """The client gets the encrypted reasoning, so that it can send it back with its tool call."""
    completion = complete(start(), text("Hi"), {**done(), "unread": {"reasoning_opaque": "abc"}})

    assert "abc" == completion["choices"][0]["message"]["reasoning_opaque"]


@pytest.mark.parametrize(
    "event",
    [
        failed("I may not.", "refusal", last={"type": "message_delta", "delta": {
            "stop_reason": "refusal", "stop_details": {"explanation": "I may not."}}}),
        failed("x", "refusal", last={"choices": [{"finish_reason": "refusal"}]},
               unread={"refusal": "I may not."}),
        {**done(), "unread": {"refusal": "I may not."}},
    ],
)  # fmt: skip
def test_a_refusal_is_explained(event: Json) -> None:
    """The client receives the model's explanation, wherever Copilot puts it."""
    assert "I may not." == complete(start(), event)["choices"][0]["message"]["refusal"]


def test_start_makes_no_chunk() -> None:
    """A failure before the first content can still have its own status code."""
    reader = PiAiToChat(MODEL)

    assert [] == reader.feed(start())
    with pytest.raises(BrokenResponse, match="empty answer"):
        reader.close()


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (
            "openai-completions",
            {
                "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            },
        ),
        (
            "openai-responses",
            {
                "status": "completed",
                "output": [
                    {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
                ],
                "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            },
        ),
        (
            "anthropic-messages",
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "text", "text": "Hello"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 1, "output_tokens": 2},
            },
        ),
    ],
)
def test_a_whole_response(api: str, body: Json) -> None:
    """Copilot sometimes answers a request for a stream with a whole response, which is accepted."""
    completion = complete({"type": "whole", "api": api, "body": body})

    assert "Hello" == completion["choices"][0]["message"]["content"]
    assert 3 == completion["usage"]["total_tokens"]
    with pytest.raises(UpstreamRefusal, match="No"):
        stream({"type": "whole", "api": api, "body": {"error": {"message": "No"}}})


@pytest.mark.parametrize(
    ("event", "code", "words"),
    [
        (failed("whatever", broke="cut"), "upstream_broken", "connection to Copilot was lost"),
        (failed("whatever", broke="silent"), "upstream_broken", "stopped sending"),
        (failed("whatever", broke="garbled"), "upstream_broken", "not a JSON object"),
        (failed("An unknown error occurred"), "upstream_broken", "An unknown error occurred."),
        (failed("Provider finish_reason: error", "error"), "upstream_broken", "failed while"),
        (
            failed("OpenAI Responses stream completed with an unfinished tool call", "completed"),
            "upstream_broken",
            "unfinished tool call",
        ),
        (
            failed("An event is garbled.", "end_turn", last=stopped("end_turn"), broke="garbled"),
            "upstream_broken",
            "not a JSON object",
        ),
        (failed("Stream ended without finish_reason"), "upstream_broken", "was cut off"),
        (
            failed("a", last={"type": "error", "error": {"type": "overloaded_error"}}),
            "overloaded_error",
            "",
        ),
        (failed("a", last={"type": "error", "code": "rate_limited", "message": "Slow down"}),
         "rate_limit_exceeded", "Slow down"),
        (failed("a", last={"error": {"code": "rate_limited", "message": "Slow down"}}),
         "rate_limit_exceeded", "Slow down"),
        (
            failed("a", last={"type": "response.failed",
                              "response": {"error": {"code": "server_error", "message": "No"}}}),
            "server_error",
            "No",
        ),
        (failed("Unexpected token 'x', \"x\" is not valid in JSON at position 1"),
         "upstream_broken", "not a JSON object"),
        (failed("Anthropic stream ended before message_stop"), "upstream_broken", "was cut off"),
        (failed("Bearer tid=secretsecret"), "upstream_broken", "Bearer ***."),
        ({"type": "error"}, "upstream_broken", "no reason given"),
        ({**done(), "finished": False}, "upstream_broken", "was cut off"),
    ],
)  # fmt: skip
def test_failures_in_mid_stream(event: Json, code: str | None, words: str) -> None:
    """pi-ai's error messages become this program's errors, which clients do not retry."""
    with pytest.raises(UpstreamError) as caught:
        stream(start(), text("Hi"), event)

    assert code == caught.value.code
    assert words in caught.value.message
    assert caught.value.hint or isinstance(caught.value, UpstreamRefusal)
    assert "false" == caught.value.headers["x-should-retry"]


@pytest.mark.parametrize("events", [[], [start()], [start(), text("Hi")]])
def test_an_end_without_a_finish_is_an_error(events: list[Json]) -> None:
    """A stream that ends without a finish reason is incomplete."""
    with pytest.raises(BrokenResponse, match=r"was cut off|empty answer"):
        stream(*events)


def test_an_event_must_be_an_object() -> None:
    """Anything other than an object in place of an event is an error."""
    with pytest.raises(BrokenResponse):
        PiAiToChat(MODEL).feed([])
