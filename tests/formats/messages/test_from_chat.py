"""A chat completions request for a model that speaks Messages."""

import copy
from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import check_request
from copilot_proxy.formats.messages.request_to_model import messages_from_chat
from copilot_proxy.formats.messages.schema import Json
from tests.formats.messages.samples import (
    EPHEMERAL,
    IMAGE,
    PIXEL,
    SIGNATURE,
    THOUGHT,
    assistant,
    judge,
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
SAID_HI = user(text("Hi"))
PNG_PART = {"type": "image_url", "image_url": {"url": PNG}}
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
    messages: list[Json], model: Model | None = SONNET, *, judged: bool = True, **fields: Any
) -> tuple[Json, list[str]]:
    """The body and the notes; the chat was a valid one, and Copilot's rules hold for the body."""
    chat = {"model": "asked-for", "messages": messages, **fields}
    check_request(chat)
    before = copy.deepcopy(chat)
    notes: list[str] = []
    body = messages_from_chat(chat, model, notes).body
    assert before == chat
    if judged:
        judge(body)
    return body, notes


@pytest.mark.parametrize(
    ("fields", "expected", "notes"),
    [
        pytest.param({}, {}, [], id="nothing more"),
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
            id="a limit that only a stream reaches",
        ),
        pytest.param(
            {"max_tokens": 50000, "stream": True},
            {"max_tokens": 32000, "stream": True},
            ["changed max_tokens: 50000 to 32000, the model's limit"],
            id="a limit beyond the model's",
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
                "store": True,
                "logprobs": True,
                "frequency_penalty": 0.1,
                "presence_penalty": 0,
                "stream_options": {"include_usage": True},
                "logit_bias": None,
            },
            {},
            [
                "dropped seed: Claude has nothing like it",
                "dropped store: Copilot stores nothing",
                "dropped logprobs: Claude has nothing like it",
                "dropped frequency_penalty: Claude has nothing like it",
            ],
            id="fields without a counterpart",
        ),
    ],
)
def test_fields(fields: Json, expected: Json, notes: list[str]) -> None:
    """Each field is carried over under Claude's name, or dropped with a word."""
    assert ({**HEAD, "messages": [SAID_HI], **expected}, notes) == translated([HI], **fields)


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
            {"tool_choice": {"type": "allowed_tools", "tools": []}, "parallel_tool_calls": True},
            {"tools": [TOOL]},
            ["dropped tool_choice: Claude has nothing like it"],
        ),
        ({"tools": None, "tool_choice": "auto", "parallel_tool_calls": False}, {}, []),
    ],
)
def test_tools(fields: Json, expected: Json, notes: list[str]) -> None:
    """Tools and the choice among them keep their meaning."""
    body, said = translated([HI], **{"tools": [FUNCTION], **fields})

    found = {name: body[name] for name in ("tools", "tool_choice") if name in body}
    for one in found.get("tools", []):
        one.pop("cache_control", None)
    assert (expected, notes) == (found, said)


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
            ["dropped thinking: max_tokens of 1000 leaves no room for thinking"],
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
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            ["changed thinking: the model requires adaptive, not a budget"],
        ),
        (
            ADAPTIVE,
            {"reasoning_effort": "high"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            [],
        ),
        (
            ADAPTIVE,
            {"reasoning_effort": "minimal", "temperature": 0.1},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            [
                "changed output_config.effort: minimal to low",
                "dropped temperature: Claude does not accept it with thinking",
            ],
        ),
        (
            ADAPTIVE,
            {"reasoning_effort": "high", "tools": [FUNCTION], "tool_choice": "required"},
            {"output_config": {"effort": "high"}},
            ["dropped thinking: Claude does not think when tool_choice forces a tool"],
        ),
    ],
)
def test_effort(model: Model, fields: Json, expected: Json, notes: list[str]) -> None:
    """Claude thinks as hard as the client asks, in the way that the model has, and else not."""
    body, said = translated([HI], model, **fields)

    names = ("thinking", "output_config", "temperature")
    assert (expected, notes) == ({name: body[name] for name in names if name in body}, said)


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
WANTED = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def test_a_schema_goes_to_models_with_structured_output() -> None:
    """The answer's schema is handed over with its objects closed, beside the effort."""
    body, notes = translated([HI], ADAPTIVE, response_format=WANTED, reasoning_effort="low")

    assert {"effort": "low", "format": {"type": "json_schema", "schema": CLOSED}} == body[
        "output_config"
    ]
    assert [] == notes


