"""Tool calls are separated, numbered and completed, and never merged or lost."""

from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.types import Json
from tests.formats.answers import (
    call,
    calling,
    calls_of,
    complete,
    deltas_of,
    event,
    finish_of,
    message_of,
    repair,
)

LONDON, PARIS = '{"city": "London"}', '{"city": "Paris"}'


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [calling(call("a", "f", "")), calling(call(arguments="{}"))],
            [("a", "f", "{}")],
            id="OpenAI's own form",
        ),
        pytest.param(
            [calling(call("a", "f")), calling(call(arguments="")), calling(call(arguments='{"x')),
             calling(call(arguments='": 1}'))],
            [("a", "f", '{"x": 1}')],
            id="no arguments at first",
        ),
        pytest.param(
            [calling(call("a", "f", LONDON)), calling(call("b", "g", PARIS, index=1))],
            [("a", "f", LONDON), ("b", "g", PARIS)],
            id="one after the other",
        ),
        pytest.param(
            [calling(call("a", "f"), call("b", "g", index=1)),
             calling(call(arguments="[1", index=0), call(arguments="[2", index=1)),
             calling(call(arguments="]", index=1), call(arguments="]", index=0))],
            [("a", "f", "[1]"), ("b", "g", "[2]")],
            id="interleaved",
        ),
        pytest.param(
            [calling(call("a", "f")), calling(call(arguments=LONDON)), calling(call("b", "g")),
             calling(call(arguments=PARIS))],
            [("a", "f", LONDON), ("b", "g", PARIS)],
            id="both claim index 0",
        ),
        pytest.param(
            [calling(call("a", "f", index=1)), calling(call(arguments=LONDON, index=1)),
             calling(call("b", "g", index=2)), calling(call(arguments=PARIS, index=2))],
            [("a", "f", LONDON), ("b", "g", PARIS)],
            id="numbered from 1",
        ),
        pytest.param(
            [calling(call("a", "f", index=None)), calling(call(arguments=LONDON, index=None)),
             calling(call("b", "g", index=None)), calling(call(arguments=PARIS, index=None))],
            [("a", "f", LONDON), ("b", "g", PARIS)],
            id="no index",
        ),
        pytest.param(
            [calling(call("a", "f", index="0")), calling(call(arguments="{}", index=0.0))],
            [("a", "f", "{}")],
            id="an index that is no integer",
        ),
        pytest.param(
            [calling(call("a", "f")), calling(call(arguments="{}", index=7))],
            [("a", "f", "{}")],
            id="an index unheard of",
        ),
        pytest.param(
            [calling(call("a", "f", "[")), calling(call("b", "g", "{}", index=1)),
             calling(call("a", arguments="]", index=None))],
            [("a", "f", "[]"), ("b", "g", "{}")],
            id="the id comes again",
        ),
        pytest.param(
            [calling(call("a", "f", "{}"), call("b", "g", "{}", index=None))],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="whole calls in one delta",
        ),
        pytest.param(
            [calling(call("a")), calling(call(name="f")), calling(call(arguments="{}"))],
            [("a", "f", "{}")],
            id="the name comes after the id",
        ),
        pytest.param(
            [calling(call("a", arguments="{")), calling(call(arguments="}")),
             calling(call(name="f"))],
            [("a", "f", "{}")],
            id="the name comes last",
        ),
        pytest.param(
            [calling(call("a")), calling(call("b", "g", "{}", index=1)),
             calling(call(name="f", arguments="[]", index=0))],
            [("b", "g", "{}"), ("a", "f", "[]")],
            id="the name comes after another call",
        ),
        pytest.param(
            [{"choices": [{"message": {"tool_calls": [
                {"function": {"name": "f", "arguments": "{}"}},
                {"function": {"name": "f", "arguments": '{"a":1}'}},
                {"function": {"name": "g"}}, {"function": {"name": "h"}}]}}]}],
            [(None, "f", "{}"), (None, "f", '{"a":1}'), (None, "g", "{}"), (None, "h", "{}")],
            id="calls without ids",
        ),
        pytest.param(
            [calling(call(name="f", arguments='{"a":', index=0)),
             calling(call(arguments="1}", index=0)),
             calling(call(name="g", arguments="{}", index=0))],
            [(None, "f", '{"a":1}'), (None, "g", "{}")],
            id="calls without ids that share an index",
        ),
        pytest.param(
            [calling(call("a", "f", "{}")), calling(call(name="f"))],
            [("a", "f", "{}")],
            id="the name comes again",
        ),
        pytest.param(
            [calling(call("a", arguments="[]"), call("b", index=1))],
            [("a", "", "[]"), ("b", "", "{}")],
            id="the name never comes",
        ),
        pytest.param(
            [calling(call("a", "f", "")), calling(call(name="", arguments=LONDON)),
             calling(call(name="", arguments=PARIS))],
            [("a", "f", LONDON), (None, "f", PARIS)],
            id="only arguments for the second call",
        ),
        pytest.param(
            [calling(call("a", "f", LONDON)), calling(call(arguments=PARIS[:5], index=1)),
             calling(call(arguments=PARIS[5:], index=1)), calling(call(arguments="{}", index=0))],
            [("a", "f", LONDON), (None, "f", PARIS), (None, "f", "{}")],
            id="only an index and arguments for the second call",
        ),
        pytest.param(
            [calling(call("a", "f", LONDON[:5])), calling(call(arguments=LONDON[5:] + PARIS[:9])),
             calling(call(arguments=PARIS[9:] + "\n{}{}"))],
            [("a", "f", LONDON), (None, "f", PARIS + "\n"), (None, "f", "{}"), (None, "f", "{}")],
            id="objects that start in the middle of a chunk",
        ),
        pytest.param(
            [calling(call("a", arguments=LONDON)), calling(call(name="f", arguments=PARIS))],
            [("a", "f", LONDON), (None, "f", PARIS)],
            id="no name yet for the first of two objects",
        ),
        pytest.param(
            [calling(call("a", "f", LONDON + " x")), calling(call(arguments=PARIS))],
            [("a", "f", LONDON + " x" + PARIS)],
            id="arguments that are no object",
        ),
        pytest.param(
            [calling(call("a", "f", '{"x":"{}{"')), calling(call(arguments='{\\"}{"}'))],
            [("a", "f", '{"x":"{}{"{\\"}{"}')],
            id="braces in a string",
        ),
        pytest.param(
            [calling(call("a", "f", LONDON)), calling(call("a", "f", PARIS)),
             calling(call("a", "f", "{}", index=1))],
            [("a", "f", LONDON), ("a_2", "f", PARIS), ("a_3", "f", "{}")],
            id="the same id for every call",
        ),
        pytest.param(
            [calling(call("a", "f", "")), calling(call(arguments=LONDON)),
             calling(call("a", "f", "", index=1)), calling(call(arguments=PARIS, index=1))],
            [("a", "f", LONDON), ("a_2", "f", PARIS)],
            id="the same id for the second call, whose arguments follow",
        ),
        pytest.param(
            [calling(call("a", "f", LONDON[:5])), calling(call("a", "f", LONDON[5:])),
             calling(call("a", "f", "")), calling(call("a", "f", " ", index=None))],
            [("a", "f", LONDON + " ")],
            id="id and name come again in every chunk",
        ),
        pytest.param([calling(call("a", "f"))], [("a", "f", "{}")], id="a tool without arguments"),
        pytest.param(
            [calling(call("a", "f")), calling(call("b", "g", index=1))],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="two tools without arguments",
        ),
        pytest.param(
            [calling(call("a", "f", None)), calling(call(arguments=5))],
            [("a", "f", "{}")],
            id="arguments of another type",
        ),
        pytest.param(
            [calling(call("a", "f", {"x": [1]}))], [("a", "f", '{"x":[1]}')], id="an object"
        ),
        pytest.param(
            [event(content="Wait.", tool_calls=[call("a", "f", "{}")])],
            [("a", "f", "{}")],
            id="beside text",
        ),
        pytest.param(
            [{"choices": [{"index": 0, "delta": {"content": "Wait."}},
                          {"index": 1, "delta": {"tool_calls": [call("a", "f", "{}")]}}]},
             {"choices": [{"index": 1, "delta": {"tool_calls": [call("b", "g", "{}", index=1)]}}]}],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="split over choices",
        ),
        pytest.param(
            [calling(call("a", "f", "{}")), event(tool_calls=None), event(tool_calls="x"),
             event(tool_calls=[None, 5])],
            [("a", "f", "{}")],
            id="lists that are none",
        ),
        pytest.param(
            [calling({"id": "a", "index": 0, "function": {"name": "f"}}),
             calling({"index": 0, "function": None}), calling({"index": 0})],
            [("a", "f", "{}")],
            id="functions that are none",
        ),
    ],
)  # fmt: skip
def test_calls(events: list[Any], expected: list[tuple[str | None, str, str]]) -> None:
    """Irregular fragments result in the intended calls, in order."""
    found = calls_of([*events, event("stop")])

    # None represents an id that Copilot did not send.
    assert expected == [
        (id if wanted[0] is not None else None, *rest)
        for (id, *rest), wanted in zip(found, expected, strict=True)
    ]
    assert len(found) == len({id for id, *_ in found})
    assert "tool_calls" == finish_of([*events, event("stop")])


