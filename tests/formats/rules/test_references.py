"""References in tool schemas for Kimi point only to ``$defs``, and keep their meaning."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from copilot_proxy.formats.rules.references import with_definitions
from copilot_proxy.formats.types import Json
from tests.formats.routes import every_client, model_on, sent

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}


def tree(reference: str, **more: Any) -> Json:
    """Return a schema whose property `a` is the target of the reference."""
    return {"type": "object", "properties": {"a": {"$ref": reference}, "b": TEXT}, **more}


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        (tree("#/definitions/A", definitions={"A": NUMBER}), 1, "x"),
        (tree("#/properties/b"), "x", 1),
        (tree("#"), {"b": "x"}, {"b": 1}),
        (tree("#/definitions/A", definitions={"A": NUMBER}, **{"$defs": {"A": TEXT}}), 1, "x"),
        (tree("#/anyOf/1", anyOf=[True, NUMBER, {}]), 1, "x"),
        (tree("#/definitions/A~1B%20C", definitions={"A/B C": NUMBER}), 1, "x"),
        (
            tree(
                "#/definitions/A",
                definitions={
                    "A": {"type": "object", "properties": {"b": {"$ref": "#/definitions/A"}}}
                },
            ),
            {"b": {"b": {}}},
            {"b": {"b": 1}},
        ),
        (
            tree(
                "#/definitions/A",
                definitions={"A": {"properties": {"b": {"$ref": "#/$defs/B"}}}},
                **{"$defs": {"B": {"items": {"$ref": "#/properties/b"}}}},
            ),
            {"b": ["x"]},
            {"b": [1]},
        ),
    ],
)
def test_references_are_moved(schema: Json, valid: Any, invalid: Any) -> None:
    """The schema accepts the same values as before; the original schema is not changed."""
    before = json.dumps(schema)

    moved = with_definitions(schema)

    references = re.findall(r'"\$ref": "([^"]*)"', json.dumps(moved))
    assert references
    assert all(reference.startswith("#/$defs/") for reference in references)
    for one in (schema, moved):
        validator = Draft202012Validator(one)
        assert [True, False] == [validator.is_valid({"a": value}) for value in (valid, invalid)]
    assert before == json.dumps(schema)


@pytest.mark.parametrize(
    "schema",
    [
        tree("#/$defs/A", **{"$defs": {"A": TEXT}}),
        tree("https://example.com/schema"),
        tree("#/definitions/missing"),
        {"type": "object", "properties": {"$ref": TEXT, "a": {"enum": [{"$ref": "#"}]}}},
    ],
)
def test_other_schemas_are_not_touched(schema: Json) -> None:
    """A schema that is already accepted, or cannot be fixed, stays the same object."""
    assert schema is with_definitions(schema)


@every_client
@pytest.mark.parametrize("route", ["chat_completions", "responses"])
def test_only_for_kimi(client: str, route: str) -> None:
    """For Kimi, the schema is rewritten, with a note; other models receive it unchanged."""
    schema = tree("#/definitions/A", definitions={"A": NUMBER})

    kimi = sent(client, model_on(route, "kimi-k3", "Moonshot AI"), tool="f", schema=schema)
    other = sent(client, model_on(route, "gpt-5.4", "OpenAI"), tool="f", schema=schema)

    assert "#/$defs/A" in json.dumps(kimi.body)
    assert "#/definitions/A" not in json.dumps(kimi.body)
    assert any("changed the schema of tool f" in note for note in kimi.notes)
    assert "#/definitions/A" in json.dumps(other.body)
