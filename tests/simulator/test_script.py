"""The simulated model's replies: sensible to users, and predictable in tests."""

import json

import jsonschema
import pytest

from copilot_proxy.simulator.conversation import Conversation, Tool
from copilot_proxy.simulator.prompt import Prompt
from copilot_proxy.simulator.schema_rules import is_schema
from copilot_proxy.simulator.schema_values import fill
from copilot_proxy.simulator.script import last_words, make_reply, pieces

TEXT = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}


def talk(user, *names, schema=None, **more):
    tools = [Tool(name, schema or TEXT) for name in names]
    return make_reply(Conversation("gpt-4o", user=user, tools=tools, **more))


def called(user, *names, **more):
    return [call.name for call in talk(user, *names, **more).calls]


def test_the_answer_says_that_it_is_simulated(copilot):
    """The answer says that it is simulated, and repeats the prompt."""
    text = copilot.said("How are you?")
    assert "This is copilot-proxy's simulator, playing gpt-4o" in text
    assert text.endswith("You said: How are you?")


def test_the_answer_has_the_number_of_images(copilot, picture):
    """The number of images is in the answer."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": [picture]}]}
    answer = copilot.post("/chat/completions", body, copilot_vision_request="true")
    assert "I see 1 image." in answer.json()["choices"][0]["message"]["content"]
    assert "I see 3 images." in talk("Look", images=3).text


def test_the_same_question_gets_the_same_answer(copilot):
    """The answers to identical requests differ only in ids and times."""
    assert copilot.said("Tell me") == copilot.said("Tell me")


def test_text_of_coding_agents_is_ignored():
    """Text that coding agents add before the user's own is ignored."""
    parts = [{"text": "Use all tools."}, {"image": 1}, {"text": "Hi"}, {"text": None}]
    assert ["Hi", "Hi", "", ""] == [last_words(said) for said in (parts, "Hi", [], None)]


def test_long_prompts_are_truncated():
    """A long prompt is truncated in the answer."""
    assert len(talk("x" * 10_000).text) < 2200


@pytest.mark.parametrize(
    ("user", "count", "last"),
    [
        ("Count to 40", 40, "40"),
        ("please count slowly from one to 12.", 12, "12"),
        ("Write 100 words about bees", 100, None),
        ("an essay of 30 words", 30, None),
    ],
)
def test_long_answers_on_request(user, count, last):
    """A prompt can request a long answer by asking to count, or for a number of words."""
    words = talk(user).text.split()
    assert (count, last or words[-1]) == (len(words), words[-1])


def test_pieces_add_up_to_the_text():
    """The streamed pieces add up to the text."""
    text = "A few  words,\nsome äöü 日本語のテキスト and a verylongwordindeed \n"
    assert text == "".join(pieces(text))
    assert max(len(piece.strip()) for piece in pieces(text)) <= 7


@pytest.mark.parametrize(
    ("user", "names", "expected"),
    [
        ("What is the weather in Rome?", ["get_weather"], ["get_weather"]),
        ("Please call get_weather now", ["get_time", "get_weather"], ["get_weather"]),
        ("use the tool", ["alpha", "beta"], ["alpha"]),
        ("Call it", ["alpha"], ["alpha"]),
        ("use both tools", ["alpha", "beta"], ["alpha", "beta"]),
        (
            "run get_time and get_date, both tools",
            ["get_time", "get_date", "x"],
            ["get_time", "get_date"],
        ),
        ("use the read tool", ["read", "write"], ["read"]),
        ("run bash", ["Bash"], ["Bash"]),
        ("getWeather for me", ["getWeather"], ["getWeather"]),
        ("Read this and be false", ["read", "ls"], []),
        ("Hello", ["get_weather"], []),
    ],
)
def test_tools_are_called_if_the_prompt_asks_for_it(user, names, expected):
    """The tool's name, its subject or "use the tool" leads to a call; a greeting does not."""
    assert expected == called(user, *names)


