"""The Messages API for Claude models: its rules, events and token counting."""

import base64
from typing import Any

import pytest

USER = {"role": "user", "content": "Hi"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sunny"}
ASKS = {"role": "assistant", "content": [CALL]}
ANSWERS: dict[str, Any] = {"role": "user", "content": [RESULT]}
TOOL: dict[str, Any] = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
IMAGE = {
    "type": "image",
    "source": {
        "type": "base64",
        "media_type": "image/png",
        "data": base64.b64encode(b"\0" * 16).decode(),
    },
}
MARK = {"type": "ephemeral"}
THINK = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}


def stream(copilot, text="Hi", **fields):
    answer = copilot.messages(text, stream=True, **fields)
    assert 200 == answer.status_code, answer.text
    return copilot.events(answer.text)


def refused(answer):
    """Return the message of a refusal in Anthropic's error format."""
    body = answer.json()
    assert (400, "error", "invalid_request_error") == (
        answer.status_code,
        body["type"],
        body["error"]["type"],
    )
    assert body["request_id"].startswith("req_vrtx_")
    assert answer.headers["content-type"].startswith("application/json")
    return body["error"]["message"]


def test_a_whole_answer_has_the_recorded_shape(copilot):
    """The answer has blocks, a stop reason, usage in Anthropic's format, and GitHub's price."""
    body = copilot.messages().json()
    assert ("message", "assistant", "end_turn", None) == (
        body["type"],
        body["role"],
        body["stop_reason"],
        body["stop_sequence"],
    )
    assert body["id"].startswith("msg_bdrk_")
    assert "claude-sonnet-4-5-20250929" == body["model"]
    assert "You said: Hi" in body["content"][0]["text"]
    assert {"context_management", "copilot_usage"} <= set(body)
    assert {"input_tokens", "cache_read_input_tokens", "output_tokens"} <= set(body["usage"])


def test_the_order_of_events(copilot):
    """The data of every event repeats the event's name; blocks start and stop one after another."""
    events = stream(copilot, "Weather in Rome?", tools=[TOOL])
    assert [event.name for event in events] == [event.data["type"] for event in events]
    short = [e.name for number, e in enumerate(events) if e.name != events[number - 1].name]
    assert [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ] == short
    start, delta, stop = events[0].data["message"], events[-2].data, events[-1].data
    assert ([], None) == (start["content"], start["stop_reason"])
    assert ("tool_use", True) == (delta["delta"]["stop_reason"], "copilot_usage" in delta)
    assert "amazon-bedrock-invocationMetrics" in stop


def test_tool_input_is_streamed_as_json(copilot):
    """The block starts with an empty input, and the deltas add up to the whole input."""
    tool = {**TOOL, "input_schema": {**TOOL["input_schema"], "required": ["city"]}}
    events = stream(copilot, "Weather in Rome?", tools=[tool])
    starts = [e.data["content_block"] for e in events if e.name == "content_block_start"]
    assert ("tool_use", {}, True) == (
        starts[1]["type"],
        starts[1]["input"],
        starts[1]["id"].startswith("toolu_bdrk_"),
    )
    parts = [
        e.data["delta"]["partial_json"]
        for e in events
        if e.name == "content_block_delta" and e.data["delta"]["type"] == "input_json_delta"
    ]
    assert '{"city":"Rome"}' == "".join(parts)


def test_a_tool_without_arguments_has_no_delta(simulator, copilot):
    """A call without arguments has no delta or, with a quirk, one empty delta."""

    def deltas():
        events = stream(copilot, "Weather?", tools=[TOOL], tool_choice={"type": "any"})
        return [e.data["delta"] for e in events if "partial_json" in str(e.data)]

    assert [] == deltas()
    simulator.state.faults.on("empty_input_delta", times=1)
    assert [{"type": "input_json_delta", "partial_json": ""}] == deltas()


def test_thinking_is_signed(copilot):
    """Thinking comes first, with a signature that must be sent back, even without text."""
    body = copilot.messages(**THINK).json()
    block = body["content"][0]
    assert ("thinking", True) == (block["type"], len(block["signature"]) > 100)
    events = stream(copilot, **THINK)
    kinds = [e.data["delta"]["type"] for e in events if e.name == "content_block_delta"]
    assert "thinking_delta" == kinds[0]
    assert 1 == kinds.count("signature_delta")
    turn: list[Any] = [
        USER,
        {"role": "assistant", "content": [block, {"type": "text", "text": "x"}]},
        USER,
    ]
    assert 200 == copilot.messages(messages=turn).status_code
    turn[1]["content"][0] = {**block, "thinking": ""}
    assert 200 == copilot.messages(messages=turn).status_code
    for wrong in ({"signature": "abc@def"}, {"signature": None}):
        turn[1]["content"][0] = {**block, **wrong}
        assert "Invalid signature in thinking block" == refused(copilot.messages(messages=turn))
    turn[1]["content"][0] = {"type": "redacted_thinking", "data": "x"}
    assert 200 == copilot.messages(messages=turn).status_code


