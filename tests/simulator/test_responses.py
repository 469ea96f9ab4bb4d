"""The Responses API: its rules, its events, and their changing ids."""

import base64
import json

import pytest

PICTURE = "data:image/png;base64," + base64.b64encode(b"\0" * 16).decode()
USER = {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SEALED = {
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "low", "summary": "auto"},
}


def stream(copilot, given="Hi", model="gpt-5.4", **fields):
    answer = copilot.responses(given, model, stream=True, **fields)
    assert 200 == answer.status_code, answer.text
    return copilot.events(answer.text)


def refused(answer, code="invalid_request_body"):
    assert (400, code) == (answer.status_code, answer.json()["error"]["code"])
    return answer.json()["error"]["message"]


def words(body):
    """Return the text of a whole answer."""
    return "".join(
        part["text"]
        for item in body["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


def test_a_whole_answer_has_the_recorded_shape(copilot):
    """The answer has a long unprefixed id, a null output_text, a dated model, usage and price."""
    body = copilot.responses(model="gpt-5.1").json()
    assert 200 <= len(body["id"]) <= 450
    assert (None, "response", "completed", False, "gpt-5.1-2025-11-13") == (
        body["output_text"],
        body["object"],
        body["status"],
        body["store"],
        body["model"],
    )
    assert "You said: Hi" in words(body)
    usage = body["usage"]
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
    assert "copilot_usage" in body
    assert ["message"] == [item["type"] for item in body["output"]]


def test_tools_are_returned_as_strict(copilot):
    """Tools are returned as strict, although the request does not say so."""
    body = copilot.responses("Weather?", tools=[TOOL]).json()
    tool = body["tools"][0]
    assert (True, False) == (tool["strict"], tool["parameters"]["additionalProperties"])


def test_the_order_of_events(copilot):
    """Reasoning, text and calls are each added, streamed and completed, with sequence numbers."""
    events = stream(copilot, "Weather in Rome?", tools=[TOOL | {"strict": False}], **SEALED)
    kinds = [event.data["type"] for event in events]
    assert kinds == [event.name for event in events]
    assert list(range(len(events))) == [event.data["sequence_number"] for event in events]
    assert ["response.created", "response.in_progress", "response.output_item.added"] == kinds[:3]
    short = [kind for number, kind in enumerate(kinds) if [kind] != kinds[number - 1 : number]]
    assert [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ] == short
    last = events[-1].data
    assert {"type", "sequence_number", "response", "copilot_usage"} == set(last)
    assert "copilot_usage" not in last["response"]
    assert ["reasoning", "message", "function_call"] == [
        item["type"] for item in last["response"]["output"]
    ]


def test_deltas_add_up(copilot):
    """The text and arguments are the same in the deltas, the done events and the whole answer."""
    events = stream(copilot, "Weather in Rome?", tools=[TOOL])
    for base in ("response.output_text", "response.function_call_arguments"):
        deltas = "".join(e.data["delta"] for e in events if e.name == f"{base}.delta")
        done = next(e.data for e in events if e.name == f"{base}.done")
        assert deltas == done.get("text", done.get("arguments"))


def test_ids_change_with_every_event(copilot):
    """Every event has new ids, even for the same item and response."""
    events = stream(copilot)
    found = []
    for event in events:
        data = event.data
        found += [data["item_id"]] if "item_id" in data else []
        found += [data["item"]["id"]] if "item" in data else []
        if "response" in data:
            found += [data["response"]["id"], *(one["id"] for one in data["response"]["output"])]
    assert len(found) == len(set(found)) > 10


def test_ids_are_refused_when_sent_back(copilot):
    """The ids of an earlier answer are unknown, however short or long they are."""
    item = copilot.responses().json()["output"][0]
    again = {**item, "type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    sentence = "input item ID does not belong to this connection"
    assert sentence == refused(copilot.responses([USER, again, USER]), "")
    assert sentence == refused(copilot.responses([{**USER, "id": "x" * 65}]), "")
    assert sentence == refused(
        copilot.responses([USER, {"type": "item_reference", "id": "msg_1"}]), ""
    )
    assert 200 == copilot.responses([{**USER, "id": "msg_123"}]).status_code


def test_reasoning_may_keep_its_id(copilot):
    """The CLI's reasoning keeps its id, which is accepted only with the encrypted content."""
    item = copilot.responses(**SEALED).json()["output"][0]
    assert 200 == copilot.responses([USER, item, USER]).status_code
    bare = {key: value for key, value in item.items() if key != "encrypted_content"}
    assert "does not belong" in refused(copilot.responses([USER, bare, USER]), "")


def test_encrypted_reasoning_is_accepted_only_by_its_model(copilot):
    """encrypted_content is accepted only by the model that created it."""
    item = copilot.responses(**SEALED).json()["output"][0]
    assert ("reasoning", True) == (item["type"], len(item["encrypted_content"]) > 100)
    back = {key: value for key, value in item.items() if key != "id"}
    assert 200 == copilot.responses([USER, back, USER]).status_code
    assert refused(copilot.responses([USER, back], "gpt-5.5"), "invalid_encrypted_content")
    forged = {**back, "encrypted_content": "gAAAA"}
    assert refused(copilot.responses([USER, forged]), "invalid_encrypted_content")
    assert 200 == copilot.responses([USER, {"type": "reasoning", "summary": []}]).status_code


def test_reasoning_appears_on_request(copilot):
    """Effort, summary and encrypted content appear only on request."""
    assert ["message"] == [one["type"] for one in copilot.responses().json()["output"]]
    body = copilot.responses(reasoning={"effort": "high"}).json()
    item = body["output"][0]
    assert ("reasoning", [], False) == (item["type"], item["summary"], "encrypted_content" in item)
    assert body["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    usual = copilot.responses(model="gpt-5-mini").json()["output"]
    assert ["reasoning", "message"] == [one["type"] for one in usual]


def test_newer_models_return_the_phase(copilot):
    """Text before a call is commentary, and the rest is the final answer."""
    assert "final_answer" == copilot.responses(model="gpt-5.3-codex").json()["output"][-1]["phase"]
    called = copilot.responses("Weather?", "gpt-5.4", tools=[TOOL]).json()["output"]
    assert ["commentary", None] == [one.get("phase") for one in called]
    older = copilot.responses("Weather?", "gpt-5.1", tools=[TOOL]).json()["output"]
    assert ["function_call"] == [one["type"] for one in older]


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"store": True}, "unsupported_value", "store is not supported"),
        ({"service_tier": "auto"}, "unsupported_value", "service_tier is not supported"),
        ({"background": True}, "unsupported_value", "background"),
        ({"safety_identifier": "me"}, "unsupported_value", "safety_identifier"),
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "not found"),
        ({"temperature": 0.5}, "unsupported_parameter", "'temperature' is not supported"),
        ({"top_p": 0.5}, "unsupported_parameter", "'top_p' is not supported"),
        ({"max_output_tokens": 15}, "integer_below_min_value", ">= 16, but got 15"),
        ({"reasoning": {"effort": "huge"}}, "invalid_reasoning_effort", "[none low medium high"),
        ({"speed": "fast"}, "unknown_parameter", "Unknown parameter: 'speed'"),
        ({"text": {"format": {"type": "xml"}}}, "invalid_request_body", "text.format"),
        ({"text": {"format": {"type": "json_schema"}}}, "invalid_request_body", "schema"),
        ({"tools": [{"type": "web_search"}]}, "invalid_request_body", "web_search"),
        ({"tools": [{"type": "image_generation"}]}, "invalid_request_body", "image_generation"),
        ({"tools": [TOOL | {"parameters": None}]}, "invalid_request_body", "object schema"),
        ({"tools": [TOOL | {"name": "a b"}]}, "invalid_request_body", "match pattern"),
        ({"tools": [TOOL] * 129}, "invalid_request_body", "too long"),
        ({"tools": ["x"]}, "invalid_request_body", "invalid request body"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "invalid_request_body", "offered"),
        ({"stream": "yes"}, "invalid_request_body", "invalid"),
    ],
)
def test_unsupported_fields_are_refused(copilot, fields, code, words):
    """The error names the field that GitHub does not support."""
    assert words in refused(copilot.responses(**fields), code)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        [],
        5,
        ["Hi"],
        [{"role": "robot", "content": "Hi"}],
        [{"role": "user"}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": ["Hi"]}],
        [{"role": "user", "content": [{"type": "output_text", "text": "Hi"}]}],
        [{"role": "user", "content": [{"type": "input_image"}]}],
        [{"type": "function_call", "call_id": "1", "name": "x"}],
        [{"type": "function_call_output", "call_id": "1"}],
        [{"type": "web_search_call"}],
        [{**USER, "internal_chat_message_metadata_passthrough": {"turn_id": "1"}}],
        [USER, CALL, {**OUTPUT, "output": ["Sunny"]}],
        [USER, CALL],
        [USER, OUTPUT],
    ],
)
def test_invalid_inputs_are_refused(copilot, given):
    """Invalid items, calls without outputs, and outputs without calls are refused."""
    refused(copilot.responses(given))


