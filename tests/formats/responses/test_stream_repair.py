"""Repaired Responses streams have stable ids, and are otherwise identical to Copilot's."""

import json
from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamError, UpstreamRefusal, UpstreamUnreachable
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, NOW
from tests.formats.responses.answers import (
    COSTS,
    USAGE,
    Upstream,
    check_event,
    read_strictly,
    repair,
    repair_whole,
    request,
)

PATCH = '*** Begin Patch\n+ä"\\\n*** End Patch'
CUSTOM = [{"type": "custom", "name": "apply_patch", "description": "Edits files."}]
NAMESPACE = [
    {
        "type": "namespace",
        "name": "mcp__files__",
        "description": "Files.",
        "tools": [{"type": "function", "name": "read", "parameters": {}, "strict": False}],
    }
]


def without_ids(value: Any) -> Any:
    """Return `value` without the fields that the repair changes."""
    if isinstance(value, list):
        return [without_ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {k: without_ids(v) for k, v in value.items() if k not in ("id", "item_id", "logprobs")}


def full_stream() -> list[Json]:
    """Return a stream with one item of each type."""
    up = Upstream()
    return up.whole(
        [
            *up.reasoning(0, "**Plan**", "Then act.", encrypted="gAAAA"),
            *up.text(1, "Hel", "lo", phase="commentary"),
            *up.call(2, "f", '{"a"', ":1}"),
            *up.text(3, "I ", "won't", kind="refusal"),
        ]
    )


def test_only_ids_change() -> None:
    """Each item has one id in all its events, and only the ids differ from upstream."""
    sent = full_stream()

    events = repair(sent)

    response = read_strictly(events)
    assert ["reasoning", "message", "function_call", "message"] == [i.type for i in response.output]
    assert ["rs", "msg", "fc", "msg"] == [str(i.id).partition("_")[0] for i in response.output]
    assert "Hello" == response.output_text
    for theirs, ours in zip(sent, events, strict=True):
        if "response" not in theirs:
            assert without_ids(theirs) == without_ids(ours)
    assert without_ids(sent[-1]["response"]["output"]) == without_ids(
        events[-1]["response"]["output"]
    )
    assert COSTS == events[-1]["copilot_usage"]


def test_the_same_stream_gets_the_same_ids() -> None:
    """Ids are derived from upstream's ids, so they are reproducible."""
    assert repair(full_stream()) == repair(full_stream())


def test_short_ids_are_kept() -> None:
    """A short id with OpenAI's prefix is not changed."""
    up = Upstream()
    events = up.text(0, "Hi")
    events[0]["item"]["id"] = "msg_1"

    repaired = repair(up.whole(events))

    assert {"msg_1"} == {e["item_id"] for e in repaired if "item_id" in e}


def test_items_that_share_an_id_get_two() -> None:
    """If upstream uses one id for two items, the client receives two ids."""
    up = Upstream()
    events = [*up.text(0, "a"), *up.text(1, "b")]
    for event in events:
        event.get("item", {})["id"] = "same"

    response = read_strictly(repair(up.whole(events)))

    assert 2 == len({item.id for item in response.output})


@pytest.mark.parametrize("numbers", [[], [5, None, 3, 9, "x"]])
def test_events_are_numbered_consecutively(numbers: list[object]) -> None:
    """Missing or invalid sequence numbers are replaced."""
    events = full_stream()
    for event in events:
        del event["sequence_number"]
    for event, number in zip(events, numbers, strict=False):
        event["sequence_number"] = number

    assert [*range(len(events))] == [event["sequence_number"] for event in repair(events)]


def test_the_response_has_all_required_fields() -> None:
    """Required fields that upstream omits are taken from the request."""
    asked = request(metadata={"a": "b"}, max_output_tokens=99, instructions="Be brief.")

    first, last = (
        event["response"] for event in (repair(full_stream(), asked)[i] for i in (0, -1))
    )

    for response in (first, last):
        assert {"a": "b"} == response["metadata"]
        assert (99, "Be brief.", NOW) == (
            response["max_output_tokens"],
            response["instructions"],
            response["created_at"],
        )
        assert "theirs" == response["model"]
        assert "output_text" not in response


@pytest.mark.parametrize(
    ("usage", "repaired"),
    [
        (USAGE, USAGE),
        (
            {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            {
                "input_tokens": 1,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 3,
            },
        ),
        (None, None),
    ],
)
def test_usage_is_complete(usage: Json | None, repaired: Json | None) -> None:
    """Missing counts that the schema requires are added, and upstream's counts are kept."""
    up = Upstream()
    stream = ResponsesRepair(request())

    events = stream.feed(up.end([], usage=usage))

    assert repaired == events[0]["response"]["usage"]
    counted = stream.usage and stream.usage["total_tokens"]
    assert (usage and usage["total_tokens"]) == counted
    assert COSTS == stream.copilot_usage


def test_a_given_output_text_is_kept() -> None:
    """Only a null `output_text` is removed, since it would keep SDKs from filling in the field."""
    events = repair([Upstream().end([], output_text="Hi")])

    assert "Hi" == events[0]["response"]["output_text"]


def test_a_final_event_without_items_gets_them() -> None:
    """A response without items gets the items that were streamed."""
    up = Upstream()
    items = [*up.reasoning(0, encrypted="gAAAA"), *up.text(1, "Hi")]

    events = repair([*up.begin(), *items, up.end([])])

    assert "Hi" == read_strictly(events).output_text


def test_items_of_the_final_event_are_matched_at_any_position() -> None:
    """Items keep their ids if the final event omits, reorders or adds items."""
    up = Upstream()
    first, second = up.call(0, "f", "{}", call_id="a"), up.call(1, "g", "{}", call_id="b")
    last = up.end([first[-1], second[-1]])
    last["response"]["output"].reverse()
    last["response"]["output"] += ["odd", {"id": "new", "type": "message", "content": []}]

    events = repair([*up.begin(), *first, *second, last])

    ids = [event["item"]["id"] for event in events if event["type"].endswith("item.added")]
    output = events[-1]["response"]["output"]
    assert [ids[1], ids[0], ids[2]] == [item["id"] for item in output]
    assert ids[2].startswith("msg_")
    said = up.text(0, "a")
    twice = repair([*up.begin(), *said, up.end([said[-1], said[-1]])])[-1]["response"]["output"]
    assert 2 == len({item["id"] for item in twice})


def test_events_of_an_item_that_was_not_announced_share_an_id() -> None:
    """An item's id is the id in its first event, of whatever type."""
    up = Upstream()
    events = [*up.text(0, "a")[1:], *up.call(1, "f", "{}")[1:], *up.reasoning(2, "x")[1:]]

    ids = [e.get("item_id") or e["item"]["id"] for e in repair(up.whole(events))[2:-1]]

    assert 3 == len(set(ids))
    assert ["msg", "fc", "rs"] == [id.partition("_")[0] for id in dict.fromkeys(ids)]


def test_unknown_events_are_passed_on() -> None:
    """Events of unknown types reach the client, with a number and a stable id."""
    up = Upstream()
    odd = {"type": "response.web_search_call.searching", "output_index": 0, "item_id": up.id()}
    note = {"type": "response.output_text.annotation.added", "output_index": 0, "item_id": up.id()}
    more = {"type": "response.later.invention", "x": 1, "output_index": None}
    bare = {"type": "response.other", "output_index": 0}

    events = repair([*up.begin(), odd, note, more, bare, up.end([])])

    assert events[2]["item_id"] == events[3]["item_id"]
    assert "logprobs" not in events[3]
    assert {**more, "sequence_number": 4} == events[4]
    assert {**bare, "sequence_number": 5} == events[5]


@pytest.mark.parametrize("pieces", [(json.dumps({"input": PATCH}),), ('{"input": "*', '"}')])
def test_a_function_call_becomes_a_custom_tool_call(pieces: tuple[str, ...]) -> None:
    """A call to the function for a custom tool becomes a call to that tool."""
    up = Upstream()
    items = up.call(0, "apply_patch", *pieces)

    events = repair(up.whole(items), request(tools=CUSTOM))

    text = json.loads("".join(pieces))["input"]
    response = read_strictly(events)
    assert [("custom_tool_call", "call_1", "apply_patch", text)] == [
        (i.type, i.call_id, i.name, i.input)  # type: ignore[union-attr]  # the type is asserted
        for i in response.output
    ]
    assert CUSTOM == events[-1]["response"]["tools"]
    inputs = [e for e in events if "custom_tool_call_input" in e["type"]]
    assert [text, text] == [inputs[0]["delta"], inputs[1]["input"]]
    assert not any("function_call" in e["type"] for e in events)


def test_custom_input_is_sent_once() -> None:
    """Without events for its arguments, a custom call's input is sent with its last event."""
    up = Upstream()
    added, *_, done = up.call(0, "apply_patch", '{"input":"x"}')

    events = repair(up.whole([added, done]), request(tools=CUSTOM))

    assert ["x"] == [e["input"] for e in events if e["type"].endswith("call_input.done")]
    again = up.call(0, "apply_patch", '{"input":"x"}')
    twice = repair(up.whole([*again[:-1], again[-2], again[-1]]), request(tools=CUSTOM))
    assert ["x"] == [e["input"] for e in twice if e["type"].endswith("call_input.done")]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"patch":"x"}', "x"),
        ('{"a":"x","b":"y"}', '{"a":"x","b":"y"}'),
        ("not JSON", "not JSON"),
        ("{}", ""),
        ('{"input":5}', '{"input":5}'),
        ('"x"', '"x"'),
    ],
)
def test_malformed_custom_arguments_become_the_input(arguments: str, text: str) -> None:
    """Arguments that are not in the function's format are passed on as the input, unchanged."""
    up = Upstream()

    events = repair(up.whole(up.call(0, "apply_patch", arguments)), request(tools=CUSTOM))

    assert text == events[-1]["response"]["output"][0]["input"]