@pytest.mark.parametrize(
    ("wanted", "begins", "notes"),
    [
        (
            WANTED,
            "Answer with JSON and nothing else",
            ["changed output_config.format: an instruction, the model has no structured output"],
        ),
        (
            {"type": "json_schema"},
            "Answer with JSON and nothing else",
            ["changed output_config.format: an instruction, the model has no structured output"],
        ),
        (
            {"type": "json_object"},
            "Answer with one JSON object and nothing else",
            ["changed response_format: an instruction, Claude has no json_object"],
        ),
    ],
)
def test_other_models_are_told_in_words(wanted: Json, begins: str, notes: list[str]) -> None:
    """Where there is no structured output, an instruction asks for it after the client's own."""
    system = {"role": "system", "content": "Be brief."}

    body, said = translated([system, HI], response_format=wanted)

    assert text("Be brief.") == body["system"][0]
    assert body["system"][1]["text"].startswith(begins)
    assert notes == said


def test_plain_text_is_what_claude_does_anyway() -> None:
    """The format that asks for nothing changes nothing."""
    assert translated([HI]) == translated([HI], response_format={"type": "text"})


NAMED = "dropped name of messages: Claude has nothing like it"


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
                        {"type": "image_url", "image_url": f"data:image/JPG;x=y;base64,{PIXEL}"}
                    ],
                }
            ],
            [
                user(
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/jpeg", "data": PIXEL},
                    }
                )
            ],
            [],
            id="an image of another spelling",
        ),
        pytest.param(
            [HI, {"role": "user", "content": "there", "name": "mona"}],
            [user(text("Hi"), text("there"))],
            [NAMED],
            id="neighbours of the same role",
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
                SAID_HI,
                assistant(use("a"), use("b")),
                user(result("a", "1"), result("b", [text("2"), IMAGE]), text("And?")),
            ],
            [],
            id="results of one turn",
        ),
        pytest.param(
            [HI, calling(call("a")), {"role": "user", "content": "Hm"}, tool("a", "1")],
            [SAID_HI, assistant(use("a")), user(result("a", "1"), text("Hm"))],
            [],
            id="a result that came late",
        ),
        pytest.param(
            [HI, calling(call(arguments="")), tool(content="")],
            [
                SAID_HI,
                assistant(use("call_1")),
                user({"type": "tool_result", "tool_use_id": "call_1"}),
            ],
            [],
            id="nothing in and nothing out",
        ),
        pytest.param(
            [HI, calling(call(arguments='{"a": [1, {"b": "é"}]}')), tool(content=[])],
            [
                SAID_HI,
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
                SAID_HI,
                assistant(
                    use("a", input={"INVALID_JSON": "{x"}),
                    use("b", input={"INVALID_JSON": "[1]"}),
                    use("c"),
                ),
                user(result("a"), result("b"), result("c")),
            ],
            ["changed the arguments of an earlier tool call: they are not an object"],
            id="arguments that are no object",
        ),
        pytest.param(
            [HI, calling(call("functions.f:0"), call("")), tool("functions.f:0"), tool("")],
            [
                SAID_HI,
                assistant(use("functions_f_0_d6bdd4de"), use("_e3b0c442")),
                user(result("functions_f_0_d6bdd4de"), result("_e3b0c442")),
            ],
            ["changed ids of tool calls: the model does not accept them"],
            id="ids of other vendors",
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
            [SAID_HI, assistant(text("Well"), text("No"), text("Never")), SAID_HI],
            [],
            id="what the assistant said",
        ),
        pytest.param(
            [HI, {"role": "assistant", "content": "Hel"}],
            [SAID_HI, assistant(text("Hel")), NUDGE],
            [NUDGED],
            id="the beginning of an answer",
        ),
        pytest.param(
            [{"role": "assistant", "content": "Hello!"}, HI],
            [user(text("Please begin.")), assistant(text("Hello!")), SAID_HI],
            ["added a user message (Please begin.): Claude requires one at the start"],
            id="a greeting",
        ),
        pytest.param(
            [{"role": "system", "content": "Be brief."}], [NUDGE], [NUDGED], id="only instructions"
        ),
    ],
)
def test_messages(messages: list[Json], expected: list[Json], notes: list[str]) -> None:
    """The conversation keeps its words, calls and order in Claude's form."""
    body, said = translated(messages)

    for turn in body["messages"]:
        for block in turn["content"]:
            block.pop("cache_control", None)
    assert (expected, notes) == (body["messages"], said)