def test_a_body_that_is_not_an_object_is_refused(copilot):
    """A list in place of an object is refused."""
    refused(copilot.post("/responses", []))


@pytest.mark.parametrize(
    "fields",
    [
        {"instructions": "Be brief", "store": False, "truncation": "disabled"},
        {
            "input": [
                {"role": "system", "content": "x"},
                {"role": "developer", "content": "y"},
                USER,
            ]
        },
        {"input": [USER, {"role": "assistant", "content": [{"type": "output_text", "text": "x"}]}]},
        {"model": "gpt-5.2", "temperature": 0.5},
        {"tool_choice": "none", "tools": [TOOL], "parallel_tool_calls": False},
        {"context_management": [{"type": "compaction", "compact_threshold": 1000}]},
    ],
)
def test_valid_requests_are_accepted(copilot, fields):
    """Requests that break no rule are answered."""
    assert 200 == copilot.responses(fields.pop("input", "Hi"), **fields).status_code


def test_hosted_tools_can_be_allowed(simulator, copilot):
    """The accepted hosted tools are a setting, since they vary by date and model."""
    simulator.state.hosted_tools.add("web_search")
    assert 200 == copilot.responses(tools=[{"type": "web_search"}]).status_code


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": [{"type": "input_image", "image_url": PICTURE}]},
        {**OUTPUT, "output": [{"type": "input_image", "image_url": PICTURE}]},
    ],
)
def test_images_need_no_header_at_any_depth(copilot, item):
    """The vision header is not required here, since the language server does not send it."""
    given = [USER, CALL, OUTPUT, item] if "role" in item else [USER, CALL, item]
    body = {"model": "gpt-5.4", "input": given}
    for header in (None, "true"):
        answer = copilot.post("/responses", body, copilot_vision_request=header)
        assert 200 == answer.status_code