def test_a_namespaced_tool_is_called_by_its_own_name() -> None:
    """A call to the function for a namespaced tool gets the tool's name and namespace back."""
    up = Upstream()
    items = up.call(0, "mcp__files__read", '{"p":', "1}")
    del items[-2]["name"]

    again = {**items[-2], "name": "x"}
    events = repair(up.whole([*items[:-1], again, items[-1]]), request(tools=NAMESPACE))

    call = events[-1]["response"]["output"][0]
    assert ("read", "mcp__files__", '{"p":1}') == (
        call["name"],
        call["namespace"],
        call["arguments"],
    )
    dones = [e.get("name") for e in events if e["type"].endswith("arguments.done")]
    assert ["read", "read"] == dones


def test_the_end_of_arguments_names_the_tool() -> None:
    """The final arguments event includes the tool's name, which OpenAI's schema requires."""
    up = Upstream()
    items = up.call(0, "f", '{"a":', "1}")
    del items[-2]["name"]

    events = repair(up.whole(items), request())

    assert ["f"] == [e["name"] for e in events if e["type"].endswith("arguments.done")]


def test_a_whole_response_becomes_a_stream() -> None:
    """A client that requested a stream gets one from a model that cannot stream."""
    whole = full_stream()[-1]["response"]
    up = Upstream()
    found = {"type": "compaction", "id": up.id(), "encrypted_content": "gBBBB"}
    whole["output"] += [found, "odd"]

    events = repair([{**whole, "copilot_usage": COSTS}])

    response = read_strictly(events)
    assert "Hello" == response.output_text
    assert ['{"a":1}'] == [i.arguments for i in response.output if i.type == "function_call"]
    assert ["**Plan**", "Then act."] == [
        e["text"] for e in events if e["type"].endswith("summary_text.done")
    ]
    added = [e["item"] for e in events if e["type"].endswith("item.added")]
    assert [[], ""] == [added[0]["summary"], added[2]["arguments"]]
    assert ["I won't"] == [e["refusal"] for e in events if e["type"].endswith("refusal.done")]
    assert [None, None, COSTS] == [
        e["response"].get("copilot_usage") for e in events if "response" in e
    ]


