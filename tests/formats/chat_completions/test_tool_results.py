"""Tool results with parts that Chat Completions lacks, as Copilot CLI sends them."""

import pytest

from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.types import Json

TOOLS: list[Json] = [
    {"type": "function", "function": {"name": "f"}},
    {"type": "custom", "custom": {"name": "p"}},
]


def result(content: object) -> Json:
    return {"role": "tool", "tool_call_id": "a", "content": content}


def resolved(content: object) -> object:
    """Return the content of a tool result after translation for a model."""
    request = {"model": "m", "messages": [result(content)], "tools": TOOLS}
    before = repr(request)
    chat = CHAT_COMPLETIONS.to_chat(request, [])
    assert before == repr(request), "the client's request was changed"
    return chat["messages"][0]["content"]


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (
            {"type": "tool_reference", "tool_name": "f"},
            "Found the tool f, which can be called now.",
        ),
        (
            {"type": "tool_reference", "tool_name": "p"},
            "Found the tool p, which can be called now.",
        ),
        (
            {"type": "tool_reference", "tool_name": "gone"},
            "Found the tool gone, which is not offered.",
        ),
        ({"type": "input_text", "text": "a"}, "a"),
        ({"type": "resource", "uri": "x"}, '{"type":"resource","uri":"x"}'),
    ],
)
def test_other_parts_become_text(part: Json, text: str) -> None:
    """A tool reference becomes the tool's name, and an unknown part becomes its JSON."""
    known = {"type": "text", "text": "b"}

    assert [{"type": "text", "text": text}, known] == resolved([part, known])


@pytest.mark.parametrize("content", ["", "a", [], [{"type": "text", "text": "a"}]])
def test_other_results_are_unchanged(content: object) -> None:
    """A result that has only supported parts is passed on unchanged."""
    assert content == resolved(content)