def test_parallel_calls():
    """Two cities lead to two calls, or to one call if parallel calls are disabled."""
    found = [
        call.arguments for call in talk("weather in Paris, New York and London", "weather").calls
    ]
    assert ['{"q":"Paris"}', '{"q":"New York"}', '{"q":"London"}'] == found
    assert ["weather"] == called("weather in Paris and London", "weather", parallel=False)
    whole = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert ["weather"] == called("weather in Paris and London", "weather", schema=whole)


def test_forced_tools_are_called_and_forbidden_ones_are_not():
    """A tool choice of `required`, a name or `none` is respected."""
    assert ["alpha"] == called("Hello", "alpha", "beta", forced="required")
    assert ["beta"] == called("Hello", "alpha", "beta", forced="beta")
    assert [] == called("use the tool", "alpha", forced="none")
    assert ["beta"] == called("beta tool", "alpha", "beta", forced="required")


def test_results_are_answered_with_text(copilot, weather_tool):
    """Tool results are quoted, and no more tools are called."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Weather in Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Sunny, 22 degrees"},
    ]
    text = copilot.said(messages=messages, tools=[weather_tool])
    assert "get_weather answered: Sunny, 22 degrees" in text


def test_the_limit_of_the_text(copilot):
    """max_tokens ends the text with the finish reason `length`; the count never exceeds it."""
    body = copilot.chat("Count to 500", max_tokens=10).json()
    assert ("length", 10) == (
        body["choices"][0]["finish_reason"],
        body["usage"]["completion_tokens"],
    )
    short = copilot.chat("Hi", "gpt-5-mini", max_completion_tokens=5).json()
    assert ("length", "") == (
        short["choices"][0]["finish_reason"],
        short["choices"][0]["message"]["content"],
    )


@pytest.mark.parametrize(("limit", "calls"), [(6, 0), (8, 0), (9, 1), (14, 2), (40, 2)])
def test_the_limit_of_calls(limit, calls):
    """Calls that do not fit are cut off or left out."""
    said = talk("weather in Paris and London", "weather", limit=limit)
    assert calls == len(said.calls)
    assert ("tool_calls" if limit == 40 else "length") == said.finish
    assert said.completion_tokens <= limit + 1


def test_stop_sequences_end_the_text(copilot):
    """The text ends before the first stop sequence, with finish reason `stop`."""
    assert "1 2 3 4 " == copilot.said("Count to 9", stop="5")
    assert "1 2 " == copilot.said("Count to 9", stop=["7", "3", "x"])
    assert "5" == talk("Count to 9", stop=["5"]).stop_sequence


SCHEMAS = [
    {"type": "string"},
    {"type": "string", "enum": ["red", "green"]},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "minLength": 30},
    {"type": "string", "maxLength": 2},
    {"type": "string", "pattern": "^P"},
    {"const": 7},
    {"type": "integer", "minimum": 10},
    {"type": "integer", "maximum": -3},
    {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
    {"type": "integer", "multipleOf": 5, "minimum": 3},
    {"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 7},
    {"type": "number", "multipleOf": 4, "minimum": 1, "maximum": 11},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": 0.5, "maximum": 0.7},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["null", "integer"]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 2, "uniqueItems": True},
    {"type": "array", "maxItems": 0},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2},
    {"type": "array", "prefixItems": [{"type": "integer"}], "items": False, "minItems": 1},
    {"items": {"type": "integer"}},
    {"minimum": 4},
    {"anyOf": [{"type": "null"}, {"type": "integer"}]},
    {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]},
    {"anyOf": [{"type": "null"}]},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string"}}, "required": ["b"]},
        ]
    },
    {"type": "object", "required": ["unnamed"]},
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "Mona"},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
            "optional": {"type": "integer"},
        },
        "required": ["name", "tags"],
        "additionalProperties": False,
        "$defs": {"tag": {"type": "string", "enum": ["x", "y"]}},
    },
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                    "other": {"type": ["object", "null"], "required": ["value"]},
                    "all": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["value", "next", "all"],
                "additionalProperties": False,
            }
        },
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_values_are_valid_against_their_schema(schema):
    """Whatever the schema, the generated value is valid against it."""
    jsonschema.validate(fill(schema, Prompt("Weather in Paris on 5 May")), schema)


def test_recursive_types_with_null():
    """The value for a recursive schema ends with null if its list of types allows that."""
    node = {"type": ["object", "null"], "properties": {"n": {"$ref": "#"}}, "required": ["n"]}
    assert json.dumps(fill(node, Prompt("x"))).endswith("null" + "}" * 12)


@pytest.mark.parametrize(
    "schema",
    [
        5,
        {"type": 5},
        {"type": [5]},
        {"enum": []},
        {"enum": "a"},
        {"minimum": "1"},
        {"multipleOf": 0},
        {"minItems": -1},
        {"minLength": 10**9},
        {"required": "a"},
        {"required": [1]},
        {"properties": []},
        {"properties": {"a": 1}},
        {"items": 1},
        {"anyOf": {}},
        {"anyOf": [1]},
        {"$ref": 1},
    ],
    ids=json.dumps,
)
def test_invalid_schemas_are_noticed(schema):
    """Keywords with invalid values are found at any depth."""
    assert not is_schema(schema)
    assert not is_schema({"properties": {"a": {"items": schema}}})


def test_large_maximum_sizes_are_accepted():
    """Only minimum sizes are limited, since the generated value must reach them."""
    assert is_schema({"maxLength": 10**9, "maxItems": 10**9})


def test_booleans_are_schemas():
    """JSON Schema allows true and false in place of any schema."""
    assert is_schema({"items": True, "properties": {"a": False}})


def test_true_accepts_any_value():
    """The schema true accepts any value."""
    assert {"a": "y"} == fill({"properties": {"a": True}, "required": ["a"]}, Prompt("x y"))
    assert "y" == fill(True, Prompt("x y"))


def test_broken_references_accept_any_value():
    """A reference without a target accepts any value."""
    schema = {"properties": {"a": {"$ref": "#/nothing/here"}}, "required": ["a"]}
    assert {"a": "y"} == fill(schema, Prompt("x y"))


def test_json_is_valid_against_the_schema(copilot):
    """A response format with a schema works on chat completions and responses."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    }
    format_ = {"type": "json_schema", "json_schema": {"name": "trip", "schema": schema}}
    text = copilot.said("A trip to Rome for 3 days", response_format=format_)
    assert {"city": "Rome", "days": 3} == json.loads(text)


def test_json_objects_are_objects(copilot):
    """Without a schema, the answer is any object."""
    text = copilot.said(response_format={"type": "json_object"})
    assert {"simulated": True, "answer": "Hi"} == json.loads(text)
    text = copilot.said(response_format={"type": "json_schema", "json_schema": {"name": "x"}})
    assert json.loads(text)["simulated"]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ('Search for "old maps" please', "query", "old maps"),
        ("Read src/main.py and README.md", "file_path", "src/main.py"),
        ("Read README.md", "path", "README.md"),
        ("weather in New York?", "city", "New York"),
        ("tell Mona", "name", "Mona"),
        ("what is it", "query", "what is it"),
        ("hello there", "who", "there"),
        ("", "who", "example"),
        ("", "query", "example"),
    ],
)
def test_strings_are_taken_from_the_prompt(text, name, expected):
    """Strings are quoted text, paths, names or words of the prompt."""
    assert expected == Prompt(text).phrase(name)


def test_enum_values_follow_the_prompt():
    """An enum value that the prompt mentions is preferred."""
    schema = {"enum": [1, "celsius", "fahrenheit"]}
    assert "fahrenheit" == fill(schema, Prompt("in Fahrenheit please"))
    assert 1 == fill(schema, Prompt("hello"))
