"""A Chat Completions request for a model that Copilot serves on Messages."""

import copy
from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import check_request
from copilot_proxy.formats.messages.request_to_model import messages_from_chat
from copilot_proxy.formats.types import Json, MessagesRequest
from tests.formats.messages.samples import (
    EPHEMERAL,
    IMAGE,
    SIGNATURE,
    THOUGHT,
    assistant,
    check_with_simulator,
    result,
    simulated,
    text,
    use,
    user,
)
from tests.formats.requests import PNG, a_model

SONNET = simulated("claude-sonnet-4.5")
ADAPTIVE = simulated("claude-sonnet-4.6")
OPUS = simulated("claude-opus-4.7")
HEAD: Json = {"model": "claude-sonnet-4.5", "max_tokens": 16000, "stream": False}
HI: Json = {"role": "user", "content": "Hi"}
HI_MESSAGE = user(text("Hi"))
PNG_PART = {"type": "image_url", "image_url": {"url": PNG}}
JPEG = "/9j/4AAQSkZJRg=="
FUNCTION: Json = {"type": "function", "function": {"name": "f"}}
TOOL: Json = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
NUDGE = user(text("Please continue."))
NUDGED = "added a user message (Please continue.): Copilot does not continue assistant messages"


def call(id: str = "call_1", arguments: str | None = "{}") -> Json:
    return {"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def calling(*calls: Json, **more: Any) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def tool(id: str = "call_1", content: Any = "done") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


def translated(
    messages: list[Json], model: Model | None = SONNET, *, checked: bool = True, **fields: Any
) -> tuple[MessagesRequest, list[str]]:
    """Return the body and the notes.

    The chat request is valid and not modified, and the body follows Copilot's rules.
    """
    chat = {"model": "requested", "messages": messages, **fields}
    check_request(chat)
    before = copy.deepcopy(chat)
    notes: list[str] = []
    body = messages_from_chat(chat, model, notes).body
    assert before == chat
    if checked:
        check_with_simulator(body)
    return body, notes


@pytest.mark.parametrize(
    ("fields", "expected", "notes"),
    [
        pytest.param({}, {}, [], id="no other fields"),
        pytest.param({"stream": True}, {"stream": True, "max_tokens": 32000}, [], id="a stream"),
        pytest.param({"max_tokens": 7}, {"max_tokens": 7}, [], id="max_tokens"),
        pytest.param(
            {"max_tokens": 7, "max_completion_tokens": 9},
            {"max_tokens": 9},
            [],
            id="max_completion_tokens",
        ),
        pytest.param(
            {"max_tokens": 20000},
            {"max_tokens": 20000, "stream": True},
            [],
            id="a limit that requires a stream",
        ),
        pytest.param(
            {"max_tokens": 50000, "stream": True},
            {"max_tokens": 32000, "stream": True},
            ["changed max_tokens from 50000 to 32000: the model's limit"],
            id="a limit above the model's",
        ),
        pytest.param(
            {"temperature": 0.3, "top_k": 4, "user": "u", "n": 1},
            {"temperature": 0.3, "top_k": 4, "metadata": {"user_id": "u"}},
            [],
            id="fields with another name",
        ),
        pytest.param({"stop": "END"}, {"stop_sequences": ["END"]}, [], id="one stop"),
        pytest.param(
            {"stop": ["END", "\n\n"]},
            {"stop_sequences": ["END"]},
            ["dropped a blank stop sequence: Claude does not accept it"],
            id="a blank stop",
        ),
        pytest.param(
            {"stop": " "},
            {},
            ["dropped a blank stop sequence: Claude does not accept it"],
            id="only a blank stop",
        ),
        pytest.param(
            {
                "seed": 3,
                "logprobs": True,
                "frequency_penalty": 0.1,
                "stream_options": {"include_usage": True},
                "logit_bias": None,
            },
            {},
            [
                "dropped seed: Claude has no equivalent",
                "dropped logprobs: Claude has no equivalent",
                "dropped frequency_penalty: Claude has no equivalent",
            ],
            id="fields without an equivalent",
        ),
    ],
)
def test_fields(fields: Json, expected: Json, notes: list[str]) -> None:
    """Each field is translated to Claude's equivalent, or dropped with a note."""
    assert ({**HEAD, "messages": [HI_MESSAGE], **expected}, notes) == translated([HI], **fields)


@pytest.mark.parametrize(
    ("fields", "expected", "notes"),
    [
        ({"tools": []}, {}, []),
        ({"tools": [FUNCTION]}, {"tools": [TOOL]}, []),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "f",
                            "description": "Does it.",
                            "strict": True,
                            "parameters": {"properties": {"x": {"type": "string"}}},
                        },
                    }
                ]
            },
            {
                "tools": [
                    {
                        "name": "f",
                        "description": "Does it.",
                        "input_schema": {"type": "object", "properties": {"x": {"type": "string"}}},
                    }
                ]
            },
            [],
        ),
        ({"tool_choice": "auto"}, {"tools": [TOOL], "tool_choice": {"type": "auto"}}, []),
        ({"tool_choice": "none"}, {"tools": [TOOL], "tool_choice": {"type": "none"}}, []),
        ({"tool_choice": "required"}, {"tools": [TOOL], "tool_choice": {"type": "any"}}, []),
        (
            {"tool_choice": FUNCTION, "parallel_tool_calls": False},
            {
                "tools": [TOOL],
                "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            },
            [],
        ),
        (
            {"parallel_tool_calls": False},
            {
                "tools": [TOOL],
                "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            },
            [],
        ),
        (
            {"tool_choice": "none", "parallel_tool_calls": False},
            {"tools": [TOOL], "tool_choice": {"type": "none"}},
            [],
        ),
        (
            {"tool_choice": "validated"},
            {"tools": [TOOL], "tool_choice": {"type": "auto"}},
            ["changed tool_choice from validated to auto: the model does not support validated"],
        ),
        ({"tools": None, "tool_choice": "auto", "parallel_tool_calls": False}, {}, []),
    ],
)
def test_tools(fields: Json, expected: Json, notes: list[str]) -> None:
    """Tools and the tool choice keep their meaning."""
    body, noted = translated([HI], **{"tools": [FUNCTION], **fields})

    actual = {name: body[name] for name in ("tools", "tool_choice") if name in body}
    for tool in actual.get("tools", []):
        tool.pop("cache_control", None)
    assert (expected, notes) == (actual, noted)