def test_a_whole_response_is_repaired_like_a_stream() -> None:
    """A whole response has short ids, the client's tools and all required fields."""
    up = Upstream()
    body = up.end(up.call(0, "apply_patch", '{"input":"x"}'))["response"]

    whole = repair_whole(body, request(tools=CUSTOM, tool_choice="required"))

    assert "required" == whole["tool_choice"]
    assert CUSTOM == whole["tools"]
    assert ("custom_tool_call", "x") == (whole["output"][0]["type"], whole["output"][0]["input"])
    assert whole["id"].startswith("resp_")
    check_event({"type": "response.completed", "sequence_number": 0, "response": whole})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "No.", "code": "rate_limited"}}, "No."),
        ({"type": "error", "message": "No.", "code": "server_error"}, "No."),
        (
            {"object": "response", "status": "in_progress", "output": []},
            "Copilot's answer was cut off",
        ),
        ({"odd": 1}, "Copilot sent an empty answer."),
        (["odd"], "Copilot sent an event"),
    ],
)
def test_an_invalid_whole_response_is_an_error(body: Any, message: str) -> None:
    """An error or an unfinished response never looks like a finished response."""
    with pytest.raises(UpstreamError, match=message):
        repair_whole(body, request())


def test_a_final_event_without_a_response_is_an_error() -> None:
    """A final event without its response does not count as an end."""
    up = Upstream()
    with pytest.raises(BrokenResponse, match="was cut off"):
        repair([*up.begin(), {"type": "response.completed"}])