def test_long_inputs_are_refused(copilot):
    """The error has this API's format."""
    assert "exceeds the context window" in refused(
        copilot.responses("x" * 4 * 272000), "context_length_exceeded"
    )


def test_long_conversations_are_cached(copilot):
    """Most tokens in a long conversation are read from the cache."""
    given = [{"role": "user", "content": "x" * 8000}, CALL, OUTPUT]
    body = copilot.responses(given).json()
    assert body["usage"]["input_tokens_details"]["cached_tokens"] > 1000
    assert "get_weather answered: Sunny" in words(body)


def test_answers_can_be_incomplete(copilot):
    """An answer that reaches max_output_tokens is incomplete, with the reason."""
    body = copilot.responses("Count to 500", max_output_tokens=16).json()
    assert ("incomplete", {"reason": "max_output_tokens"}) == (
        body["status"],
        body["incomplete_details"],
    )
    last = stream(copilot, "Count to 500", max_output_tokens=16)[-1]
    assert ("response.incomplete", "incomplete") == (last.name, last.data["response"]["status"])
    assert "copilot_usage" in last.data


def test_structured_output(copilot):
    """An answer matches the requested schema, or is any object for `json_object`."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    format_ = {"type": "json_schema", "name": "x", "schema": schema}
    body = copilot.responses("Take 5", text={"format": format_}).json()
    assert {"n": 5} == json.loads(words(body))
    body = copilot.responses(text={"format": {"type": "json_object"}}).json()
    assert json.loads(words(body))["simulated"]


def test_tools_can_be_forced(copilot):
    """A tool can be forced by its name, and any tool by `required`."""
    for choice in ({"type": "function", "name": "get_weather"}, "required"):
        body = copilot.responses("Hi", "gpt-5.1", tools=[TOOL], tool_choice=choice).json()
        assert ["{}"] == [item["arguments"] for item in body["output"]]


@pytest.mark.parametrize(
    ("quirk", "check"),
    [
        ("no_sequence_numbers", lambda events: "sequence_number" not in events[0].data),
        ("compaction", lambda events: events[2].data["item"]["type"] == "compaction"),
        ("content_filter", lambda events: events[-1].name == "response.incomplete"),
        (
            "no_reasoning_deltas",
            lambda events: not any("summary_text" in event.name for event in events),
        ),
        ("wordless", lambda events: not any("output_text" in event.name for event in events)),
        (
            "runaway_arguments",
            lambda events: any("\n\t\r" in str(e.data.get("delta")) for e in events),
        ),
    ],
)
def test_streams_have_quirks(simulator, copilot, quirk, check):
    """Every quirk of this API can be switched on."""
    fields = {"tools": [TOOL], **SEALED}
    assert not check(stream(copilot, "Weather in Rome", **fields))
    simulator.state.faults.on(quirk, times=1)
    assert check(stream(copilot, "Weather in Rome", **fields))


def test_compactions_are_accepted_back(simulator, copilot):
    """A compaction item may be sent back like reasoning."""
    simulator.state.faults.on("compaction", times=1)
    item = copilot.responses().json()["output"][0]
    back = {"type": "compaction", "encrypted_content": item["encrypted_content"]}
    assert 200 == copilot.responses([back, USER]).status_code