SHOWN = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "fields", "expected", "notes"),
    [
        (SONNET, {}, {}, []),
        (ADAPTIVE, {}, {}, []),
        (SONNET, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, []),
        (
            SONNET,
            {"reasoning_effort": "low"},
            {"thinking": {"type": "enabled", "budget_tokens": 4096}},
            [],
        ),
        (
            SONNET,
            {"reasoning_effort": "xhigh"},
            {"thinking": {"type": "enabled", "budget_tokens": 8000}},
            [],
        ),
        (
            SONNET,
            {"reasoning_effort": "high", "max_tokens": 1500},
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            [],
        ),
        (
            SONNET,
            {"reasoning_effort": "high", "max_tokens": 1000},
            {},
            ["dropped reasoning_effort: max_tokens of 1000 leaves no room for thinking"],
        ),
        (
            SONNET,
            {"thinking_budget": 3000},
            {"thinking": {"type": "enabled", "budget_tokens": 3000}},
            [],
        ),
        (
            OPUS,
            {"thinking": {"type": "enabled", "budget_tokens": 3000}},
            {"thinking": SHOWN, "output_config": {"effort": "low"}},
            [
                "changed thinking to adaptive thinking with effort low: the model does not accept "
                "a budget"
            ],
        ),
        (
            ADAPTIVE,
            {"reasoning_effort": "high"},
            {"thinking": SHOWN, "output_config": {"effort": "high"}},
            [],
        ),
        (
            ADAPTIVE,
            {"reasoning_effort": "minimal", "temperature": 0.1},
            {"thinking": SHOWN, "output_config": {"effort": "low"}},
            [
                "changed reasoning_effort from minimal to low: the nearest value that the model "
                "supports",
                "dropped temperature: Claude does not accept it with thinking",
            ],
        ),
        (
            ADAPTIVE,
            {"reasoning_effort": "high", "tools": [FUNCTION], "tool_choice": "required"},
            {"output_config": {"effort": "high"}},
            ["dropped reasoning_effort: Claude does not think when tool_choice forces a tool"],
        ),
    ],
)
def test_effort(model: Model, fields: Json, expected: Json, notes: list[str]) -> None:
    """Claude thinks with the requested effort, in the form that the model supports."""
    body, noted = translated([HI], model, **fields)

    names = ("thinking", "output_config", "temperature")
    assert (expected, notes) == ({name: body[name] for name in names if name in body}, noted)