def test_a_failed_response_is_passed_on_and_reported() -> None:
    """A failure is a valid event for the client, and is kept for the log."""
    up = Upstream()
    error = {"code": "server_error", "message": "It broke."}
    stream = ResponsesRepair(request(), now=NOW)

    events = [
        e for one in (*up.begin(), up.end([], "failed", error=error)) for e in stream.feed(one)
    ]

    assert [] == stream.close()
    assert [] == stream.feed(up.begin()[0])
    reported = events[-1]["response"]["error"]
    assert {"code": "server_error", "message": f"It broke. {reported['hint']}"} == {
        name: reported[name] for name in error
    }
    assert stream.failure is not None
    assert ("It broke.", "server_error") == (stream.failure.message, stream.failure.code)
    assert stream.usage is not None
    for event in events:
        check_event(event)


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (
            {"type": "error", "code": "server_error", "message": "No.", "param": None},
            {"code": "server_error", "message": "No.", "param": None},
        ),
        (
            {"type": "error", "error": {"code": "rate_limited", "message": "No."}, "x": 1},
            {"code": "rate_limit_exceeded", "message": "No.", "param": None, "x": 1},
        ),
        (
            {"type": "error", "error": "No."},
            {"code": "server_error", "message": "No.", "param": None},
        ),
    ],
)
def test_an_error_event_is_passed_on_and_reported(event: Json, sent: Json) -> None:
    """Errors reach the client in this API's flat format, whatever the upstream used."""
    stream = ResponsesRepair(request())
    stream.feed({"type": "response.created", "response": {"id": "x", "output": []}})

    events = stream.feed(event)

    sent["message"] += f" {events[0]['hint']}"
    added = {name: events[0][name] for name in ("hint", "upstream")}
    assert [{"type": "error", "sequence_number": 1, **sent, **added}] == events
    assert events[0]["hint"]
    check_event(events[0])
    assert [] == stream.close()
    assert stream.failure is not None
    assert "No." == stream.failure.message


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("user_model_rate_limited:gpt-5.6", "rate_limit_exceeded"),
        ("quota_exceeded", "insufficient_quota"),
        ("free_quota_exceeded", "insufficient_quota"),
        ("model_max_prompt_tokens_exceeded", "context_length_exceeded"),
        ("cyber_policy", "cyber_policy"),
        (429, "server_error"),
    ],
)
@pytest.mark.parametrize("kind", ["failed", "error"])
def test_a_failure_has_the_code_that_clients_know(kind: str, code: object, sent: str) -> None:
    """By OpenAI's code, Codex decides whether to wait, to compact or to stop."""
    up = Upstream()
    error = {"code": code, "message": "The budget is exhausted."}
    failed = {"type": "error", **error} if kind == "error" else up.end([], "failed", error=error)

    *_, last = repair([*up.begin(), failed])

    reported = last if kind == "error" else last["response"]["error"]
    assert sent == reported["code"]
    assert (code if isinstance(code, str) else None) == reported["upstream"]["code"]
    # opencode retries an error whose text has this word.
    assert ("exhausted" in reported["message"]) == (sent in ("rate_limit_exceeded", "server_error"))