def mark(count):
    return [{"type": "text", "text": "x", "cache_control": MARK} for _ in range(count)]


def failed(content):
    """Return a conversation whose only tool call failed, with `content` as its result."""
    result = {"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": content}
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    return [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be"),
        ({"max_tokens": 16001}, "max_tokens: 16001 > 16000"),
        ({"messages": []}, "at least one message"),
        ({"messages": ["Hi"]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, "must be non-empty"),
        ({"messages": [{"role": "user", "content": []}]}, "must be non-empty"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}, "non-empty"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "text: Field required"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "Input tag"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "Input tag"),
        ({"messages": [USER, {"role": "assistant", "content": "Well,"}]}, "prefill"),
        ({"messages": [USER, ASKS]}, "tool_use` ids were found without"),
        ({"messages": [USER, ASKS, USER]}, "messages.1: `tool_use` ids were found without"),
        ({"messages": [USER, ANSWERS]}, "messages.1: unexpected `tool_use_id`"),
        (
            {"messages": [USER, {"role": "assistant", "content": [{**CALL, "input": 1}]}, ANSWERS]},
            "tool_use.input",
        ),
        (
            {"messages": [USER, ASKS, {"role": "user", "content": [{"type": "tool_result"}]}]},
            "tool_use_id: Field required",
        ),
        (
            {"messages": failed("")},
            "messages.2.content.0.tool_result: content cannot be empty if is_error is true",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "image.source"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"model": "claude-sonnet-4.6", "output_config": {"format": 1}}, "output_config.format"),
        ({"service_tier": "auto"}, "service_tier: Extra inputs are not permitted"),
        ({"mcp_servers": []}, "mcp_servers: Extra inputs"),
        ({"context_management": {}}, "context_management: Extra inputs"),
        ({"system": mark(5)}, "A maximum of 4 blocks with cache_control may be provided. Found 5."),
        (
            {"system": [{"type": "text", "text": "x", "cache_control": {**MARK, "ttl": "1h"}}]},
            "system.0.cache_control.ephemeral.ttl: Extra inputs are not permitted",
        ),
        (
            {"tools": [{**TOOL, "cache_control": {**MARK, "scope": "global"}}]},
            "tools.0.cache_control.ephemeral.scope: Extra inputs are not permitted",
        ),
        (
            {"tools": [{**TOOL, "cache_control": {"type": "forever"}}]},
            "tools.0.cache_control: Input should be",
        ),
        ({"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
        ({"temperature": 2}, "range: 0..1"),
        ({"temperature": 0.5, **THINK}, "may only be set to 1"),
        ({"thinking": {"type": "always"}}, "thinking: Input tag"),
        ({"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1000}}, "at least 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "must be greater than"),
        ({**THINK, "tools": [TOOL], "tool_choice": {"type": "any"}}, "Thinking may not be enabled"),
        ({"output_config": {"effort": "low"}}, "output_config: Extra inputs"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "server tools"),
        ({"tools": ["x"]}, "server tools"),
        (
            {"model": "claude-haiku-4.5", "tools": [{**TOOL, "eager_input_streaming": True}]},
            "eager_input_streaming: Extra",
        ),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "defer_loading: Extra inputs"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "not valid"),
        ({"tools": [TOOL] * 129}, "too many tools"),
        ({"tool_choice": {"type": "sometimes"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found"),
    ],
)
def test_invalid_bodies_are_refused(copilot, fields, words):
    """Schema errors have Anthropic's format and a request id."""
    assert words in refused(copilot.messages(**fields))


def test_errors_come_in_both_formats(copilot):
    """GitHub's own refusals have GitHub's format."""
    for answer, code in (
        (copilot.messages(model="nothing"), "model_not_supported"),
        (copilot.messages(model="claude-opus-4.7", output_config={"effort": "x"}), None),
        (copilot.messages(stream="yes"), "invalid_request_body"),
    ):
        expected = code or "invalid_reasoning_effort"
        assert (400, expected) == (answer.status_code, answer.json()["error"]["code"])


def test_a_body_that_is_not_an_object_is_refused(copilot):
    """A body that is not an object is also refused in Anthropic's format."""
    assert "not valid JSON" in refused(copilot.post("/v1/messages", []))


def test_rules_of_opus(copilot):
    """The newest Opus thinks adaptively, and does not accept a temperature."""
    opus = {"model": "claude-opus-4.7"}
    assert "deprecated" in refused(copilot.messages(temperature=0.5, **opus))
    assert "thinking.type.enabled" in refused(copilot.messages(**THINK, **opus))
    adaptive = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}
    answer = copilot.messages(**adaptive, **opus)
    assert "thinking" == answer.json()["content"][0]["type"]
    assert (
        "output_config.effort"
        in copilot.messages(model="claude-sonnet-4.6", output_config={"effort": "max"}).text
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "Be brief", "metadata": {"user_id": "me"}, "top_k": 5},
        {"system": mark(4)},
        {"model": "claude-sonnet-4", "temperature": 0.5, "top_p": 0.5},
        {"temperature": 1, **THINK},
        {"messages": [USER, ASKS, ANSWERS]},
        {"messages": [USER, ASKS, {"role": "user", "content": [RESULT, *mark(1)]}]},
        {"messages": [USER, USER]},
        {"max_tokens": 20000, "stream": True},
        {"tools": [{**TOOL, "type": "custom", "strict": True}], "tool_choice": {"type": "none"}},
        {"model": "claude-opus-5"},
        {"output_config": {}, "model": "claude-sonnet-4.6"},
    ],
)
def test_valid_requests_are_accepted(copilot, fields):
    """Requests that break no rule are answered."""
    assert 200 == copilot.messages(**fields).status_code