SCHEMA: Json = {
    "type": "object",
    "properties": {
        "default": {"type": "object", "properties": {}, "additionalProperties": True},
        "x": {"anyOf": [{"type": "object", "properties": {}}, True]},
    },
    "required": ["x"],
    "not": {"type": "object"},
    "$defs": {"e": {"enum": [{"type": "object", "properties": {}}]}},
}
CLOSED: Json = {
    "type": "object",
    "properties": {
        "default": {"type": "object", "properties": {}, "additionalProperties": False},
        "x": {"anyOf": [{"type": "object", "properties": {}, "additionalProperties": False}, True]},
    },
    "required": ["x"],
    "not": {"type": "object"},
    "$defs": {"e": {"enum": [{"type": "object", "properties": {}}]}},
    "additionalProperties": False,
}
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def test_a_schema_is_sent_to_models_with_structured_output() -> None:
    """The schema is sent with all objects closed, together with the effort."""
    body, notes = translated(
        [HI], ADAPTIVE, response_format=RESPONSE_FORMAT, reasoning_effort="low"
    )

    assert {"effort": "low", "format": {"type": "json_schema", "schema": CLOSED}} == body[
        "output_config"
    ]
    assert [] == notes


@pytest.mark.parametrize(
    ("response_format", "start", "notes"),
    [
        (
            RESPONSE_FORMAT,
            "Answer with JSON and nothing else",
            [
                "changed response_format to an instruction: the model does not support "
                "structured output"
            ],
        ),
        (
            {"type": "json_schema"},
            "Answer with JSON and nothing else",
            [
                "changed response_format to an instruction: the model does not support "
                "structured output"
            ],
        ),
        (
            {"type": "json_object"},
            "Answer with one JSON object and nothing else",
            ["changed json_object to an instruction: Claude does not support it"],
        ),
    ],
)
def test_other_models_get_an_instruction(
    response_format: Json, start: str, notes: list[str]
) -> None:
    """Without structured output, an instruction is added after the client's system prompt."""
    system = {"role": "system", "content": "Be brief."}

    body, noted = translated([system, HI], response_format=response_format)

    assert text("Be brief.") == body["system"][0]
    assert body["system"][1]["text"].startswith(start)
    assert notes == noted


def test_the_text_format_changes_nothing() -> None:
    """A plain-text response format, the default, changes nothing."""
    assert translated([HI]) == translated([HI], response_format={"type": "text"})


NAMED = "dropped name from messages: Claude has no equivalent"