def test_the_finish_may_come_with_the_call() -> None:
    """A complete call in the delta with the finish reason is not lost."""
    data = event("tool_calls", content=None, tool_calls=[call("a", "f", LONDON)])

    assert [("a", "f", LONDON)] == calls_of([data])


def test_a_whole_response_with_only_calls_has_null_content() -> None:
    """A response with only calls has null content, not an empty string."""
    message = complete([calling(call("a", "f", "{}")), event("stop")])["choices"][0]["message"]

    assert message["content"] is None
    assert message["refusal"] is None


def test_calls_without_ids_get_new_ones() -> None:
    """A call without an id, or with an empty id, gets a new id."""
    events = [calling(call("", "f", "{}"), call(None, "g", "{}", index=1)), event("stop")]
    (one, _, _), (two, _, _) = calls_of(events)

    assert one.startswith("call_")
    assert two.startswith("call_")
    assert one != two
    assert ["f", "g"] == [name for _, name, _ in calls_of(events)]


def test_ids_and_names_come_once() -> None:
    """The first delta of a call has id, type and name; later deltas have only arguments."""
    chunks = repair([calling(call("a", "f", "{")), calling(call(arguments="}")), event("stop")])
    function = {"name": "f", "arguments": "{"}

    assert [
        [{"index": 0, "id": "a", "type": "function", "function": function}],
        [{"index": 0, "function": {"arguments": "}"}}],
    ] == [delta["tool_calls"] for delta in deltas_of(chunks) if "tool_calls" in delta]


