"""Chat requests become requests to pi-ai."""

from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.earlier_answers import UNUSABLE_REASONING
from copilot_proxy.formats.pi_ai.request_from_chat import DROPPED, REFUSED
from copilot_proxy.formats.pi_ai.request_to_model import pi_ai_from_chat
from copilot_proxy.formats.types import Json
from tests.formats.pi_ai.models import (
    ADAPTIVE,
    BOUND,
    CHAT,
    CLAUDE,
    GEMINI,
    GPT_4,
    GPT_5,
    MESSAGES,
    RESPONSES,
    model,
)
from tests.formats.requests import PNG, chat_request, image, user

NOW = 1_795_330_000_000
SCHEMA: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Json = {
    "type": "function",
    "function": {"name": "look", "description": "Looks", "parameters": SCHEMA},
}
PI_TOOL: Json = {"name": "look", "description": "Looks", "parameters": SCHEMA}
NONE: Json = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
ITEM = '{"type":"reasoning","summary":[],"encrypted_content":"A"}'
NAMED: Json = {"type": "function", "function": {"name": "look"}}


def translated(model: Model, *messages: Json, **fields: Any) -> tuple[Json, list[str]]:
    notes: list[str] = []
    return pi_ai_from_chat(chat_request(*messages, **fields), model, notes, NOW).body, notes


def call(id: str, arguments: str = "{}") -> Json:
    return {"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}}


def assistant(api: str, id: str, *content: Json, stop: str = "stop") -> Json:
    return {
        "role": "assistant",
        "content": list(content),
        "api": api,
        "provider": "github-copilot",
        "model": id,
        "usage": {**NONE, "totalTokens": 0, "cost": {**NONE, "total": 0}},
        "stopReason": stop,
        "timestamp": NOW,
    }


def test_many_calls_are_split() -> None:
    """Copilot's chat API accepts 128 calls in a message; Claude's API accepts more."""
    calls = [call(f"c{number}") for number in range(130)]
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "x"} for one in calls]
    turns = [user("Hi"), {"role": "assistant", "content": None, "tool_calls": calls}, *results]

    for to, expected in ((GPT_4, [128, 2]), (CLAUDE, [130])):
        body, _ = translated(to, *turns)
        said = [m["content"] for m in body["context"]["messages"] if m["role"] == "assistant"]
        assert expected == [len(content) for content in said]