MID_CONVERSATION = "mid-conversation-system-2026-04-07"


def beta(copilot, name, **fields):
    body = {"model": "claude-sonnet-4.5", "messages": [USER], "max_tokens": 99, **fields}
    return copilot.post("/v1/messages", body, anthropic_beta=name)


def test_only_known_betas_are_accepted(copilot):
    """An unknown beta is refused; a known beta enables its fields."""
    for name in ("context-1m-2025-08-07", "claude-code-20250219", "effort-2025-11-24"):
        assert f"`{name}`" in refused(beta(copilot, f"interleaved-thinking-2025-05-14,{name}"))
    assert 200 == beta(copilot, "interleaved-thinking-2025-05-14,").status_code
    context = "context-management-2025-06-27"
    assert 200 == beta(copilot, context, context_management={}).status_code
    tools = [{**TOOL, "defer_loading": True}]
    assert 200 == beta(copilot, "advanced-tool-use-2025-11-20", tools=tools).status_code
    turn: list[Any] = [USER, {"role": "system", "content": "Hush"}]
    assert 200 == beta(copilot, MID_CONVERSATION, messages=turn).status_code


SYSTEM = {"role": "system", "content": "Hush"}
ANSWER = {"role": "assistant", "content": "Hello."}
EFFORT = {"role": "system", "content": [], "output_config": {"effort": "low"}}


@pytest.mark.parametrize(
    "messages",
    [
        [USER, SYSTEM, ANSWER, USER],
        [USER, SYSTEM, SYSTEM],
        [USER, ASKS, {"role": "user", "content": [RESULT]}, SYSTEM],
        [EFFORT, USER, EFFORT, ANSWER, EFFORT, USER, EFFORT, SYSTEM],
    ],
)
def test_system_messages_come_before_the_assistants(copilot, messages):
    """System messages may appear between a user's message and the assistant's, or at the end."""
    assert 200 == beta(copilot, MID_CONVERSATION, messages=messages).status_code


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([SYSTEM, USER], "messages.0: use the top-level 'system' parameter"),
        ([USER, ANSWER, SYSTEM, USER], "messages.2: role 'system' must follow a 'user' message"),
        ([USER, SYSTEM, USER], "messages.1: role 'system' must follow"),
        ([USER, SYSTEM, SYSTEM, USER], "messages.2: role 'system' must follow"),
        ([USER, ANSWER, SYSTEM, ANSWER, USER], "messages.2: role 'system' must follow"),
        ([USER, ANSWER, EFFORT, SYSTEM], "messages.3: role 'system' must follow"),
        (
            [USER, ASKS, SYSTEM, {"role": "user", "content": [RESULT]}],
            "messages.2: role 'system' must follow",
        ),
    ],
)
def test_other_positions_of_system_messages_are_refused(copilot, messages, text):
    """Claude refuses system messages at other positions."""
    assert text in refused(beta(copilot, MID_CONVERSATION, messages=messages))


@pytest.mark.parametrize("nested", [False, True])
def test_images_need_no_header(copilot, nested):
    """The vision header is not required here, since the language server does not send it."""
    image = {**RESULT, "content": [IMAGE]} if nested else IMAGE
    turn = [USER, ASKS, {"role": "user", "content": [image] if nested else [RESULT, image]}]
    body = {"model": "claude-sonnet-4.5", "messages": turn, "max_tokens": 99}
    for header in (None, "true"):
        answer = copilot.post("/v1/messages", body, copilot_vision_request=header)
        assert 200 == answer.status_code