@pytest.mark.parametrize("reason", ["length", "max_tokens", "content_filter"])
@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param([call("a", "f", '{"city": "Lon')], id="in its arguments"),
        pytest.param([call("a", "f")], id="before its arguments"),
        pytest.param([call("a", "f", "{}"), call("b", "g", "[", index=1)], id="in the second"),
        pytest.param([call("a", "f", "{}"), call("b", "g", index=1)], id="before the second's"),
    ],
)
def test_a_call_that_was_cut_off_does_not_look_complete(reason: str, fragments: list[Any]) -> None:
    """If the limit cuts off a call, it is not completed, and the finish reason says so."""
    events = [calling(*fragments), event(reason)]
    expected = {"content_filter": "content_filter"}.get(reason, "length")

    assert expected == finish_of(events)
    assert fragments[-1]["function"].get("arguments", "") == calls_of(events)[-1][2]


def test_a_call_before_one_that_was_cut_off_is_complete() -> None:
    """A call without arguments gets an empty object if another call follows."""
    events = [calling(call("a", "f"), call("b", "g", "[", index=1)), event("length")]

    assert [("a", "f", "{}"), ("b", "g", "[")] == calls_of(events)


def test_complete_calls_before_the_limit_can_be_run() -> None:
    """If the limit was reached after the last call, the finish reason is `tool_calls`."""
    events = [calling(call("a", "f"), call("b", "g", "{}", index=1)), event("length")]

    assert "tool_calls" == finish_of(events)
    assert [("a", "f", "{}"), ("b", "g", "{}")] == calls_of(events)


@pytest.mark.parametrize(
    "pieces",
    [["\n"] * 21, ["\t" * 21], ["\r\n" * 11], ["{\n" + "\n" * 10, "\n \n" * 5]],
)
def test_runaway_whitespace_is_stopped(pieces: list[str]) -> None:
    """A model that is stuck writing blank lines is stopped, since the user pays for them."""
    events = [calling(call("a", "f")), *(calling(call(arguments=text)) for text in pieces)]

    with pytest.raises(BrokenResponse) as caught:
        repair([*events, event("stop")])
    assert "runaway_whitespace" == caught.value.code