def test_a_conversation_with_all_kinds_of_content() -> None:
    """System texts are joined, and all other content is translated in order."""
    body, notes = translated(
        GPT_4,
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        user([{"type": "text", "text": "Look"}, image()]),
        {"role": "assistant", "content": "Hm.", "tool_calls": [call("c1", '{"city": "Rom"}')]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        user("Thanks"),
        tools=[TOOL],
        temperature=0.3,
        max_tokens=100,
        tool_choice="auto",
    )

    text = {"type": "text", "text": "Look"}
    data = {"type": "image", "data": PNG.partition(",")[2], "mimeType": "image/png"}
    called = {"type": "toolCall", "id": "c1", "name": "look", "arguments": {"city": "Rom"}}
    assert {
        "messages": [
            {
                "role": "system",
                "content": "Be brief.\n\nBe kind.",
                "toolsAdded": [PI_TOOL],
                "timestamp": NOW,
            },
            {"role": "user", "content": [text, data], "timestamp": NOW},
            assistant(
                "openai-completions",
                "gpt-4.1",
                {"type": "text", "text": "Hm."},
                called,
                stop="toolUse",
            ),
            {
                "role": "toolResult",
                "toolCallId": "c1",
                "toolName": "look",
                "content": [{"type": "text", "text": "sunny"}],
                "isError": False,
                "timestamp": NOW,
            },
            {"role": "user", "content": "Thanks", "timestamp": NOW},
        ],
    } == body["context"]
    assert {
        "cacheRetention": "short",
        "temperature": 0.3,
        "maxTokens": 100,
        "toolChoice": "auto",
    } == body["options"]
    assert "gpt-4.1" == body["model"]
    assert [] == notes


def test_a_model_is_described_from_the_catalogue() -> None:
    """pi-ai gets the model's limit and capabilities; it sends all images, and estimates nothing."""
    body, _ = translated(GPT_4)

    assert {
        "id": "gpt-4.1",
        "name": "Gpt-4.1",
        "api": "openai-completions",
        "provider": "github-copilot",
        "reasoning": False,
        "input": ["text", "image"],
        "cost": NONE,
        "contextWindow": 0,
        "maxTokens": 16384,
        "compat": {
            "supportsMidConvoSystemMessages": True,
            "supportsStore": False,
            "supportsDeveloperRole": False,
            "supportsReasoningEffort": False,
            "supportsFinishReason": False,
            "maxTokensField": "max_tokens",
        },
    } == body["pi"]


@pytest.mark.parametrize(
    ("model", "api"),
    [
        (GPT_4, "openai-completions"),
        (GPT_5, "openai-responses"),
        (CLAUDE, "anthropic-messages"),
        (ADAPTIVE, "anthropic-messages"),
        (model("silent"), "openai-completions"),
    ],
)
def test_the_catalogue_determines_the_api(model: Model, api: str) -> None:
    """The vendor's own API is used if the catalogue lists it for the model."""
    body, _ = translated(model)

    assert api == body["pi"]["api"]


def test_claude_gets_whole_schemas() -> None:
    """pi-ai would drop references in Claude's tools, so the schemas are added to its request."""
    function = {"name": "look", "parameters": {**SCHEMA, "$defs": {"x": {}}}}
    other = {"name": "hear"}
    tools = [{"type": "function", "function": one} for one in (function, other)]

    body, notes = translated(CLAUDE, tools=tools)

    assert [
        {"name": "look", "description": "", "input_schema": function["parameters"]},
        {
            "name": "hear",
            "description": "",
            "input_schema": {"type": "object", "properties": {}},
            "cache_control": {"type": "ephemeral"},
        },
    ] == body["payload"]["tools"]
    assert [] == notes
    assert "tools" not in translated(GPT_5, tools=tools)[0]["payload"]


@pytest.mark.parametrize(
    ("model", "choice", "option", "payload"),
    [
        (GPT_4, "required", "required", None),
        (GPT_4, NAMED, NAMED, None),
        (GPT_5, "required", None, "required"),
        (GPT_5, NAMED, None, {"type": "function", "name": "look"}),
        (CLAUDE, "auto", None, {"type": "auto"}),
        (CLAUDE, "required", None, {"type": "any"}),
        (CLAUDE, "none", None, {"type": "none"}),
        (CLAUDE, NAMED, None, {"type": "tool", "name": "look"}),
        (GPT_4, {"type": "allowed_tools", "allowed_tools": {"tools": [NAMED]}}, "auto", None),
    ],
)
def test_the_tool_choice_is_passed_on(model: Model, choice: Any, option: Any, payload: Any) -> None:
    """The tool choice is an option of pi-ai if there is one, otherwise a field of the API."""
    body, notes = translated(model, tools=[TOOL], tool_choice=choice)

    assert option == body["options"].get("toolChoice")
    assert payload == body["payload"].get("tool_choice")
    assert [] == notes


@pytest.mark.parametrize("model", [GPT_4, GPT_5, CLAUDE])
def test_custom_tools_become_functions(model: Model) -> None:
    """pi-ai has only functions, so custom tools and their earlier calls become functions."""
    called = {"id": "a", "type": "custom", "custom": {"name": "p", "input": "x"}}
    history: list[Json] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "a", "content": "done"},
    ]
    custom = {"type": "custom", "custom": {"name": "p"}}

    body, notes = translated(model, *history, tools=[custom])

    (tool,) = body["context"]["messages"][0]["toolsAdded"]
    assert ("p", ["input"]) == (tool["name"], tool["parameters"]["required"])
    (call,) = body["context"]["messages"][2]["content"]
    assert ("p", {"input": "x"}) == (call["name"], call["arguments"])
    assert ["changed custom tools to functions: the model does not support them"] == notes


