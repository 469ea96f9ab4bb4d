"""Custom tools as functions: their definition, and their streamed input."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.formats.custom_tools import (
    InputDecoder,
    custom_arguments,
    custom_input,
    flat_format,
    function_of,
    nested_format,
)
from copilot_proxy.formats.types import Json
from tests.formats.answers import call, calling, complete, event, repair
from tests.selection import examples

GRAMMAR: Json = {"syntax": "regex", "definition": "[a-z]+"}
FLAT: Json = {"type": "grammar", **GRAMMAR}
NESTED: Json = {"type": "grammar", "grammar": GRAMMAR}
CUSTOM = {"apply_patch"}


def decoded(arguments: str, cuts: list[int]) -> list[str]:
    """Return the decoder's output for arguments split at these positions."""
    decoder = InputDecoder()
    ends = [0, *sorted(cut for cut in cuts if cut < len(arguments)), len(arguments)]
    return [*(decoder.feed(arguments[a:b]) for a, b in pairwise(ends)), decoder.close()]


def test_the_function_has_the_grammar() -> None:
    """The description of the only argument contains the grammar."""
    for form in (FLAT, NESTED):
        function = function_of({"name": "p", "description": "Edits.", "format": form})

        assert ("p", "Edits.") == (function["name"], function["description"])
        parameter = function["parameters"]["properties"]["input"]
        assert parameter["description"].endswith("It follows this regex grammar:\n[a-z]+")
        assert (["input"], "string") == (function["parameters"]["required"], parameter["type"])


def test_each_api_has_its_form_of_a_grammar() -> None:
    """Grammar formats are converted between the APIs; text formats are the same on both."""
    assert (FLAT, NESTED) == (flat_format(NESTED), nested_format(FLAT))
    assert (FLAT, NESTED) == (flat_format(FLAT), nested_format(NESTED))
    assert [{"type": "text"}] * 2 == [
        flat_format({"type": "text"}),
        nested_format({"type": "text"}),
    ]
    assert [{}, {}] == [flat_format(None), nested_format(5)]


@examples(300)
@given(
    st.text(st.sampled_from('ab"\\/\n\t\b😀é\u2028{}u0')),
    st.lists(st.integers(0, 60), max_size=8),
    st.booleans(),
)
def test_any_input_arrives_whole(text: str, cuts: list[int], escape: bool) -> None:
    """However arguments are split and escaped, the pieces add up to the input."""
    arguments = json.dumps({"input": text}, ensure_ascii=escape)

    assert text == "".join(decoded(arguments, cuts)) == custom_input(arguments)
    assert text == custom_input(custom_arguments(text))


def test_the_input_is_not_held_back() -> None:
    """The text in each piece of the arguments is returned immediately."""
    pieces = ['{"in', 'put": "ab', "c\\", "n\\ud83d", "\\ude00d", '"}']
    decoder = InputDecoder()

    assert ["", "ab", "c", "\n", "😀d", ""] == [decoder.feed(piece) for piece in pieces]
    assert "" == decoder.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", ""),
        ("{}", ""),
        ('{"x":1}', '{"x":1}'),
        ('{"patch":"a\\nb"}', "a\nb"),
        ('{"x":"a","y":"b"}', '{"x":"a","y":"b"}'),
        ("*** Begin", "*** Begin"),
        ('{"input":5}', '{"input":5}'),
        ('{"input":"a\nb"}', "a\nb"),
        ('{"input":"a\\xb"}', "a\\xb"),
        ('{"input":"a\\uZZ"}', "a\\uZZ"),
        ('{"input":"a\\ud83d b"}', "a� b"),
        ('{"input":"cut', "cut"),
        ('{"input":"cut\\', "cut\\"),
    ],
)
def test_malformed_arguments_lose_nothing(arguments: str, text: str) -> None:
    """Arguments in another format become the input, and unusual escapes are kept."""
    for size in (1, 3, 100):
        cuts = list(range(0, len(arguments), size))
        assert text == "".join(decoded(arguments or " ", cuts)).strip()


def test_a_function_call_becomes_a_custom_call() -> None:
    """A chat client receives a call of its custom tool, with the input in pieces."""
    events = [
        calling(call("a", "apply_patch", '{"input": "*** ')),
        calling(call(arguments='x\\n"}')),
        event("tool_calls"),
    ]

    chunks = repair(events, custom_tools=CUSTOM)

    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    pieces = [one for delta in deltas for one in delta.get("tool_calls", ())]
    first = {"index": 0, "id": "a", "type": "custom"}
    assert [
        {**first, "custom": {"name": "apply_patch", "input": "*** "}},
        {"index": 0, "custom": {"input": "x\n"}},
    ] == pieces


@pytest.mark.parametrize("arguments", [None, "", "{}"])
def test_a_custom_call_without_input(arguments: str | None) -> None:
    """A call without arguments has an empty input."""
    events = [calling(call("a", "apply_patch", arguments)), event("stop")]

    chunks = repair(events, custom_tools=CUSTOM)

    (piece,) = [one for c in chunks for one in (c["choices"][0]["delta"].get("tool_calls") or ())]
    assert {"name": "apply_patch", "input": ""} == piece["custom"]


def test_other_functions_stay_functions() -> None:
    """Only calls to the client's custom tools are converted."""
    events = [
        calling(call("a", "f", '{"input":"x"}'), call("b", "apply_patch", '{"input":"y"}', 1)),
        event("stop"),
    ]

    chunks = repair(events, custom_tools=CUSTOM)

    kinds = [one["type"] for c in chunks for one in c["choices"][0]["delta"].get("tool_calls", ())]
    assert ["function", "custom"] == kinds


def test_a_native_custom_call_is_passed_on() -> None:
    """A custom call by a model that supports custom tools is passed on."""
    parts = [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "p", "input": "*** "}},
        {"index": 0, "custom": {"input": "\t" * 30 + "x"}},
    ]
    events = [event(tool_calls=[part]) for part in parts]

    choice = complete([*events, event("stop")])["choices"][0]

    expected = {"name": "p", "input": "*** " + "\t" * 30 + "x"}
    assert [{"id": "a", "type": "custom", "custom": expected}] == choice["message"]["tool_calls"]
    assert "tool_calls" == choice["finish_reason"]
    cut = complete([*events, event("length")])["choices"][0]
    assert "length" == cut["finish_reason"]


def test_a_custom_call_that_was_cut_off_keeps_what_arrived() -> None:
    """A call that was cut off is not completed."""
    events = [calling(call("a", "apply_patch", '{"input": "ab')), event("length")]

    chunks = repair(events, custom_tools=CUSTOM)

    assert "length" == chunks[-1]["choices"][0]["finish_reason"]
    assert "ab" == "".join(re.findall(r"'input': '(\w*)'", str(chunks)))
