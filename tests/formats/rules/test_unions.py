"""Tool schemas that Gemini refuses are rewritten, and all others are unchanged."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from copilot_proxy.formats.rules.unions import without_unions
from copilot_proxy.formats.types import Json
from tests.formats.routes import every_client, model_on, sent

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
NULL: Json = {"type": "null"}


def inside(schema: Any) -> Json:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    "schema",
    [
        TEXT,
        {"anyOf": [TEXT, NULL], "description": "d", "default": None, "title": "A"},
        {"$ref": "#/$defs/x"},
        {"type": "string", "nullable": True},
        {"type": "object", "properties": {"type": TEXT, "anyOf": TEXT}},
        {"oneOf": [TEXT, NUMBER]},
        {"enum": ["type"], "default": {"type": ["a", "b"]}},
        True,
    ],
)
def test_accepted_schemas_are_not_touched(schema: Any) -> None:
    """A schema that Gemini accepts stays the same object."""
    parameters = {**inside(schema), "$defs": {"x": TEXT}, "$schema": "s"}

    assert parameters is without_unions(parameters)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string"], "description": "d"}, {"type": "string", "description": "d"}),
        ({"type": ["null"]}, NULL),
        (
            {"type": ["string", "null"], "enum": ["a", None]},
            {"type": "string", "nullable": True, "enum": ["a"]},
        ),
        (
            {"type": ["object", "null"], "properties": {"b": {"type": ["string", "null"]}}},
            {
                "type": "object",
                "nullable": True,
                "properties": {"b": {"type": "string", "nullable": True}},
            },
        ),
        (
            {"type": ["string", "array", "null"], "items": TEXT, "maxLength": 3, "title": "A"},
            {
                "title": "A",
                "anyOf": [
                    {"type": "string", "maxLength": 3},
                    {"type": "array", "items": TEXT},
                    NULL,
                ],
            },
        ),
        (
            {"type": ["string", "integer"], "enum": ["a", 1]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1]}]},
        ),
        (
            {
                "type": "object",
                "description": "d",
                "properties": {"x": TEXT, "y": TEXT},
                "required": ["z"],
                "anyOf": [{"required": ["x"]}, {"properties": {"y": NUMBER}}],
            },
            {
                "description": "d",
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {"x": TEXT, "y": TEXT},
                        "required": ["z", "x"],
                    },
                    {
                        "type": "object",
                        "properties": {"x": TEXT, "y": NUMBER},
                        "required": ["z"],
                    },
                ],
            },
        ),
        (
            {"type": "string", "anyOf": [{"maxLength": 3}, NULL, {"$ref": "#/$defs/x"}]},
            {"anyOf": [{"type": "string", "maxLength": 3}, NULL, {"$ref": "#/$defs/x"}]},
        ),
        (
            {"type": ["string", "null"], "anyOf": [{"minLength": 1}, {"format": "uri"}]},
            {
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {"type": "string", "format": "uri"},
                    NULL,
                ]
            },
        ),
        (
            {"type": ["string", "number"], "anyOf": [TEXT, NUMBER]},
            {"anyOf": [TEXT, NUMBER]},
        ),
        (
            {"type": "array", "items": {"type": ["number", "null"]}},
            {"type": "array", "items": {"type": "number", "nullable": True}},
        ),
    ],
)
def test_refused_schemas_are_rewritten(schema: Json, expected: Json) -> None:
    """A list of types, and fields next to `anyOf`, are rewritten in a way that Gemini accepts."""
    for place in ("properties", "$defs"):
        parameters = {"type": "object", "properties": {}, place: {"a": schema}}
        before = repr(parameters)

        rewritten = without_unions(parameters)

        assert expected == rewritten[place]["a"]
        assert before == repr(parameters), "the client's schema was changed"
        Draft202012Validator.check_schema(rewritten)


def test_parameters_stay_an_object() -> None:
    """The `anyOf` of the parameters is merged; fields required by all its schemas stay required."""
    parameters = {
        "type": "object",
        "properties": {"a": TEXT},
        "required": ["a"],
        "anyOf": [
            {"properties": {"b": TEXT}, "required": ["b", "d"]},
            {"properties": {"c": TEXT, "a": NUMBER}, "required": ["c", "d"]},
        ],
    }

    rewritten = without_unions(parameters)

    assert {
        "type": "object",
        "properties": {"a": TEXT, "b": TEXT, "c": TEXT},
        "required": ["a", "d"],
    } == rewritten
    assert inside(TEXT) == without_unions({**inside(TEXT), "type": ["object", "null"]})


def test_deep_schemas_are_left_alone() -> None:
    """A deeply nested schema does not exhaust the stack."""
    deep: Json = {"type": ["string", "null"]}
    for _ in range(300):
        deep = inside(deep)

    assert deep == without_unions(deep)


@every_client
@pytest.mark.parametrize("vendor", ["Google", "OpenAI"])
def test_only_gemini_gets_rewritten_schemas(client: str, vendor: str) -> None:
    """For Gemini, tool schemas are rewritten for every client; other models get them unchanged."""
    schema = inside({"type": ["string", "null"]})
    model = model_on("chat_completions", "gemini-4-neon" if vendor == "Google" else "m", vendor)

    request = sent(client, model, tool="f", schema=schema)

    expected = inside({"type": "string", "nullable": True}) if vendor == "Google" else schema
    assert expected == request.body["tools"][0]["function"]["parameters"]


@every_client
def test_newer_gemini_models_get_the_validated_choice(client: str) -> None:
    """`validated` is passed on to newer Gemini models, and becomes `auto` for all others."""
    choice = {"type": "validated"} if client == "messages" else "validated"
    chosen = {
        ("chat_completions", "gemini-4-neon", "Google"): "validated",
        ("chat_completions", "gemini-2.5-pro", "Google"): "auto",
        ("responses", "gpt-6-sol", "OpenAI"): "auto",
        ("messages", "claude-opus-5", "Anthropic"): {"type": "auto"},
    }

    for (route, id, vendor), expected in chosen.items():
        request = sent(client, model_on(route, id, vendor), tool="f", own={"tool_choice": choice})
        assert expected == request.body["tool_choice"]
        changed = any("validated to auto" in note for note in request.notes)
        assert changed is (expected != "validated")