@pytest.mark.parametrize(
    ("model", "fields", "reasoning", "levels", "note"),
    [
        (GPT_5, {"reasoning_effort": "low"}, "low", {"low": "low"}, None),
        (GPT_5, {"reasoning_effort": "xhigh"}, "xhigh", {"xhigh": "xhigh"}, None),
        (GPT_5, {"reasoning_effort": "max"}, "max", {"max": "xhigh"}, "max to xhigh"),
        (GPT_5, {"reasoning_effort": "minimal"}, "minimal", {"minimal": "low"}, "minimal to low"),
        (GPT_5, {"reasoning_effort": "none"}, None, None, "cannot turn off reasoning"),
        (GPT_5, {"reasoning_effort": "odd"}, "medium", {"medium": "medium"}, "odd to medium"),
        (GPT_5, {"thinking_budget": 4000}, "low", {"low": "low"}, "changed thinking_budget"),
        (ADAPTIVE, {"reasoning_effort": "max"}, "max", {"max": "max"}, None),
        (CLAUDE, {"reasoning_effort": "high"}, "high", None, None),
        (CLAUDE, {"reasoning_effort": "none"}, None, None, None),
        (CLAUDE, {"thinking_budget": 9000}, "medium", None, None),
        (GEMINI, {"reasoning_effort": "none"}, None, {"off": "none"}, None),
        (GPT_4, {"reasoning_effort": "low"}, None, None, "does not support it for this model"),
        (BOUND, {"reasoning_effort": "high"}, "high", {"high": "low"}, "high to low"),
        (ADAPTIVE, {"thinking_budget": 9000}, "medium", {"medium": "medium"}, None),
        (
            CLAUDE,
            {"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required"},
            None,
            None,
            "when a tool is forced",
        ),
    ],
)
def test_efforts_become_levels(
    model: Model, fields: Json, reasoning: str | None, levels: Any, note: str | None
) -> None:
    """pi-ai gets one of its levels and Copilot's name for it; changes are noted."""
    body, notes = translated(model, **fields)

    assert reasoning == body["options"].get("reasoning")
    assert levels == body["pi"].get("thinkingLevelMap")
    assert [note] == [note for one in notes if note and note in one] if note else not notes
    if reasoning:
        assert body["pi"]["reasoning"] is True
    if "thinking_budget" in fields and model is CLAUDE:
        assert {"medium": 9000} == body["options"]["thinkingBudgets"]


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (CLAUDE, {"reasoning_effort": "high"}, None),
        (ADAPTIVE, {"reasoning_effort": "high"}, None),
        (BOUND, {}, True),
        (BOUND, {"reasoning_effort": "low"}, True),
        (BOUND, {"tools": [TOOL], "tool_choice": "required"}, True),
    ],
)
def test_bound_thinking_of_another_conversation_is_dropped(
    model: Model, fields: Json, expected: bool | None
) -> None:
    """Models that bind thinking to a conversation are told to drop thinking from any other."""
    body, _ = translated(model, **fields)

    binding = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    thinking = {"type": "adaptive", "display": "summarized", **binding}
    assert (thinking if expected else None) == body["payload"].get("thinking")
    assert (model is not CLAUDE) is body["pi"]["compat"]["forceAdaptiveThinking"]


def test_reasoning_can_be_turned_off_on_responses() -> None:
    """pi-ai would not disable reasoning, so the setting is added to its request."""
    thinker = model("gpt-6-luna", RESPONSES, reasoning_effort=["none", "low"])

    body, notes = translated(thinker, reasoning_effort="none")

    assert {"effort": "none"} == body["payload"]["reasoning"]
    assert [] == notes


@pytest.mark.parametrize(
    ("model", "effort", "beta"),
    [
        (CLAUDE, "high", "interleaved-thinking-2025-05-14"),
        (CLAUDE, None, None),
        (ADAPTIVE, "high", None),
        (BOUND, "low", "thinking-binding-controls-2026-08-01"),
        (BOUND, None, "thinking-binding-controls-2026-08-01"),
    ],
)
def test_only_a_supported_beta_is_sent(model: Model, effort: str | None, beta: str | None) -> None:
    """Copilot would refuse pi-ai's own list of betas, so the list is replaced or removed."""
    body, _ = translated(model, reasoning_effort=effort)

    assert {"anthropic-beta": beta} == body["headers"]