def test_image_urls_are_refused(copilot):
    """Image URLs are refused, since GitHub does not fetch images."""
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    body = {
        "model": "claude-sonnet-4.5",
        "messages": [{"role": "user", "content": [image]}],
        "max_tokens": 99,
    }
    answer = copilot.post("/v1/messages", body, copilot_vision_request="true")
    assert "external" in answer.json()["error"]["message"]


def test_long_prompts_are_refused(copilot):
    """The error contains both numbers, in Anthropic's wording."""
    answer = copilot.messages("x" * 4 * 168000)
    assert "prompt is too long: 168007 tokens > 168000 maximum" == refused(answer)


def test_stop_reasons(copilot):
    """The limit, a stop sequence and a refusal have different stop reasons."""
    cut = copilot.messages("Count to 500", max_tokens=10).json()
    assert "max_tokens" == cut["stop_reason"]
    stopped = copilot.messages("Count to 9", stop_sequences=["5"]).json()
    assert ("stop_sequence", "5") == (stopped["stop_reason"], stopped["stop_sequence"])
    copilot.simulator.state.faults.on("content_filter", times=1)
    assert "refusal" == copilot.messages().json()["stop_reason"]


@pytest.mark.parametrize(
    ("prompt", "stop", "said"),
    [
        ("Respond with <severity>N</severity> ONLY.", "</severity>", "<severity>0"),
        ("Your response MUST begin with <block>.", "</block>", "<block>no"),
    ],
)
def test_actions_are_approved(copilot, prompt, stop, said):
    """Claude Code's checks of actions in auto mode get an answer that it understands."""
    body = copilot.messages(prompt, stop_sequences=[stop]).json()
    assert said == body["content"][-1]["text"]


def test_tool_results_are_answered(copilot):
    """A tool result is quoted in the answer."""
    body = copilot.messages(messages=[USER, ASKS, ANSWERS]).json()
    assert "get_weather answered: Sunny" in body["content"][0]["text"]


def test_tools_can_be_forced(copilot):
    """A tool can be forced by its name; calls are parallel unless that is disabled."""
    named = {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "get_weather"}}
    assert "tool_use" == copilot.messages(**named).json()["stop_reason"]
    both = copilot.messages("weather in Rome and Paris", tools=[TOOL]).json()
    assert 3 == len(both["content"])
    alone = {"type": "auto", "disable_parallel_tool_use": True}
    one = copilot.messages("weather in Rome and Paris", tools=[TOOL], tool_choice=alone).json()
    assert 2 == len(one["content"])


def test_cut_arguments_are_empty(copilot):
    """In a whole answer, cut-off arguments are an empty object."""
    tool = {**TOOL, "input_schema": {**TOOL["input_schema"], "required": ["city"]}}
    body = copilot.messages("weather in Rome", tools=[tool], max_tokens=10).json()
    assert ("max_tokens", {}) == (body["stop_reason"], body["content"][-1]["input"])


def test_structured_output(copilot):
    """output_config.format works for models that support it."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    config = {"format": {"type": "json_schema", "schema": schema}}
    body = copilot.messages("Take 5", model="claude-sonnet-4.6", output_config=config).json()
    assert '{"n":5}' == body["content"][0]["text"]


def test_cached_tokens_are_counted_separately(copilot):
    """input_tokens does not include the tokens read from the cache."""
    marked = [
        {"role": "user", "content": [{"type": "text", "text": "x" * 400, "cache_control": MARK}]}
    ]
    usage = copilot.messages(messages=marked).json()["usage"]
    assert usage["cache_read_input_tokens"] > 40
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == 107


@pytest.mark.parametrize(
    ("quirk", "words"),
    [("annotations", "copilot_annotations"), ("runaway_arguments", "\\n\\t\\r")],
)
def test_streams_have_quirks(simulator, copilot, quirk, words):
    """Annotations and endless arguments can be switched on."""
    simulator.state.faults.on(quirk, times=1)
    answer = copilot.messages("Weather in Rome", tools=[TOOL], stream=True)
    assert words in answer.text
    simulator.state.faults.on("wordless", times=1)
    assert [] == copilot.messages().json()["content"]


def test_counting_tokens_is_free(simulator, copilot):
    """A token count equals the answer's usage, needs no max_tokens, and uses no quota."""
    body = {"model": "claude-sonnet-4.5", "messages": [USER], "tools": [TOOL], "system": mark(1)}
    spent = simulator.state.spent
    counted = copilot.post("/v1/messages/count_tokens", body)
    assert (200, spent) == (counted.status_code, simulator.state.spent)
    usage = copilot.post("/v1/messages", {**body, "max_tokens": 9}).json()["usage"]
    assert usage["input_tokens"] == counted.json()["input_tokens"]
    simulator.state.faults.on("count_tokens_missing")
    assert 404 == copilot.post("/v1/messages/count_tokens", body).status_code