def test_a_chat_of_nothing_is_refused() -> None:
    """When nothing is left to answer, the client is told, and Copilot is not asked."""
    with pytest.raises(RequestError, match="nothing to answer"):
        translated([{"role": "user", "content": " "}])


def test_instructions_are_the_system_prompt() -> None:
    """System and developer messages, wherever they stand, become blocks of the system prompt."""
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
    assert [SAID_HI] == body["messages"]
    assert ["moved a later system message to the front: Claude has it there"] == notes


@pytest.mark.parametrize(
    ("reasoning", "opaque", "expected"),
    [
        ("Hm.", f"messages:{SIGNATURE}", [THOUGHT]),
        ("Hm.", SIGNATURE, []),
        ("Hm.", "responses:gAAA", []),
        ("Hm.", None, []),
        ("", f"messages:{SIGNATURE}", []),
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
def test_claudes_sealed_thinking_comes_back_first(
    reasoning: str | None, opaque: str | None, expected: list[Json]
) -> None:
    """Thinking that Claude has signed leads the turn it belongs to; all other stays away."""
    sealed = {"reasoning_content": reasoning, "reasoning_opaque": opaque}

    body, _ = translated([HI, calling(call(), **sealed), tool()])

    assert expected == body["messages"][1]["content"][:-1]


@pytest.mark.parametrize("url", ["data:,hello", "data:image/png,abc", "data:;base64,abc"])
def test_images_that_are_no_base64_are_refused(url: str) -> None:
    """An image in another encoding is refused by name."""
    content = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": url}}]

    with pytest.raises(RequestError) as caught:
        translated([HI, {"role": "user", "content": content}])

    assert "messages[1].content[1].image_url" == caught.value.param


def marks(body: Json) -> list[str]:
    """The names or texts of what is marked."""
    blocks = [*body.get("tools", []), *body.get("system", [])]
    blocks += [block for turn in body["messages"] for block in turn["content"]]
    return [
        b.get("name") or b.get("text") or b["tool_use_id"] for b in blocks if "cache_control" in b
    ]


BRIEF = {"role": "system", "content": "brief"}
ROUND = [HI, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "more"}]


@pytest.mark.parametrize(
    ("messages", "fields", "expected"),
    [
        ([HI], {}, []),
        ([BRIEF, HI], {}, ["brief"]),
        ([BRIEF, HI], {"tools": [FUNCTION]}, ["f", "brief", "Hi"]),
        ([BRIEF, *ROUND], {"tools": [FUNCTION]}, ["f", "brief", "Hi", "more"]),
        ([*ROUND, *ROUND[1:]], {}, ["more", "more"]),
        ([HI, calling(call()), tool()], {"tools": [FUNCTION]}, ["f", "Hi", "call_1"]),
    ],
)
def test_what_stays_the_same_is_marked_for_the_cache(
    messages: list[Json], fields: Json, expected: list[str]
) -> None:
    """Tools, system prompt and the last two user turns are marked, a lone question is not."""
    assert expected == marks(translated(messages, **fields)[0])


@pytest.mark.parametrize(
    ("messages", "fields", "expected"),
    [
        ([{**HI, **EPHEMERAL}, *ROUND[1:]], {}, ["Hi"]),
        ([BRIEF, *ROUND], {"tools": [{**FUNCTION, **EPHEMERAL}]}, ["f"]),
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
def test_a_clients_own_marks_are_enough(
    messages: list[Json], fields: Json, expected: list[str]
) -> None:
    """Clients that mark chat messages in Claude's way know best."""
    assert expected == marks(translated(messages, **fields)[0])


@pytest.mark.parametrize(
    ("model", "expected"), [(None, ("asked-for", 8192)), (a_model("m"), ("m", 8192))]
)
def test_without_limits_there_is_one_still(model: Model | None, expected: tuple[str, int]) -> None:
    """Claude demands a limit, also where the catalogue knows none."""
    body, _ = translated([HI], model, judged=False)

    assert expected == (body["model"], body["max_tokens"])


def test_the_whole_of_a_short_model() -> None:
    """A model with no limit of its own for whole answers gives as much as it has."""
    assert 16000 == translated([HI], simulated("claude-sonnet-4"))[0]["max_tokens"]


def test_an_unknown_model_is_given_a_budget() -> None:
    """Without the catalogue an effort becomes the budget that most Claudes take."""
    body, _ = translated([HI], None, judged=False, reasoning_effort="odd")

    assert {"type": "enabled", "budget_tokens": 4096} == body["thinking"]