@pytest.mark.parametrize(
    ("model", "fields", "options", "note"),
    [
        (GPT_5, {"temperature": 0.5}, {}, "accepts only its default"),
        (GPT_5, {"temperature": 1}, {}, None),
        (CLAUDE, {"temperature": 0.5}, {"temperature": 0.5}, None),
        (CLAUDE, {"temperature": 0.5, "reasoning_effort": "low"}, {"reasoning": "low"}, "thinking"),
        (GPT_5, {"max_tokens": 5}, {"maxTokens": 16}, "5 to 16"),
        (GPT_5, {"max_completion_tokens": 50}, {"maxTokens": 50}, None),
        (CLAUDE, {"max_tokens": 99000}, {"maxTokens": 32000}, "99000 to 32000"),
        (CLAUDE, {"temperature": 1.7}, {"temperature": 1}, "1.7 to 1"),
        (GPT_4, {"max_completion_tokens": 0, "max_tokens": 50}, {"maxTokens": 50}, "0 is not"),
        (GPT_4, {"max_tokens": -1}, {}, "-1 is not"),
    ],
)
def test_limits_and_temperatures(
    model: Model, fields: Json, options: Json, note: str | None
) -> None:
    """Limits and temperatures are passed on if the model supports them."""
    body, notes = translated(model, **fields)

    assert {"cacheRetention": "short", **options} == body["options"]
    assert bool(note) == bool(notes)
    assert all(note in one for one in notes if note)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logprobs", True),
        ("top_logprobs", 3),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}),
    ],
)
def test_fields_that_change_the_response_are_refused(field: str, value: Any) -> None:
    """A client that requests JSON or probabilities gets an error, not a response without them."""
    with pytest.raises(RequestError) as caught:
        translated(GPT_4, **{field: value})

    assert (400, field, "unsupported_parameter") == (
        caught.value.status,
        caught.value.param,
        caught.value.code,
    )
    assert "--upstream pi-ai" in str(caught.value.hint)
    assert field in {one.field for one in REFUSED}


def test_a_model_that_does_not_stream_is_refused() -> None:
    """A model without streaming is refused, since pi-ai would request a stream anyway."""
    with pytest.raises(RequestError, match="does not stream") as caught:
        translated(model("mai-code-1", CHAT, streaming=False))

    assert ("model", "unsupported_value") == (caught.value.param, caught.value.code)


@pytest.mark.parametrize("value", [{"type": "text"}, None])
def test_default_values_are_not_refused(value: Any) -> None:
    """A field with its default value is not refused."""
    assert [] == translated(GPT_4, response_format=value, logprobs=False)[1]


@pytest.mark.parametrize("field", DROPPED)
def test_dropped_fields_are_noted(field: str) -> None:
    """A field that pi-ai does not support is dropped, and a note names it."""
    values: Json = {"stop": ["END"], "logit_bias": {"1": 2}, "user": "me", "verbosity": "low"}
    values |= {"prompt_cache_key": "k", "prompt_cache_options": {"ttl": "30m"}}
    values |= {"prediction": {"type": "content", "content": "x"}}

    _, notes = translated(GPT_4, **{field: values.get(field, 1)})

    assert [f"dropped {field}: pi-ai does not support it"] == notes


def test_unknown_fields_are_noted() -> None:
    """An unknown field is dropped with a note, unless its value is false."""
    assert ["dropped tomorrow: pi-ai does not support it"] == translated(GPT_4, tomorrow=1)[1]
    assert [] == translated(GPT_4, tomorrow=False, store=False)[1]


def test_parallel_tool_calls_cannot_be_disabled() -> None:
    """Models may make parallel tool calls, so a request that forbids them gets a note."""
    _, notes = translated(GPT_4, tools=[TOOL], parallel_tool_calls=False)

    assert ["dropped parallel_tool_calls: pi-ai does not support it"] == notes
    assert [] == translated(GPT_4, tools=[TOOL], parallel_tool_calls=True)[1]


def test_strict_tools_are_noted() -> None:
    """Strict tools get a note, since pi-ai never requests strict arguments."""
    function = {**TOOL["function"], "strict": True}

    _, notes = translated(GPT_4, tools=[{"type": "function", "function": function}])

    assert ["dropped strict from tools: pi-ai does not support it"] == notes


@pytest.mark.parametrize(
    ("model", "opaque", "thinking"),
    [
        (
            CLAUDE,
            "messages:SIG",
            [{"type": "thinking", "thinking": "Hm", "thinkingSignature": "SIG"}],
        ),
        (
            CLAUDE,
            "messages:!DATA",
            [
                {
                    "type": "thinking",
                    "thinking": "[Reasoning redacted]",
                    "thinkingSignature": "DATA",
                    "redacted": True,
                }
            ],
        ),
        (CLAUDE, "responses:A", []),
        (
            GPT_5,
            "responses:A",
            [
                {
                    "type": "thinking",
                    "thinking": "",
                    "thinkingSignature": ITEM,
                }
            ],
        ),
        (GPT_5, "messages:SIG", []),
        (
            GPT_4,
            None,
            [{"type": "thinking", "thinking": "Hm", "thinkingSignature": "reasoning_text"}],
        ),
        (GPT_4, "messages:SIG", []),
    ],
)
def test_encrypted_reasoning_goes_back_to_its_api(
    model: Model, opaque: str | None, thinking: list[Json]
) -> None:
    """Encrypted reasoning goes to the API that made it, through either upstream."""
    said = {"role": "assistant", "content": "A", "reasoning_content": "Hm"}
    body, _ = translated(model, user(), {**said, "reasoning_opaque": opaque}, user())

    assert [*thinking, {"type": "text", "text": "A"}] == body["context"]["messages"][1]["content"]


