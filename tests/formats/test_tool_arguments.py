"""Streamed tool call arguments: whether they are complete, and what the check costs."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats import tool_arguments
from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.tool_arguments import Arguments, is_json
from tests.formats.answers import call, calling, calls_of, event, finish_of, repair

NESTED = 100_000  # Python 3.14 parses 20,000
DEEP = "[" * 6000
MANY = 500

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9999, 9999) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=9,
)
TEXTS = st.text(alphabet='{}[]",:\\ \n1au', max_size=24) | VALUES.map(json.dumps)


@given(st.lists(TEXTS, max_size=2).map("".join), st.lists(st.integers(1, 5), max_size=60))
@example('{"a": "\\\\"}', [1] * 60)
@example('{"a": "\\"}"} ', [7, 1, 1, 1, 1, 1])
@example("{}{}", [2, 2])
@example('{"a"}', [5])
@example("[}", [1, 1])
@example(" \n", [1, 1])
@example("\ud800", [1])
def test_every_piece_can_complete_the_json(text: str, sizes: list[int]) -> None:
    """After every piece, `is_json` agrees with a parser that reads all of the text."""
    arguments = Arguments()
    asked, expected, start = [], [], 0
    for size in [*sizes, len(text)]:
        arguments.add(text[start : start + size])
        start += size
        asked.append(arguments.is_json)
        expected.append(is_json(text[:start]))

    assert expected == asked
    assert text == arguments.text


@pytest.mark.parametrize("text", [DEEP, "[" * NESTED + "]" * NESTED, "[" + DEEP, '{"a":' * 6000])
def test_too_deeply_nested_json_is_invalid(text: str) -> None:
    """Text that is nested too deeply counts as invalid JSON, and raises no error."""
    arguments = Arguments()
    arguments.add(text)

    assert not is_json(text)
    assert not arguments.is_json


def test_unclosed_brackets_end_at_the_limit() -> None:
    """The finish reason is the limit on every API, and the model's text is kept."""
    events = [calling(call("a", "f", DEEP)), event("length")]
    chunks = repair(events)
    messages = ChatToMessages({"model": "m"}, "m")
    responses = ChatToResponses({"model": "m", "input": "Hi"}, "m")
    written = []
    for chunk in chunks:
        written += messages.feed(chunk)
        responses.feed(chunk)
    written += messages.close()
    responses.close()

    assert "length" == finish_of(events)
    assert [("a", "f", DEEP)] == calls_of(events)
    assert "max_tokens" == messages.whole(written)["stop_reason"]
    assert {"reason": "max_output_tokens"} == responses.response["incomplete_details"]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record every text that is parsed to check whether it is JSON."""
    texts: list[str] = []

    def count(text: str) -> bool:
        texts.append(text)
        return is_json(text)

    monkeypatch.setattr(tool_arguments, "is_json", count)
    return texts


@pytest.mark.parametrize(
    "pieces",
    [
        ['{"text": "', *["word "] * MANY, '"}'],
        ['{"text": "', *["}{\\"] * MANY, '"}'],
        ["[", *["{},"] * MANY, "0]"],
        ["[}", *["[]"] * MANY],
    ],
    ids=["words", "brackets in a text", "a list", "no JSON"],
)
def test_pieces_that_repeat_the_name_are_parsed_once(parsed: list[str], pieces: list[str]) -> None:
    """Some models repeat the name in every piece, so each piece might begin another call.

    The work still grows linearly with the size of the arguments.
    """
    text = "".join(pieces)
    events = [calling(call("a", "f", ""))]
    events += [calling(call(name="f", arguments=piece)) for piece in pieces]

    assert [("a", "f", text)] == calls_of([*events, event("length")])
    assert sum(map(len, parsed)) <= 2 * len(text)


def test_an_incomplete_block_is_not_parsed_again(parsed: list[str]) -> None:
    """In a Messages stream, an incomplete call delays the next one.

    Its arguments are not parsed again for each delayed piece.
    """

    def piece(index: int, text: str, **first: Any) -> Any:
        function = {"arguments": text, **({"name": "f"} if first else {})}
        delta = {"tool_calls": [{"index": index, "function": function, **first}]}
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}

    writer = ChatToMessages({"model": "m"}, "m")
    writer.feed(piece(0, '{"text": "' + "word " * MANY, id="a"))
    writer.feed(piece(1, '{"text": "', id="b"))
    held = [writer.feed(piece(1, "word ")) for _ in range(MANY)]
    freed = writer.feed(piece(0, '"}'))

    assert [[]] * MANY == held
    assert MANY + 4 == len(freed)
    assert sum(map(len, parsed)) <= 6 * MANY


def test_blank_lines_between_pieces_are_counted() -> None:
    """A model that writes only blank lines is stopped, however the lines are split into pieces."""
    arguments = Arguments()
    arguments.add("{\n" * 20)
    for _ in range(19):
        arguments.add("\n")
    with pytest.raises(BrokenResponse, match="stuck writing blank lines"):
        arguments.add("\n")