def test_an_error_as_the_first_event_is_raised() -> None:
    """An error that is the first event can still be sent with its own status code."""
    with pytest.raises(UpstreamRefusal) as raised:
        ResponsesRepair(request()).feed({"type": "error", "code": "rate_limited", "message": "No."})

    assert (429, "No.") == (raised.value.status, raised.value.message)


def test_a_failed_response_without_a_reason_is_still_a_failure() -> None:
    """A failure without an error is also reported."""
    stream = ResponsesRepair(request())

    stream.feed(Upstream().end([], "failed", error=None))

    assert stream.failure is not None


@pytest.mark.parametrize("before", [0, 2, 12, 30])
def test_a_failure_of_the_proxy_ends_the_stream(before: int) -> None:
    """A proxy error is sent as `response.failed`, under the response's id."""
    stream = ResponsesRepair(request(), now=NOW)
    events = [e for one in full_stream()[:before] for e in stream.feed(one)]

    events += stream.fail(UpstreamUnreachable("Gone.", sent=True), "req-1")

    assert [*range(len(events))] == [event["sequence_number"] for event in events]
    begun = [event["type"] for event in events if event["type"].count(".") == 1]
    assert ["response.created", "response.in_progress", "response.failed"] == begun
    assert 1 == len({event["response"]["id"] for event in events if "response" in event})
    last = events[-1]
    assert ("response.failed", "failed") == (last["type"], last["response"]["status"])
    assert ("Gone.", "upstream_unreachable", "req-1") == (
        last["response"]["error"]["message"],
        last["response"]["error"]["code"],
        last["response"]["error"]["request_id"],
    )
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == last["response"]["output"]
    assert [] == stream.close()


@pytest.mark.parametrize("cut", range(len(full_stream())))
def test_a_cut_stream_is_an_error(cut: int) -> None:
    """A response without its final event never counts as complete, wherever it was cut."""
    events = full_stream()[:cut]

    with pytest.raises(BrokenResponse):
        repair(events)


def test_an_error_object_is_raised() -> None:
    """Copilot's error object in place of an event is raised, as on Chat Completions."""
    with pytest.raises(UpstreamError, match="Slow down"):
        repair([{"error": {"message": "Slow down", "code": "rate_limited"}}])


def test_a_model_stuck_in_blank_lines_is_stopped() -> None:
    """Endless whitespace in arguments ends the response before it costs more."""
    up = Upstream()
    events = [*up.begin(), *up.call(0, "f", *["\n\t"] * 11)]

    with pytest.raises(BrokenResponse) as caught:
        repair(events)

    assert "runaway_whitespace" == caught.value.code
    fine = up.call(0, "f", *(["\n\t"] * 8 + ["x"]) * 4)
    assert MODEL == request()["model"]
    assert repair(up.whole(fine))


def test_a_call_without_a_name_is_unchanged() -> None:
    """A name that upstream omits is not made up."""
    up = Upstream()
    item = {"type": "function_call", "call_id": "a", "arguments": None}

    events = repair(up.whole([up.added(0, item), up.done(0, item)]), request(tools=CUSTOM))

    assert "name" not in events[-1]["response"]["output"][0]