def test_signed_thinking_without_text_is_kept() -> None:
    """Newer Claude models hide their thinking, but need its signature back."""
    said = {"role": "assistant", "content": "A", "reasoning_opaque": "messages:SIG"}

    body, _ = translated(ADAPTIVE, user(), said, user())

    signed = {"type": "thinking", "thinking": "", "thinkingSignature": "SIG"}
    assert [signed, {"type": "text", "text": "A"}] == body["context"]["messages"][1]["content"]


def test_encrypted_reasoning_of_tool_calls_is_kept() -> None:
    """Gemini needs a tool call's reasoning, but pi-ai drops it, so it is sent separately."""
    said = {"role": "assistant", "tool_calls": [call("a|b")], "reasoning_opaque": "abc"}
    result = {"role": "tool", "tool_call_id": "a|b", "content": "x"}

    body, notes = translated(GEMINI, user(), said, result)

    assert {"a_b": "abc"} == body["opaque"]
    assert [] == notes
    foreign = {**said, "reasoning_opaque": "messages:SIG"}
    assert translated(GEMINI, user(), foreign, result)[0]["opaque"] is None


def test_encrypted_reasoning_of_chat_completions_is_noted() -> None:
    """Without a tool call, pi-ai does not send the chat API's encrypted reasoning back."""
    said = {"role": "assistant", "content": "A", "reasoning_opaque": "abc"}

    _, notes = translated(GEMINI, user(), said, user())

    assert ["dropped reasoning_opaque: pi-ai does not send it back"] == notes


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (GPT_5, {"reasoning_content": "Hm."}),
        (CLAUDE, {"reasoning_content": "Hm."}),
        (GEMINI, {"reasoning_content": "Hm.", "reasoning_opaque": "messages:SIG"}),
    ],
)
def test_unusable_reasoning_is_noted(model: Model, fields: Json) -> None:
    """Reasoning without a signature, or from another API, is not sent, and a note says so."""
    said = {"role": "assistant", "content": "A", **fields}

    body, notes = translated(model, user(), said, user())

    assert "Hm." not in str(body)
    assert [UNUSABLE_REASONING] == notes


def test_call_ids_fit_the_api() -> None:
    """Calls and results still match if their ids have to be changed."""
    history = (
        user(),
        {"role": "assistant", "content": None, "tool_calls": [call("a|b.c")]},
        {"role": "tool", "tool_call_id": "a|b.c", "content": "x"},
    )
    for one, id in ((CLAUDE, "a_b_c_6f44d786"), (GPT_5, "a_b.c")):
        _, called, result = translated(one, *history)[0]["context"]["messages"]
        assert id == called["content"][0]["id"] == result["toolCallId"]
        assert "look" == result["toolName"]


@pytest.mark.parametrize(
    ("content", "text", "is_error"),
    [
        ("", "(The result is empty.)", False),
        ([], "(The result is empty.)", False),
        ("The tool failed: no", "The tool failed: no", True),
        ("(The call was interrupted: there is no result.)", None, True),
    ],
)
def test_unusual_tool_results(content: Any, text: str | None, is_error: bool) -> None:
    """An empty result becomes text that says so, and a failed result is marked as failed."""
    called = {"role": "assistant", "content": None, "tool_calls": [call("c")]}
    result = {"role": "tool", "tool_call_id": "c", "content": content}

    *_, result_message = translated(GPT_4, user(), called, result)[0]["context"]["messages"]

    assert [{"type": "text", "text": text or content}] == result_message["content"]
    assert is_error is result_message["isError"]