@pytest.mark.parametrize(
    ("messages", "expected", "notes"),
    [
        pytest.param(
            [{"role": "user", "content": [{"type": "text", "text": "See"}, PNG_PART]}],
            [user(text("See"), IMAGE)],
            [],
            id="an image",
        ),
        pytest.param(
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": f"data:image/JPG;x=y;base64,{JPEG}"}
                    ],
                }
            ],
            [
                user(
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/jpeg", "data": JPEG},
                    }
                )
            ],
            [],
            id="an image with a different spelling of its type",
        ),
        pytest.param(
            [HI, {"role": "user", "content": "there", "name": "mona"}],
            [user(text("Hi"), text("there"))],
            [NAMED],
            id="consecutive messages with the same role",
        ),
        pytest.param(
            [
                HI,
                calling(call("a"), call("b")),
                tool("a", "1"),
                tool("b", [{"type": "text", "text": "2"}, PNG_PART]),
                {"role": "user", "content": "And?"},
            ],
            [
                HI_MESSAGE,
                assistant(use("a"), use("b")),
                user(result("a", "1"), result("b", [text("2"), IMAGE]), text("And?")),
            ],
            [],
            id="tool results before the user's words",
        ),
        pytest.param(
            [HI, calling(call("a")), {"role": "user", "content": "Hm"}, tool("a", "1")],
            [HI_MESSAGE, assistant(use("a")), user(result("a", "1"), text("Hm"))],
            [],
            id="a tool result after the user's words",
        ),
        pytest.param(
            [HI, calling(call(arguments="")), tool(content="")],
            [
                HI_MESSAGE,
                assistant(use("call_1")),
                user({"type": "tool_result", "tool_use_id": "call_1"}),
            ],
            [],
            id="empty arguments and result",
        ),
        pytest.param(
            [HI, calling(call(arguments='{"a": [1, {"b": "é"}]}')), tool(content=[])],
            [
                HI_MESSAGE,
                assistant(use("call_1", input={"a": [1, {"b": "é"}]})),
                user({"type": "tool_result", "tool_use_id": "call_1"}),
            ],
            [],
            id="arguments",
        ),
        pytest.param(
            [
                HI,
                calling(call("a", "{x"), call("b", "[1]"), call("c", "null")),
                tool("a"),
                tool("b"),
                tool("c"),
            ],
            [
                HI_MESSAGE,
                assistant(
                    use("a", input={"INVALID_JSON": "{x"}),
                    use("b", input={"INVALID_JSON": "[1]"}),
                    use("c"),
                ),
                user(result("a"), result("b"), result("c")),
            ],
            ["changed the arguments of an earlier tool call: they are not an object"],
            id="arguments that are not an object",
        ),
        pytest.param(
            [HI, calling(call("functions.f:0"), call("")), tool("functions.f:0"), tool("")],
            [
                HI_MESSAGE,
                assistant(use("functions_f_0_d6bdd4de"), use("_e3b0c442")),
                user(result("functions_f_0_d6bdd4de"), result("_e3b0c442")),
            ],
            ["changed ids of tool calls to a form that the model accepts"],
            id="ids that Claude rejects",
        ),
        pytest.param(
            [
                HI,
                {"role": "assistant", "content": [{"type": "text", "text": "Well"}]},
                {"role": "assistant", "content": " ", "tool_calls": None},
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]},
                {"role": "assistant", "content": None, "refusal": "Never"},
                HI,
            ],
            [HI_MESSAGE, assistant(text("Well"), text("No"), text("Never")), HI_MESSAGE],
            [],
            id="texts and refusals of the assistant",
        ),
        pytest.param(
            [HI, {"role": "assistant", "content": "Hel"}],
            [HI_MESSAGE, assistant(text("Hel")), NUDGE],
            [NUDGED],
            id="an unfinished answer at the end",
        ),
        pytest.param(
            [{"role": "assistant", "content": "Hello!"}, HI],
            [user(text("Please begin.")), assistant(text("Hello!")), HI_MESSAGE],
            ["added a user message (Please begin.): Claude requires one at the start"],
            id="an assistant message at the start",
        ),
        pytest.param(
            [{"role": "system", "content": "Be brief."}],
            [NUDGE],
            ["added a user message (Please continue.): the model requires one"],
            id="only instructions",
        ),
    ],
)
def test_messages(messages: list[Json], expected: list[Json], notes: list[str]) -> None:
    """The conversation keeps its texts, calls and order in Claude's format."""
    body, noted = translated(messages)

    for message in body["messages"]:
        for block in message["content"]:
            block.pop("cache_control", None)
    assert (expected, notes) == (body["messages"], noted)


def test_an_empty_chat_is_rejected() -> None:
    """If there is nothing to answer, the client receives an error, and Copilot is not called."""
    with pytest.raises(RequestError, match="nothing to answer"):
        translated([{"role": "user", "content": " "}])


def test_system_messages_become_the_system_prompt() -> None:
    """All system and developer messages become blocks of the system prompt."""
    body, notes = translated(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            HI,
            {"role": "system", "content": "Be quick."},
        ]
    )

    last = text("Be quick.", **EPHEMERAL)
    assert [text("Be brief."), text("Be kind."), last] == body["system"]
    assert [HI_MESSAGE] == body["messages"]
    assert [
        "moved a later system message to the front: the model does not accept it elsewhere"
    ] == notes


@pytest.mark.parametrize(
    ("reasoning", "opaque", "expected"),
    [
        ("Hm.", f"messages:{SIGNATURE}", [THOUGHT]),
        ("Hm.", SIGNATURE, []),
        ("Hm.", "responses:gAAA", []),
        ("Hm.", None, []),
        ("", f"messages:{SIGNATURE}", [{**THOUGHT, "thinking": ""}]),
        (
            "Hm.\n\nSo.",
            f"messages:aa 5:{SIGNATURE} 5:bb",
            [
                {**THOUGHT, "signature": "aa"},
                {**THOUGHT, "thinking": ""},
                {**THOUGHT, "thinking": "So.", "signature": "bb"},
            ],
        ),
        (
            "Hm.",
            f"messages:aa 5:{SIGNATURE}",
            [{**THOUGHT, "signature": "aa"}, {**THOUGHT, "thinking": ""}],
        ),
        (None, "messages:!EmwK", [{"type": "redacted_thinking", "data": "EmwK"}]),
        (
            "Hm.\n\nSo.\n\n",
            "messages:aa 5:bb 10:!cc",
            [
                {**THOUGHT, "signature": "aa"},
                {**THOUGHT, "thinking": "So.", "signature": "bb"},
                {"type": "redacted_thinking", "data": "cc"},
            ],
        ),
        ("Hm.", "messages:aa 9:bb", []),
        ("Hm. So.", "messages:5:aa 2:bb", []),
        ("Hm.", "messages:a.a", []),
    ],
)
def test_claudes_signed_thinking_comes_first(
    reasoning: str | None, opaque: str | None, expected: list[Json]
) -> None:
    """Claude's signed thinking comes first in its message; other thinking is dropped."""
    fields = {"reasoning_content": reasoning, "reasoning_opaque": opaque}

    body, _ = translated([HI, calling(call(), **fields), tool()])

    assert expected == body["messages"][1]["content"][:-1]


