"""Combinations at the top level of a tool's schema become one equivalent object schema."""

from typing import Any

import pytest

from copilot_proxy.formats.rules.combined_schemas import without_combinations, without_values

TEXT = {"type": "string"}
NUMBER = {"type": "number"}


def an_object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return schema if required is None else {**schema, "required": required}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"oneOf": [an_object(["a"], a=TEXT), an_object(["a", "b"], a=TEXT, b=NUMBER)]},
            an_object(["a"], a=TEXT, b=NUMBER),
        ),
        (
            {"anyOf": [an_object(["a"], a=TEXT), an_object(["b"], b=NUMBER)]},
            an_object(a=TEXT, b=NUMBER),
        ),
        (
            {**an_object(["c"], c=TEXT), "allOf": [{"required": ["d"]}, an_object(d=NUMBER)]},
            an_object(["c", "d"], d=NUMBER, c=TEXT),
        ),
        (
            {
                "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
                "discriminator": {"propertyName": "kind"},
                "$defs": {
                    "A": an_object(["kind"], kind={"const": "a"}, x=TEXT),
                    "B": {"allOf": [an_object(["kind"], kind={"const": "b"})]},
                },
            },
            {
                **an_object(["kind"], kind={"anyOf": [{"const": "a"}, {"const": "b"}]}, x=TEXT),
                "$defs": {
                    "A": an_object(["kind"], kind={"const": "a"}, x=TEXT),
                    "B": {"allOf": [an_object(["kind"], kind={"const": "b"})]},
                },
            },
        ),
        (
            {"anyOf": [an_object(a=True), an_object(a=TEXT)]},
            an_object(a={"anyOf": [True, TEXT]}),
        ),
        ({"anyOf": [True, {"$ref": "#/nowhere"}], "oneOf": []}, an_object()),
    ],
)
def test_merging(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert expected == without_combinations(schema)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {**an_object(["a"], a=TEXT), "not": {"required": ["b"]}, "enum": ["x", None]},
            an_object(["a"], a=TEXT),
        ),
        (
            {"enum": [{"a": 1, "b": True}, {"a": 2}]},
            an_object(["a"], a={"anyOf": [{"const": 1}, {"const": 2}]}, b={"const": True}),
        ),
        ({"const": {"a": 1}, "title": "T"}, {**an_object(["a"], a={"const": 1}), "title": "T"}),
    ],
)
def test_values(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert expected == without_values(schema)


def test_a_reference_to_itself_ends() -> None:
    schema = {"anyOf": [*({"$ref": "#"},) * 9, an_object(a=TEXT)]}

    assert {"a": TEXT} == without_combinations(schema)["properties"]


def test_other_schemas_stay() -> None:
    """A combination inside a property is left unchanged, since it is accepted."""
    schema = an_object(a={"anyOf": [TEXT, NUMBER]})

    assert schema is without_combinations(schema)
    assert schema is without_values(schema)