def test_claudes_conversations_begin_and_end_with_the_user() -> None:
    """If a user message is missing, one is added, and a note says so."""
    body, notes = translated(CLAUDE, {"role": "assistant", "content": "A"})
    assert ["user", "assistant", "user"] == [m["role"] for m in body["context"]["messages"]]
    assert 2 == len(notes)

    body, _ = translated(CLAUDE, {"role": "system", "content": "S"})
    assert ["system", "user"] == [m["role"] for m in body["context"]["messages"]]


def test_unsupported_parts_of_messages_are_noted() -> None:
    """Notes name the unsupported parts: names and the detail of images."""
    picture = {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}}
    body, notes = translated(
        GPT_4,
        {**user(), "name": "me"},
        {"role": "assistant", "content": ""},
        user([picture]),
    )

    assert ["user", "user"] == [m["role"] for m in body["context"]["messages"]]
    assert [
        "dropped an empty assistant message",
        "dropped detail from images: pi-ai does not support it",
        "dropped name from messages: pi-ai does not support it",
    ] == notes


LATE: Json = {"role": "system", "content": "Late"}
OPUS = model("claude-opus-5", MESSAGES, vendor="Anthropic")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (GPT_4, ["system Be", "user Hi", "assistant", "system Late", "user Hi"]),
        (GPT_5, ["system Be", "user Hi", "assistant", "system Late", "user Hi"]),
        (OPUS, ["system Be", "user Hi", "assistant", "user Hi", "system Late"]),
        (CLAUDE, ["system Be\n\nLate", "user Hi", "assistant", "user Hi"]),
    ],
)
def test_later_system_messages(model: Model, expected: list[str]) -> None:
    """A later system message stays in the conversation, at a position that the model accepts."""
    answer = {"role": "assistant", "content": "Yes."}

    body, _ = translated(model, {**LATE, "content": "Be"}, user(), answer, LATE, user())

    messages = body["context"]["messages"]
    found = [(m["role"], m["content"]) for m in messages]
    assert expected == [f"{role} {text}" if isinstance(text, str) else role for role, text in found]
    assert body["pi"]["compat"]["supportsMidConvoSystemMessages"]
    assert ("mid-conversation-system" in str(body["headers"])) == (model is OPUS)


def test_a_later_system_message_between_two_answers() -> None:
    """Claude requires a user message before a system message."""
    answers = [{"role": "assistant", "content": text} for text in "ab"]

    body, notes = translated(OPUS, user(), answers[0], LATE, answers[1], user())

    roles = [message["role"] for message in body["context"]["messages"]]
    assert ["user", "assistant", "user", "system", "assistant", "user"] == roles
    assert "Claude requires one before a system message" in notes[0]


def test_an_image_must_be_base64() -> None:
    """An image that is not base64 is refused, since pi-ai cannot send it."""
    with pytest.raises(RequestError, match="base64") as caught:
        translated(GPT_4, user([image("data:image/svg+xml,<svg/>")]))

    assert "messages[0].content[0].image_url" == caught.value.param


def test_blank_messages_are_dropped_for_claude() -> None:
    """pi-ai would silently omit blank messages, and the assistant's message would then be last."""
    body, notes = translated(
        CLAUDE, user("Hi"), {"role": "assistant", "content": "Well"}, user(" "), user([])
    )

    assert ["user", "assistant", "user"] == [m["role"] for m in body["context"]["messages"]]
    assert "Please continue." == body["context"]["messages"][-1]["content"]
    assert 2 == notes.count("dropped an empty user message")


@pytest.mark.parametrize("model", [CLAUDE, GPT_4])
def test_a_request_without_content_is_refused(model: Model) -> None:
    """A request without content is refused."""
    with pytest.raises(RequestError, match="nothing to answer"):
        translated(model, {"role": "assistant", "content": ""})


def test_an_empty_list_of_parts() -> None:
    """An empty list becomes an empty text, since pi-ai would drop the message."""
    body, _ = translated(GPT_5, user([]))

    assert "" == body["context"]["messages"][0]["content"]


def test_a_model_that_always_thinks_is_not_forced_to_call_a_tool() -> None:
    """A model that always thinks would refuse a forced call, so the model may choose."""
    thinker = model("claude-opus-5.5", MESSAGES, vendor="Anthropic")
    body, notes = translated(thinker, tools=[TOOL], tool_choice="required")

    assert {"type": "auto"} == body["payload"]["tool_choice"]
    assert any("cannot be forced" in note for note in notes)