@pytest.mark.parametrize(
    "pieces",
    [
        ["{" + "\n" * 20, '"x": 1}'],
        ["{", *["\n", "\t", '"x": 1,'] * 30, "}"],
        ["{" + " " * 5000 + "}"],
        ["\n" * 15, '"a"' + "\n" * 15],
        ['{"x": "' + "\\n" * 5000 + '"}'],
    ],
)
def test_wide_arguments_are_accepted(pieces: list[str]) -> None:
    """Indented, spaced and quoted arguments are passed on unchanged."""
    events = [calling(call("a", "f")), *(calling(call(arguments=text)) for text in pieces)]

    assert [("a", "f", "".join(pieces))] == calls_of([*events, event("stop")])


def test_blank_lines_are_counted_for_each_call() -> None:
    """The blank lines of one call are not added to those of the next."""
    events = [
        calling(call("a", "f", "{}" + "\n" * 15)),
        calling(call("b", "g", "\n" * 15 + "{}", index=1)),
    ]

    assert ["a", "b"] == [id for id, _, _ in calls_of([*events, event("stop")])]


NATIVE = {
    "id": "msg_bdrk_1",
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "I'll "},
        {"type": "thinking", "thinking": " So."},
        {"type": "text", "text": "look."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
        {"type": "tool_use", "id": "toolu_3", "name": "h"},
        {"type": "unheard_of"},
        None,
    ],
    "stop_reason": "tool_use",
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 5,
        "output_tokens": 7,
    },
    "copilot_usage": {"total_nano_aiu": 1},
}


def test_a_response_in_the_messages_format() -> None:
    """A response in the Messages format becomes the same completion as one in the chat format."""
    completion = complete([NATIVE])

    assert "msg_bdrk_1" == completion["id"]
    assert "tool_calls" == completion["choices"][0]["finish_reason"]
    assert [("toolu_1", "f", '{"x":1}'), ("toolu_2", "g", "{}"), ("toolu_3", "h", "{}")] == (
        calls_of([NATIVE])
    )
    assert "I'll look." == completion["choices"][0]["message"]["content"]
    assert "Hm. So." == completion["choices"][0]["message"]["reasoning_content"]
    assert {"total_nano_aiu": 1} == completion["copilot_usage"]


def test_usage_in_the_messages_format() -> None:
    """Cache reads and writes count as prompt tokens, as OpenAI counts them."""
    usage = complete([NATIVE])["usage"]

    assert (35, 7, 42) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["total_tokens"],
    )
    assert {"cached_tokens": 20, "audio_tokens": 0, "cache_creation_input_tokens": 5} == (
        usage["prompt_tokens_details"]
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("end_turn", "stop"), ("max_tokens", "length"), ("refusal", "content_filter"), (None, "stop")],
)
def test_claudes_stop_reasons(reason: str | None, expected: str) -> None:
    """Claude's stop reasons become OpenAI's, even if the response has no content."""
    body: Json = {"content": [], "stop_reason": reason}

    assert {"role": "assistant", "content": ""} == message_of([body])
    assert expected == finish_of([body])


@pytest.mark.parametrize("usage", [None, 5, {"input_tokens": "x", "output_tokens": None}])
def test_invalid_counts_in_the_messages_format(usage: object) -> None:
    """Counts of the wrong type become zeros, not an error."""
    body = {"content": [{"type": "text", "text": "x"}], "usage": usage}

    assert 0 == complete([body])["usage"]["total_tokens"]


@pytest.mark.parametrize("reason", ["function_call", "stop"])
def test_calls_in_the_form_before_tools(reason: str) -> None:
    """`function_call` becomes a tool call, in one piece or in several."""
    whole = {"name": "f", "arguments": '{"a": 1}'}
    message = {"role": "assistant", "content": None, "function_call": whole}
    pieces = [
        event(content=None, function_call={"name": "f", "arguments": ""}),
        event(function_call={"arguments": '{"a":'}),
        event(function_call={"name": "f", "arguments": " 1}"}),
        event(reason),
    ]
    for events in ([{"choices": [{"message": message, "finish_reason": reason}]}], pieces):
        assert [("f", '{"a": 1}')] == [one[1:] for one in calls_of(events)]
        assert "tool_calls" == finish_of(events)