@pytest.mark.parametrize("url", ["data:,hello", "data:image/png,abc", "data:;base64,abc"])
def test_images_that_are_not_base64_are_rejected(url: str) -> None:
    """An image in another encoding is rejected with an error that names its field."""
    content = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": url}}]

    with pytest.raises(RequestError) as caught:
        translated([HI, {"role": "user", "content": content}])

    assert "messages[1].content[1].image_url" == caught.value.param


def marks(body: MessagesRequest) -> list[str]:
    """Return the names or texts of the marked tools and blocks."""
    blocks = [*body.get("tools", []), *body.get("system", [])]
    blocks += [block for message in body["messages"] for block in message["content"]]
    return [
        b.get("name") or b.get("text") or b["tool_use_id"] for b in blocks if "cache_control" in b
    ]


SYSTEM = {"role": "system", "content": "brief"}
CHAT = [HI, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "more"}]


@pytest.mark.parametrize(
    ("messages", "fields", "expected"),
    [
        ([HI], {}, []),
        ([SYSTEM, HI], {}, ["brief"]),
        ([SYSTEM, HI], {"tools": [FUNCTION]}, ["f", "brief", "Hi"]),
        ([SYSTEM, *CHAT], {"tools": [FUNCTION]}, ["f", "brief", "Hi", "more"]),
        ([*CHAT, *CHAT[1:]], {}, ["more", "more"]),
        ([HI, calling(call()), tool()], {"tools": [FUNCTION]}, ["f", "Hi", "call_1"]),
    ],
)
def test_the_stable_part_is_marked_for_the_cache(
    messages: list[Json], fields: Json, expected: list[str]
) -> None:
    """The tools, system prompt and last two user messages are marked; a single question is not."""
    assert expected == marks(translated(messages, **fields)[0])


@pytest.mark.parametrize(
    ("messages", "fields", "expected"),
    [
        ([{**HI, **EPHEMERAL}, *CHAT[1:]], {}, ["Hi"]),
        ([SYSTEM, *CHAT], {"tools": [{**FUNCTION, **EPHEMERAL}]}, ["f"]),
        (
            [
                {"role": "user", "content": [{"type": "text", "text": "a", **EPHEMERAL}]},
                calling(call()),
                {**tool(), **EPHEMERAL},
            ],
            {},
            ["a", "call_1"],
        ),
    ],
)
def test_no_marks_are_added_to_the_clients_own(
    messages: list[Json], fields: Json, expected: list[str]
) -> None:
    """If the client sets cache marks in the chat request, no others are added."""
    assert expected == marks(translated(messages, **fields)[0])


@pytest.mark.parametrize(
    ("model", "expected"), [(None, ("requested", 8192)), (a_model("m"), ("m", 8192))]
)
def test_there_is_always_a_limit(model: Model | None, expected: tuple[str, int]) -> None:
    """Claude requires max_tokens, so it is set even if the catalogue has no limit."""
    body, _ = translated([HI], model, checked=False)

    assert expected == (body["model"], body["max_tokens"])


def test_a_model_without_a_limit_for_whole_responses() -> None:
    """Without a separate limit for responses that are not streamed, the full limit applies."""
    assert 16000 == translated([HI], simulated("claude-sonnet-4"))[0]["max_tokens"]


def test_an_unknown_model_gets_a_budget() -> None:
    """For a model that is not in the catalogue, an effort becomes a thinking budget."""
    body, _ = translated([HI], None, checked=False, reasoning_effort="odd")

    assert {"type": "enabled", "budget_tokens": 4096} == body["thinking"]
